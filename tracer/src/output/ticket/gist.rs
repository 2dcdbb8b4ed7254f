//! A report in few lines, each of them safe and bounded, for places that have little room.

use crate::{
    output::{size, text, words},
    report::{
        Advice, Kind, LOSSES_BESIDES, Owner, Report, Victim, plan::Sight,
        reconciliation::NetnsState,
    },
};

/// Most lines of one part.
pub(super) const MAX_LINES: usize = 10;
/// Longest line, in characters.
pub(super) const MAX_LINE: usize = 600;
/// Longest command, in characters. A command is whole or absent: a part of one is a trap.
const MAX_COMMAND: usize = 1_200;

/// A report in few lines.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gist {
    /// The finding in one line.
    pub(super) headline: String,
    /// The finding in one sentence.
    pub(super) summary: String,
    /// The facts that speak for it.
    pub(super) evidence: Vec<String>,
    /// What it is not.
    pub(super) ruled_out: Vec<String>,
    /// What to do, the least harmful first.
    pub(super) actions: Vec<Step>,
    /// How to check it by hand.
    pub(super) checks: Vec<Step>,
    /// Who suffers.
    pub(super) victims: Vec<String>,
    /// Who is accused, and why.
    pub(super) culprits: Vec<String>,
    /// How far all of it can be trusted.
    pub(super) completeness: Vec<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// In words.
    pub(super) words: String,
    /// The command for it, where there is one.
    pub(super) command: Option<String>,
}

impl Gist {
    /// The gist of a report.
    pub(super) fn of(report: &Report) -> Self {
        let verdict = &report.verdict;
        // A healthy verdict stands on what was ruled out; it has nothing to check.
        let checks = match verdict.kind {
            Kind::Healthy => &[][..],
            _ => &verdict.checks,
        };
        Self {
            headline: line(&verdict.headline),
            summary: text::clean(&verdict.summary, 2 * MAX_LINE),
            evidence: lines(verdict.evidence_lines.iter().map(String::as_str)),
            ruled_out: lines(
                verdict
                    .ruled_out
                    .iter()
                    .map(|it| format!("{}: {}", it.what, it.why)),
            ),
            actions: verdict.advice.iter().take(MAX_LINES).map(action).collect(),
            checks: checks
                .iter()
                .take(MAX_LINES)
                .map(|check| step(&check.expect, Some(&check.command)))
                .collect(),
            victims: lines(report.victims.iter().map(suffers)),
            culprits: lines(
                report
                    .culprits
                    .iter()
                    .map(|it| format!("{} {}", title(&it.holder.owner), it.why)),
            ),
            completeness: lines(completeness(report)),
        }
    }
}

/// One safe and bounded line.
fn line(words: &str) -> String {
    text::clean(words, MAX_LINE)
}

