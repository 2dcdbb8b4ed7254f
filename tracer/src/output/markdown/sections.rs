//! The sections of a report in Markdown. Each is whole by itself and bounded; one with nothing to say is empty.

use super::escape::{block, name, prose};
use crate::{
    output::{
        size, text,
        words::{self, ABSENT, number, reconciliation::is_worth_a_line},
    },
    report::{Check, Holder, Kind, Owner, Report},
};

/// Longest sentence, in characters.
const MAX_SENTENCE: usize = 1_200;
/// Longest command, in characters. A part of a command is a trap, so a longer one is left out.
const MAX_COMMAND: usize = 1_000;
/// Most rows of a table and lines of a list.
const MAX_LINES: usize = 20;
/// Most moments of the timeline.
const MAX_MOMENTS: usize = 12;

/// What is the matter.
pub(super) fn verdict(report: &Report) -> String {
    let verdict = &report.verdict;
    let node = &report.node;
    format!(
        "## TCP memory of {}: {}\n\n**Verdict:** {}\n\n{}\n",
        name(node.k8s_node_name.as_deref().unwrap_or(&node.host_name)),
        name(verdict.kind.name()),
        sentence(&verdict.headline),
        prose(&verdict.summary, 3 * MAX_SENTENCE),
    )
}

/// Facts that a reader judges the rest by.
pub(super) fn facts(report: &Report) -> String {
    let facts = words::facts::facts(report).into_iter();
    let rows = facts.map(|(label, words)| vec![label.to_owned(), sentence(&words)]);
    table(&["Fact", "Figures"], "--", rows)
}

/// What has recovered since an earlier report.
pub(super) fn recovery(report: &Report) -> String {
    let Some(recovery) = &report.recovery else {
        return String::new();
    };
    let title = format!("Recovery since {}", prose(&recovery.since.to_string(), 100));
    list(&title, words::recovery::lines(recovery))
}

/// What to do.
pub(super) fn advice(report: &Report) -> String {
    let advice = &report.verdict.advice;
    if advice.is_empty() {
        return String::new();
    }
    let mut out = heading("What to do, the least harmful first");
    for (at, advice) in advice.iter().take(MAX_LINES).enumerate() {
        let mark = format!("{}. ", at + 1);
        let indent = " ".repeat(mark.len());
        out.push_str(&format!("{mark}{}\n\n", sentence(&advice.action)));
        if let Some(line) = &advice.command {
            out.push_str(&command(&indent, line));
            out.push('\n');
        }
        let more = sentence(&words::advice::sentence(advice));
        if !more.is_empty() {
            out.push_str(&format!("{indent}{more}\n\n"));
        }
    }
    out.push_str(&rest(advice.len()));
    out
}

/// Who suffered.
pub(super) fn victims(report: &Report) -> String {
    let victims = &report.victims;
    if victims.is_empty() {
        return format!("{}None.\n", heading("Victims"));
    }
    let rows = victims.iter().map(|victim| {
        let ns = |ns: Option<u64>| ns.map_or_else(|| ABSENT.to_owned(), size::nanos);
        let stall = victim.stall_percentiles.as_ref();
        vec![
            name(&victim.owner.name),
            contact(&victim.owner),
            victim.refused().to_string(),
            number(victim.refusals.rcv),
            number(victim.refusals.ofo),
            number(victim.prunes),
            ns(stall.map(|it| it.p99_ns)),
            ns(victim.stall_ns),
        ]
    });
    let mut out = heading("Victims");
    let head = [
        "Owner",
        "Contact",
        "Refused",
        "In order",
        "Out of order",
        "Prunes",
        "Stall p99",
        "Stall in all",
    ];
    out.push_str(&table(&head, "--rrrrrr", rows));
    out.push('\n');
    let accused = |owner: &Owner| report.culprits.iter().any(|it| it.holder.owner == *owner);
    for victim in victims.iter().take(MAX_LINES) {
        let mut said = words::victim::sentences(victim);
        // Of a culprit it stands there.
        let context = victim.context.as_ref().filter(|_| !accused(&victim.owner));
        said.extend(context.map(words::context::sentence));
        about(&mut out, &victim.owner, &said);
    }
    out
}

