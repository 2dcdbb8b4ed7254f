//! A report for a terminal: plain text within 100 columns, verdict first.

use super::{
    columns::{Columns, PAGE},
    size, text,
};
use crate::report::{Culprit, Holder, Reconciliation, Report, plan::Sight};

/// What stands for an absent value.
const ABSENT: &str = "–";
/// Lines of single counters in one reconciliation.
const MAX_ROWS: usize = 40;
/// States under one holder.
const MAX_STATES: usize = 3;

/// The whole report.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    verdict(&mut out, report);
    facts(&mut out, report);
    victims(&mut out, report);
    culprits(&mut out, &report.culprits);
    if report.culprits.is_empty() {
        holders(&mut out, &report.holders);
    }
    reconciliation(&mut out, &report.reconciliation);
    losses(&mut out, report);
    plan(&mut out, report);
    out
}

/// The verdict of a report in one line, for an answer that is still to be refined.
#[must_use]
pub fn one_line(report: &Report) -> String {
    text::clean(&report.verdict.summary, usize::MAX)
}

fn paragraph(out: &mut String, indent: &str, sentence: &str) {
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

fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{title}\n"));
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

fn bytes(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), size::bytes)
}

fn verdict(out: &mut String, report: &Report) {
    let verdict = &report.verdict;
    paragraph(out, "", &format!("VERDICT: {}", verdict.summary));
    for advice in &verdict.advice {
        paragraph(
            out,
            "  ",
            &format!(
                "- {} Effect: {} Cost: {} Undo: {}",
                advice.action, advice.effect, advice.cost, advice.undo
            ),
        );
    }
    out.push('\n');
}

fn facts(out: &mut String, report: &Report) {
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
        Some(crate::report::memory::AllocatedSource::Refusal) => " as compared at a refusal",
        Some(crate::report::memory::AllocatedSource::Sockstat) => " by sockstat",
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
    fact(
        out,
        "sockets",
        &format!(
            "{} allocated, {} orphans",
            number(memory.sockets),
            number(memory.orphans)
        ),
    );
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

fn victims(out: &mut String, report: &Report) {
    heading(out, "VICTIMS");
    if report.victims.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&[
        "OWNER",
        "REFUSED",
        "RCV",
        "OFO",
        "REPAIR",
        "PRUNES",
        "GAVE UP",
        "OFO PRUNES",
        "MERGED",
        "STALL",
    ]);
    for victim in &report.victims {
        let refusals = &victim.refusals;
        table.row(&[
            victim.owner.name.clone(),
            victim.refused().to_string(),
            number(refusals.rcv),
            number(refusals.ofo),
            number(refusals.send_rcvq),
            number(victim.prunes),
            number(victim.rcv_pruned),
            number(victim.ofo_prunes),
            number(victim.collapsed_skbs),
            victim
                .stall_ns
                .map_or_else(|| ABSENT.to_owned(), size::nanos),
        ]);
        let limits = &victim.refusals_by_limit;
        let by_limit: Vec<String> = [
            ("rcvbuf", limits.rcvbuf),
            ("tcp_mem", limits.tcp_mem),
            ("memcg", limits.memcg),
            ("unknown", limits.unknown),
        ]
        .iter()
        .filter_map(|(name, count)| count.filter(|n| *n > 0).map(|n| format!("{name} {n}")))
        .collect();
        let mut note = Vec::new();
        if !by_limit.is_empty() {
            note.push(format!("by limit: {}", by_limit.join(", ")));
        }
        if let Some(forced) = victim.forced_admissions.filter(|n| *n > 0) {
            note.push(size::count(forced, "forced admission"));
        }
        if let Some(early) = victim.early_exits.filter(|n| *n > 0) {
            note.push(size::count(early, "early exit"));
        }
        if let Some(worst) = victim.sockets.first() {
            note.push(format!(
                "worst socket {} → {} ({} refused)",
                worst.local.as_deref().unwrap_or(ABSENT),
                worst.remote.as_deref().unwrap_or(ABSENT),
                worst.refusals
            ));
        }
        table.note(&note.join("; "));
    }
    table.write(out);
}