/// So many of the lines as there is room for; of the rest the number.
fn lines(all: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut shown = Vec::new();
    let mut more = 0;
    for words in all {
        if shown.len() < MAX_LINES {
            shown.push(line(words.as_ref()));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        shown.push(format!("and {more} more, in the report"));
    }
    shown
}

fn step(words: &str, command: Option<&str>) -> Step {
    let mut words = line(words);
    let command = command.map(|command| text::clean(command, usize::MAX));
    let (command, long) = match command {
        Some(command) if command.chars().count() > MAX_COMMAND => (None, true),
        command => (command, false),
    };
    if long {
        words.push_str(" (The command is too long for this place; the report has it.)");
    }
    Step { words, command }
}

fn action(advice: &Advice) -> Step {
    let words = format!("{} {}", advice.action, words::advice::sentence(advice));
    step(&words, advice.command.as_deref())
}

/// What a victim lost, as far as it was seen.
fn suffers(victim: &Victim) -> String {
    let refusals = &victim.refusals;
    let mut parts = Vec::new();
    if [refusals.rcv, refusals.ofo, refusals.send_rcvq] != [None; 3] {
        let refused = size::count(victim.refused(), "segment");
        parts.push(format!("{refused} refused"));
    }
    if let Some(prunes) = victim.prunes {
        parts.push(size::count(prunes, "prune"));
    }
    for (lost, (one, how)) in victim.besides().into_iter().zip(LOSSES_BESIDES) {
        if lost > 0 {
            parts.push(format!("{} {how}", size::count(lost, one)));
        }
    }
    let did = match parts.is_empty() {
        true => "what it lost was not counted".to_owned(),
        false => parts.join(", "),
    };
    format!("{}: {did}", title(&victim.owner))
}

/// An owner with whom to call, short enough to leave room for what is said of it.
fn title(owner: &Owner) -> String {
    let name = text::name(&owner.name);
    match owner.contact_words() {
        Some(contact) => format!("{name} ({})", text::name(&contact)),
        None => name,
    }
}

/// How far a report can be trusted: when and where it was measured, what was seen, and what was not.
fn completeness(report: &Report) -> Vec<String> {
    let window = &report.window;
    let node = &report.node;
    let mut all = vec![
        format!(
            "window {} to {} ({})",
            window.start,
            window.end,
            size::nanos(window.duration_ns)
        ),
        format!(
            "node {}, kernel {} {}, tcpress {}",
            text::name(node.k8s_node_name.as_deref().unwrap_or(&node.host_name)),
            text::name(&node.kernel),
            text::name(&node.arch),
            text::name(&report.tcpress),
        ),
        seen(report),
        reconciled(report),
        format!("losses: {}", words::losses::sentence(&report.losses)),
    ];
    all.extend(report.losses.gaps.iter().map(|gap| format!("gap: {gap}")));
    all
}

/// What the verdict rests on.
fn seen(report: &Report) -> String {
    let plan = &report.plan;
    let basis = report.verdict.evidence.name();
    if let Some(why) = &plan.impossible {
        return format!("evidence: {basis}; nothing was traced: {why}");
    }
    let of = |sight| plan.counters.iter().filter(|it| it.sight == sight).count();
    format!(
        "evidence: {basis}; counters: {} exact, {} derived, {} blind",
        of(Sight::Exact),
        of(Sight::Derived),
        of(Sight::Blind)
    )
}

/// Our counts against the kernel's.
fn reconciled(report: &Report) -> String {
    let rows = &report.reconciliation;
    let compared = rows.iter().filter_map(|row| Some((row, row.residual?)));
    let (even, odd): (Vec<_>, Vec<_>) = compared.partition(|(_, residual)| *residual == 0);
    let gone = rows.iter().filter(|row| row.state == NetnsState::Gone);
    let gone = match gone.count() {
        0 => String::new(),
        rows => format!("; {rows} more of namespaces that died"),
    };
    let even = even.len() as u64 + report.at_rest.agreed;
    match odd.first() {
        None if even == 0 => format!("residual: not known{gone}"),
        None => format!("residual: 0 in all {even} comparisons with the kernel's counters{gone}"),
        Some((row, residual)) => format!(
            "residual: not 0 in {} of {} comparisons with the kernel's counters, as {residual} on {} in netns {}{gone}",
            odd.len(),
            even + odd.len() as u64,
            row.counter,
            row.netns
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Check, tests::incident::incident};

    #[test]
    fn lines_beyond_the_room_are_counted() {
        let many = (0..25).map(|number| number.to_string());
        let shown = lines(many);
        assert_eq!(shown.len(), MAX_LINES + 1);
        assert_eq!(shown[MAX_LINES], "and 15 more, in the report");
    }

    #[test]
    fn a_command_is_whole_or_absent() {
        let mut report = incident().report();
        let whole = Gist::of(&report);
        assert_eq!(
            whole.actions[1].command.as_deref(),
            Some("kubectl delete pod --namespace shop leaky")
        );
        report.verdict.checks = vec![Check {
            command: format!("cat {}", "x".repeat(MAX_COMMAND)),
            expect: "bytes".to_owned(),
        }];
        let step = &Gist::of(&report).checks[0];
        assert_eq!(step.command, None);
        assert!(step.words.contains("too long"), "{}", step.words);
    }

    #[test]
    fn what_is_not_known_is_not_called_none() {
        let mut report = incident().report();
        report.losses = Default::default();
        report.reconciliation.clear();
        let words = completeness(&report).join("\n");
        assert!(words.contains("losses: not measured"), "{words}");
        assert!(words.contains("residual: not known"), "{words}");
    }
}