/// Who is accused, and why.
pub(super) fn culprits(report: &Report) -> String {
    let culprits = &report.culprits;
    if culprits.is_empty() {
        return format!("{}None.\n", heading("Culprits"));
    }
    let mut out = heading("Culprits");
    out.push_str(&held(culprits.iter().map(|culprit| &culprit.holder)));
    out.push('\n');
    for culprit in culprits.iter().take(MAX_LINES) {
        let mut said = vec![culprit.why.trim_end_matches('.').to_owned()];
        said.extend(words::holder::states(&culprit.holder));
        said.extend(words::holder::sentences(&culprit.holder));
        said.extend(culprit.context.as_ref().map(words::context::sentence));
        about(&mut out, &culprit.holder.owner, &said);
    }
    out
}

/// Who holds memory, where nobody is accused.
pub(super) fn holders(report: &Report) -> String {
    if report.holders.is_empty() || !report.culprits.is_empty() {
        return String::new();
    }
    let mut out = heading("Holders (a fact, not an accusation)");
    out.push_str(&held(report.holders.iter()));
    out
}

/// The facts that speak for the verdict.
pub(super) fn evidence(report: &Report) -> String {
    let lines = match report.verdict.kind {
        Kind::Healthy => &[][..],
        _ => report.verdict.evidence_lines.as_slice(),
    };
    list("Evidence", lines)
}

/// What it is not.
pub(super) fn ruled_out(report: &Report) -> String {
    let ruled_out = report.verdict.ruled_out.iter();
    list(
        "Ruled out",
        ruled_out.map(|it| format!("{}: {}", it.what, it.why)),
    )
}

/// How to check it.
pub(super) fn checks(report: &Report) -> String {
    let checks = &report.verdict.checks;
    if checks.is_empty() || report.verdict.kind == Kind::Healthy {
        return String::new();
    }
    let mut out = heading("Check by hand");
    for Check {
        command: line,
        expect,
    } in checks.iter().take(MAX_LINES)
    {
        out.push_str(&command("", line));
        out.push_str(&format!("\n{}\n\n", sentence(expect)));
    }
    out.push_str(&rest(checks.len()));
    out
}

/// Memory cgroups under pressure.
pub(super) fn memcgs(report: &Report) -> String {
    let memcgs = report.memcg_pressure.iter().flatten();
    list(
        "Memory cgroups under pressure",
        memcgs.map(words::node::memcg),
    )
}

/// When the state of the node changed.
pub(super) fn timeline(report: &Report) -> String {
    let moments = report.timeline.as_deref().unwrap_or_default();
    let mut lines: Vec<String> = moments
        .iter()
        .take(MAX_MOMENTS)
        .map(|moment| {
            let time = moment.at.strftime("%H:%M:%S%.6f");
            format!("{time} {}", words::node::moment(moment))
        })
        .collect();
    if moments.len() > MAX_MOMENTS {
        lines.push(format!("and {} more", moments.len() - MAX_MOMENTS));
    }
    list("Timeline (UTC)", lines)
}

/// Our counts against the kernel's.
pub(super) fn reconciliation(report: &Report) -> String {
    let rows = &report.reconciliation;
    let mut out = list(
        "Reconciliation (the kernel's count minus ours, per network namespace)",
        rows.chunk_by(|a, b| a.netns == b.netns)
            .map(words::reconciliation::netns)
            .chain(words::reconciliation::at_rest(report.at_rest)),
    );
    let off = rows.iter().filter(|row| is_worth_a_line(row));
    let off: Vec<Vec<String>> = off
        .map(|row| {
            let residual = row.residual.map(|residual| format!("{residual:+}"));
            vec![
                name(&row.netns),
                name(&row.counter),
                number(row.kernel),
                number(row.attributed),
                residual.unwrap_or_else(|| ABSENT.to_owned()),
                number(row.bound),
            ]
        })
        .collect();
    if !off.is_empty() {
        let head = ["Netns", "Counter", "Kernel", "Ours", "Residual", "Bound"];
        out.push('\n');
        out.push_str(&table(&head, "--rrrr", off.into_iter()));
    }
    out
}

