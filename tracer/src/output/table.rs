//! A report for a terminal: plain text within 100 columns, verdict first.

mod context;
mod node;
mod owners;
mod reconciliation;
mod recovery;
mod verdict;

use std::collections::BTreeSet;

use super::{columns::PAGE, size, text};
use crate::{
    diagnose::culprit::ratio,
    report::{Attribution, Explained, Kind, Plan, Report, memory::AllocatedSource, plan::Sight},
};

/// What stands for an absent value.
const ABSENT: &str = "–";

/// The whole report.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    verdict::section(&mut out, &report.verdict);
    recovery::section(&mut out, report.recovery.as_ref());
    facts(&mut out, report);
    owners::victims(&mut out, &report.victims, &report.culprits);
    owners::culprits(&mut out, &report.culprits);
    if report.culprits.is_empty() {
        owners::holders(&mut out, &report.holders);
    }
    node::memcgs(&mut out, report.memcg_pressure.as_deref());
    node::timeline(&mut out, report.timeline.as_deref());
    reconciliation::section(&mut out, &report.reconciliation);
    if let Some(check) = &report.selfcheck {
        heading(&mut out, "SELF-CHECK");
        paragraph(&mut out, "  ", &check.words());
    }
    losses(&mut out, report);
    plan(&mut out, &report.plan);
    out
}

/// The verdict of a report in one line, for an answer that is still to be refined.
#[must_use]
pub fn one_line(report: &Report) -> String {
    let verdict = &report.verdict;
    // Where nothing can be said yet, what is known is more than that.
    let line = match verdict.kind {
        Kind::Inconclusive => &verdict.summary,
        _ => &verdict.headline,
    };
    text::clean(line, usize::MAX)
}

pub(super) fn paragraph(out: &mut String, indent: &str, sentence: &str) {
    for line in text::wrap(sentence, PAGE - indent.chars().count()) {
        out.push_str(indent);
        out.push_str(&line);
        out.push('\n');
    }
}

/// A label of ten characters and a sentence beside it.
fn fact(out: &mut String, label: &str, sentence: &str) {
    for (number, line) in text::wrap(sentence, PAGE - 10).iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        out.push_str(&format!("{label:10}{line}\n"));
    }
}

pub(super) fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{title}\n"));
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

fn bytes(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), size::bytes)
}

fn facts(out: &mut String, report: &Report) {
    out.push('\n');
    let verdict = &report.verdict;
    let detail = verdict
        .detail
        .map_or_else(String::new, |detail| format!(" ({})", detail.name()));
    let limit = verdict.limit.map_or(ABSENT, |limit| limit.name());
    fact(
        out,
        "limit",
        &format!("{limit}{detail}, evidence: {}", verdict.evidence.name()),
    );
    let memory = &report.tcp_memory;
    let marks = memory.tcp_mem_bytes;
    let source = match memory.allocated_source {
        Some(AllocatedSource::Refusal) => " as compared at a refusal",
        Some(AllocatedSource::Sockstat) => " by sockstat",
        None => "",
    };
    let pressure = match memory.pressure {
        Some(true) => "yes",
        Some(false) => "no",
        None => ABSENT,
    };
    fact(
        out,
        "memory",
        &format!(
            "fill {}: {}{source} of {}; pressure line {}; under pressure: {pressure}; {} found in sockets",
            memory.fill.map_or_else(|| ABSENT.to_owned(), size::percent),
            bytes(memory.allocated_bytes),
            bytes(marks.map(|marks| marks.max)),
            bytes(marks.map(|marks| marks.pressure)),
            bytes(memory.found_bytes),
        ),
    );
    if let Some(told) = &memory.explained {
        fact(out, "explained", &explained(told));
    }
    for pressure in memory.pressures.iter().flatten() {
        // Whose socket entered it need not be whose socket ended it.
        let entered = size::count(pressure.entered, "time");
        let words = [
            (pressure.entered > 0, format!("entered {entered}")),
            (
                pressure.ended_ms > 0,
                format!("ended after {} ms", pressure.ended_ms),
            ),
        ];
        let words = words.into_iter().filter(|(say, _)| *say).map(|(_, it)| it);
        let words = words.collect::<Vec<_>>().join(" and ");
        let owner = text::name(&pressure.owner.name);
        fact(out, "pressure", &format!("{words} by sockets of {owner}"));
    }
    fact(
        out,
        "sockets",
        &format!(
            "{} allocated, {} orphans",
            number(memory.sockets),
            number(memory.orphans)
        ),
    );
    let owners = &report.attribution;
    if let Some(words) = attribution(owners) {
        fact(out, "owners", &words);
    }
    let window = &report.window;
    fact(
        out,
        "window",
        &format!(
            "{} to {} ({})",
            window.start,
            window.end,
            size::nanos(window.duration_ns)
        ),
    );
    let node = &report.node;
    fact(
        out,
        "node",
        &format!(
            "{}, kernel {} {}, {}, tcpress {}",
            text::name(node.k8s_node_name.as_deref().unwrap_or(&node.host_name)),
            text::name(&node.kernel),
            text::name(&node.arch),
            size::count(u64::from(node.cpus), "CPU"),
            text::name(&report.tcpress),
        ),
    );
}