const HOLDER_HEAD: [&str; 8] = [
    "OWNER", "HELD", "SHARE", "GROWTH", "SOCKETS", "RECEIVE", "SEND", "UNREAD",
];

fn holder_row(table: &mut Columns, holder: &Holder) {
    table.row(&[
        holder.owner.name.clone(),
        size::bytes(holder.held_bytes),
        holder
            .share
            .map_or_else(|| ABSENT.to_owned(), size::percent),
        holder
            .growth_bytes
            .map_or_else(|| ABSENT.to_owned(), size::change),
        holder.sockets.to_string(),
        size::bytes(holder.receive_bytes),
        size::bytes(holder.send_bytes),
        size::bytes(holder.unread_bytes),
    ]);
    let states: Vec<String> = holder
        .states
        .iter()
        .take(MAX_STATES)
        .map(|state| {
            format!(
                "{} {} in {}",
                state.state,
                size::bytes(state.held_bytes),
                size::count(state.sockets, "socket")
            )
        })
        .collect();
    table.note(&states.join("; "));
}

fn culprits(out: &mut String, culprits: &[Culprit]) {
    heading(out, "CULPRITS");
    if culprits.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for culprit in culprits {
        holder_row(&mut table, &culprit.holder);
        table.note(&culprit.why);
    }
    table.write(out);
}

fn holders(out: &mut String, holders: &[Holder]) {
    heading(out, "HOLDERS (a fact, not an accusation)");
    if holders.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for holder in holders {
        holder_row(&mut table, holder);
    }
    table.write(out);
}

fn reconciliation(out: &mut String, rows: &[Reconciliation]) {
    heading(
        out,
        "RECONCILIATION (kernel's count minus ours, per network namespace)",
    );
    if rows.is_empty() {
        out.push_str("  no counter was read\n");
        return;
    }
    let mut details = Columns::new(&["NETNS", "COUNTER", "KERNEL", "OURS", "RESIDUAL", "BOUND"]);
    let mut shown = 0;
    for group in rows.chunk_by(|a, b| a.netns == b.netns) {
        let known: Vec<i64> = group.iter().filter_map(|row| row.residual).collect();
        let off = known.iter().filter(|residual| **residual != 0).count();
        let open = group.len() - known.len();
        let mut line = match (known.len(), off) {
            (0, _) => "residual not known".to_owned(),
            (n, 0) => format!("residual 0 on all {n} counters"),
            (n, off) => format!("residual not 0 on {off} of {n} counters"),
        };
        if open > 0 && !known.is_empty() {
            line.push_str(&format!(", not known on {open}"));
        }
        let Some(first) = group.first() else { continue };
        let life = match first.state {
            crate::report::reconciliation::NetnsState::Present => "",
            crate::report::reconciliation::NetnsState::Born => " (born in the window)",
            crate::report::reconciliation::NetnsState::Gone => " (gone in the window)",
        };
        paragraph(out, "  ", &format!("netns {}{life}: {line}", first.netns));
        for row in group {
            let moved = row.kernel.unwrap_or(0) > 0 || row.attributed.unwrap_or(0) > 0;
            if row.residual.is_some_and(|residual| residual != 0)
                || (row.residual.is_none() && moved)
            {
                shown += 1;
                if shown <= MAX_ROWS {
                    details.row(&[
                        row.netns.clone(),
                        row.counter.clone(),
                        number(row.kernel),
                        number(row.attributed),
                        row.residual
                            .map_or_else(|| ABSENT.to_owned(), |r| format!("{r:+}")),
                        number(row.bound),
                    ]);
                }
            }
        }
    }
    if shown > 0 {
        details.write(out);
    }
    if shown > MAX_ROWS {
        out.push_str(&format!("  … and {} more\n", shown - MAX_ROWS));
    }
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

fn plan(out: &mut String, report: &Report) {
    heading(out, "PLAN");
    let plan = &report.plan;
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
    for note in &plan.notes {
        paragraph(out, "  ", &format!("note: {note}"));
    }
}