/// What was lost, and what could not be seen.
pub(super) fn losses(report: &Report) -> String {
    let gaps = report.losses.gaps.iter().map(|gap| format!("gap: {gap}"));
    let lost = [words::losses::sentence(&report.losses)];
    list("Losses", lost.into_iter().chain(gaps))
}

/// What the kernel let us see.
pub(super) fn plan(report: &Report) -> String {
    list("Plan", words::plan::lines(&report.plan))
}

fn heading(title: &str) -> String {
    format!("### {title}\n\n")
}

fn sentence(words: &str) -> String {
    prose(words, MAX_SENTENCE)
}

fn contact(owner: &Owner) -> String {
    owner
        .contact_words()
        .map_or_else(|| ABSENT.to_owned(), |contact| prose(&contact, 100))
}

/// A list with its heading; nothing where it has no line.
fn list(title: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::new();
    let mut count = 0;
    for line in lines {
        if count == 0 {
            out = heading(title);
        }
        if count < MAX_LINES {
            out.push_str(&format!("- {}\n", sentence(line.as_ref())));
        }
        count += 1;
    }
    out.push_str(&rest(count));
    out
}

/// How many of so many lines or rows are not shown.
fn rest(count: usize) -> String {
    match count.saturating_sub(MAX_LINES) {
        0 => String::new(),
        more => format!("\n… and {more} more\n"),
    }
}

/// One owner and what is said of it, as a line of a list.
fn about(out: &mut String, owner: &Owner, said: &[String]) {
    if !said.is_empty() {
        let words = prose(&said.join("; "), 2 * MAX_SENTENCE);
        out.push_str(&format!("- {}: {words}\n", name(&owner.name)));
    }
}

/// What holders hold.
fn held<'a>(holders: impl Iterator<Item = &'a Holder>) -> String {
    let rows = holders.map(|holder| {
        vec![
            name(&holder.owner.name),
            contact(&holder.owner),
            size::bytes(holder.held_bytes),
            holder
                .share
                .map_or_else(|| ABSENT.to_owned(), size::percent),
            holder
                .growth_bytes
                .map_or_else(|| ABSENT.to_owned(), size::change),
            holder.sockets.to_string(),
            size::bytes(holder.unread_bytes),
        ]
    });
    let head = [
        "Owner", "Contact", "Held", "Share", "Growth", "Sockets", "Unread",
    ];
    table(&head, "--rrrrr", rows)
}

/// A table; `align` has a letter for each column, `r` for one that stands to the right. The cells must be Markdown.
fn table(head: &[&str], align: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = head.iter().map(ToString::to_string).collect();
    let mut out = line(&heads);
    let marks: Vec<String> = (0..head.len())
        .map(|column| match align.as_bytes().get(column) {
            Some(b'r') => "---:".to_owned(),
            _ => "---".to_owned(),
        })
        .collect();
    out.push_str(&line(&marks));
    let mut count = 0;
    for cells in rows {
        if count < MAX_LINES {
            out.push_str(&line(&cells));
        }
        count += 1;
    }
    out.push_str(&rest(count));
    out
}

/// A command in a block, whole, so that it can be copied.
fn command(indent: &str, line: &str) -> String {
    let line = text::clean(line, usize::MAX);
    if line.chars().count() > MAX_COMMAND {
        return format!(
            "{indent}(The command is too long for this place; the JSON document has it.)\n"
        );
    }
    block(indent, "sh", &line)
}