/// How much has an owner, and who named them; nothing where neither refusals nor sockets are known.
fn attribution(owners: &Attribution) -> Option<String> {
    let refusals = owners.refusals.zip(owners.unknown_refusals);
    let held = owners.held_bytes.zip(owners.unknown_held_bytes);
    let share = |part: u64, whole: u64| match ratio(part, whole) {
        share if part > 0 => format!(" ({})", size::percent(share)),
        _ => String::new(),
    };
    let mut parts = Vec::new();
    if let Some((all, unknown)) = refusals {
        parts.push(format!(
            "{unknown} of {}{}",
            size::count(all, "refusal"),
            share(unknown, all)
        ));
    }
    if let Some((all, unknown)) = held {
        let (some, whole) = (size::bytes(unknown), size::bytes(all));
        parts.push(format!("{some} of {whole} held{}", share(unknown, all)));
    }
    if parts.is_empty() {
        return None;
    }
    let mut words = format!("unknown: {}", parts.join(", "));
    if !owners.runtimes.is_empty() {
        words.push_str(&format!("; names by {}", owners.runtimes.join(", ")));
    }
    Some(words)
}

/// How much of what is allocated was found, and why not all.
fn explained(told: &Explained) -> String {
    let mut said = format!(
        "{} of {} allocated: {} in listed sockets",
        told.share.map_or_else(|| ABSENT.to_owned(), size::percent),
        size::bytes(told.allocated_bytes),
        size::bytes(told.listed_bytes)
    );
    if told.unlisted_bytes > 0 {
        said.push_str(&format!(
            ", {} in sockets that no table lists",
            size::bytes(told.unlisted_bytes)
        ));
    }
    for reason in &told.reasons {
        said.push_str("; ");
        said.push_str(reason);
    }
    said
}

fn losses(out: &mut String, report: &Report) {
    heading(out, "LOSSES");
    let named = report.losses.named();
    let lost: Vec<String> = named
        .iter()
        .filter_map(|(name, count)| count.filter(|n| *n > 0).map(|n| format!("{name} {n}")))
        .collect();
    let sentence = if !lost.is_empty() {
        lost.join(", ")
    } else if named.iter().all(|(_, count)| count.is_none()) {
        "not measured: nothing was traced".to_owned()
    } else {
        "none".to_owned()
    };
    paragraph(out, "  ", &sentence);
    for gap in &report.losses.gaps {
        paragraph(out, "  ", &format!("gap: {gap}"));
    }
}

/// The plan, as `doctor` shows it too.
pub(super) fn plan(out: &mut String, plan: &Plan) {
    heading(out, "PLAN");
    if let Some(why) = &plan.impossible {
        paragraph(out, "  ", &format!("nothing is traced: {why}"));
    }
    let attached = plan
        .probes
        .iter()
        .filter(|probe| probe.missing.is_none())
        .count();
    if !plan.probes.is_empty() {
        out.push_str(&format!("  {attached} of {} probes\n", plan.probes.len()));
    }
    for probe in &plan.probes {
        if let Some(why) = &probe.missing {
            paragraph(out, "  ", &format!("not attached: {}: {why}", probe.hook));
        }
    }
    for sight in [Sight::Exact, Sight::Derived, Sight::Blind] {
        let names: Vec<&str> = plan
            .counters
            .iter()
            .filter(|counter| counter.sight == sight)
            .map(|counter| counter.counter.as_str())
            .collect();
        if !names.is_empty() {
            paragraph(
                out,
                "  ",
                &format!("{}: {}", sight.name(), names.join(", ")),
            );
        }
    }
    let whys: BTreeSet<&str> = plan
        .counters
        .iter()
        .filter_map(|counter| counter.why.as_deref())
        .collect();
    for why in whys {
        paragraph(out, "  ", &format!("why: {why}"));
    }
    for note in &plan.notes {
        paragraph(out, "  ", &format!("note: {note}"));
    }
    if let Some(maps) = &plan.maps {
        paragraph(
            out,
            "  ",
            &format!(
                "maps: {} in the kernel ({} reckoned for {}): {} owners, {} namespaces, {} sockets, {} calls, {} of evidence",
                bytes(maps.bytes),
                size::bytes(maps.reckoned_bytes),
                size::count(u64::from(maps.possible_cpus), "possible CPU"),
                maps.owners,
                maps.namespaces,
                maps.sockets,
                maps.calls,
                size::bytes(u64::from(maps.ring_bytes)),
            ),
        );
    }
}
