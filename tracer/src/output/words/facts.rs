//! The facts of a report in sentences, each with its label.

use super::{ABSENT, bytes, number};
use crate::{
    diagnose::culprit::ratio,
    output::{size, text},
    report::{Attribution, Explained, Report, memory::AllocatedSource},
};

/// The limit, the node's memory, how much is explained and has an owner, the window, and the node.
pub(in crate::output) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let verdict = &report.verdict;
    let detail = verdict
        .detail
        .map_or_else(String::new, |detail| format!(" ({})", detail.name()));
    let limit = verdict.limit.map_or(ABSENT, |limit| limit.name());
    facts.push((
        "limit",
        format!("{limit}{detail}, evidence: {}", verdict.evidence.name()),
    ));
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
    facts.push(("memory", format!(
            "fill {}: {}{source} of {}; pressure line {}; under pressure: {pressure}; {} found in sockets",
            memory.fill.map_or_else(|| ABSENT.to_owned(), size::percent),
            bytes(memory.allocated_bytes),
            bytes(marks.map(|marks| marks.max)),
            bytes(marks.map(|marks| marks.pressure)),
            bytes(memory.found_bytes),
        )));
    if let Some(told) = &memory.explained {
        facts.push(("explained", explained(told)));
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
        facts.push(("pressure", format!("{words} by sockets of {owner}")));
    }
    facts.push((
        "sockets",
        format!(
            "{} allocated, {} orphans",
            number(memory.sockets),
            number(memory.orphans)
        ),
    ));
    let owners = &report.attribution;
    if let Some(words) = attribution(owners) {
        facts.push(("owners", words));
    }
    let window = &report.window;
    facts.push((
        "window",
        format!(
            "{} to {} ({})",
            window.start,
            window.end,
            size::nanos(window.duration_ns)
        ),
    ));
    let node = &report.node;
    facts.push((
        "node",
        format!(
            "{}, kernel {} {}, {}, tcpress {}",
            text::name(node.k8s_node_name.as_deref().unwrap_or(&node.host_name)),
            text::name(&node.kernel),
            text::name(&node.arch),
            size::count(u64::from(node.cpus), "CPU"),
            text::name(&report.tcpress),
        ),
    ));
    if let Some(narrowed) = &report.narrowed {
        facts.push(("shown", super::narrowed::sentence(narrowed)));
    }
    facts
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
