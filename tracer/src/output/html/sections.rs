//! The sections of a page that are words and tables.

use super::{
    escape::{escape, name, sentence},
    table::Table,
};
use crate::{
    output::{
        json, size, text,
        words::{self, ABSENT, bytes, number, reconciliation::is_worth_a_line},
    },
    report::{Kind, Owner, Report},
};

/// Most lines of a list; the document in the page has more.
const MAX_LINES: usize = 200;

/// What is the matter, and the facts that a reader judges the rest by.
pub(super) fn verdict(report: &Report) -> String {
    let verdict = &report.verdict;
    let facts = words::facts::facts(report).into_iter().take(MAX_LINES);
    let facts: String = facts
        .map(|(label, words)| format!("<dt>{label}</dt><dd>{}</dd>\n", sentence(&words)))
        .collect();
    format!(
        "<section id=\"verdict\">\n<p class=\"verdict\">{}</p>\n<p>{}</p>\n<dl>\n{facts}</dl>\n</section>\n",
        sentence(&verdict.headline),
        sentence(&verdict.summary)
    )
}

/// What to do.
pub(super) fn advice(report: &Report) -> String {
    let advice = report.verdict.advice.iter().take(MAX_LINES);
    let items: String = advice
        .map(|advice| {
            let command = advice.command.as_deref().map_or_else(String::new, command);
            format!(
                "<li><p>{}</p>{command}<p>{}</p></li>\n",
                sentence(&advice.action),
                sentence(&words::advice::sentence(advice))
            )
        })
        .collect();
    match items.as_str() {
        "" => String::new(),
        items => section(
            "advice",
            "What to do, the least harmful first",
            &format!("<ol>\n{items}</ol>\n"),
        ),
    }
}

/// What has recovered since an earlier report.
pub(super) fn recovery(report: &Report) -> String {
    let Some(recovery) = &report.recovery else {
        return String::new();
    };
    let title = format!("Recovery since {}", recovery.since);
    list("recovery", &title, words::recovery::lines(recovery))
}

/// Who suffered.
pub(super) fn victims(report: &Report) -> String {
    let mut table = Table::new(
        "What each owner suffered",
        &[
            "Owner",
            "Contact",
            "Refused#",
            "In order#",
            "Out of order#",
            "Prunes#",
            "Stall#",
            "More",
        ],
    );
    let accused = |owner: &Owner| report.culprits.iter().any(|it| it.holder.owner == *owner);
    for victim in &report.victims {
        let mut said = words::victim::sentences(victim);
        // Of a culprit it stands there.
        let context = victim.context.as_ref().filter(|_| !accused(&victim.owner));
        said.extend(context.map(words::context::sentence));
        table.row(vec![
            name(&victim.owner.name),
            contact(&victim.owner),
            victim.refused().to_string(),
            number(victim.refusals.rcv),
            number(victim.refusals.ofo),
            number(victim.prunes),
            victim
                .stall_ns
                .map_or_else(|| ABSENT.to_owned(), size::nanos),
            sentence(&said.join("; ")),
        ]);
    }
    owners("victims", "Victims", report.victims.is_empty(), &table)
}

/// Who is accused, and why.
pub(super) fn culprits(report: &Report) -> String {
    let mut table = Table::new(
        "What each owner holds, and why it is accused",
        &[
            "Owner", "Contact", "Held#", "Share#", "Growth#", "Sockets#", "Unread#", "Why",
        ],
    );
    for culprit in &report.culprits {
        let holder = &culprit.holder;
        let mut said = vec![culprit.why.trim_end_matches('.').to_owned()];
        said.extend(words::holder::sentences(holder));
        said.extend(culprit.context.as_ref().map(words::context::sentence));
        table.row(vec![
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
            sentence(&said.join("; ")),
        ]);
    }
    owners("culprits", "Culprits", report.culprits.is_empty(), &table)
}

/// When the state of the node changed.
pub(super) fn timeline(report: &Report) -> String {
    let moments = report.timeline.iter().flatten();
    let lines = moments.map(|moment| {
        let time = moment.at.strftime("%H:%M:%S%.6f");
        format!("{time} {}", words::node::moment(moment))
    });
    list("timeline", "Timeline (UTC)", lines)
}

/// The facts that speak for the verdict.
pub(super) fn evidence(report: &Report) -> String {
    let lines = match report.verdict.kind {
        Kind::Healthy => &[][..],
        _ => report.verdict.evidence_lines.as_slice(),
    };
    list("evidence", "Evidence", lines)
}

/// What it is not.
pub(super) fn ruled_out(report: &Report) -> String {
    let ruled_out = report.verdict.ruled_out.iter();
    let lines = ruled_out.map(|it| format!("{}: {}", it.what, it.why));
    list("ruled-out", "Ruled out", lines)
}

/// How to check it.
pub(super) fn checks(report: &Report) -> String {
    if report.verdict.kind == Kind::Healthy || report.verdict.checks.is_empty() {
        return String::new();
    }
    let checks = report.verdict.checks.iter().take(MAX_LINES);
    let checks: String = checks
        .map(|check| {
            format!(
                "{}<p>{}</p>\n",
                command(&check.command),
                sentence(&check.expect)
            )
        })
        .collect();
    section("checks", "Check by hand", &checks)
}

/// Memory cgroups under pressure.
pub(super) fn memcgs(report: &Report) -> String {
    let memcgs = report.memcg_pressure.iter().flatten();
    list(
        "memcgs",
        "Memory cgroups under pressure",
        memcgs.map(words::node::memcg),
    )
}

/// Our counts against the kernel's.
pub(super) fn reconciliation(report: &Report) -> String {
    let rows = &report.reconciliation;
    let mut table = Table::new(
        "Counters that are off, or moved without anything to compare them with",
        &[
            "Network namespace",
            "Counter",
            "Kernel#",
            "Ours#",
            "Residual#",
            "Bound#",
        ],
    );
    let mut off = false;
    for row in rows.iter().filter(|row| is_worth_a_line(row)) {
        off = true;
        let residual = row.residual.map(|residual| format!("{residual:+}"));
        table.row(vec![
            name(&row.netns),
            name(&row.counter),
            number(row.kernel),
            number(row.attributed),
            residual.unwrap_or_else(|| ABSENT.to_owned()),
            number(row.bound),
        ]);
    }
    let namespaces = rows.chunk_by(|a, b| a.netns == b.netns);
    let lines = namespaces.map(words::reconciliation::netns);
    let lines = lines.chain(words::reconciliation::at_rest(report.at_rest));
    let mut out = list(
        "reconciliation",
        "Reconciliation: the kernel's count minus ours, per network namespace",
        lines,
    );
    if off {
        out.push_str(&table.html());
    }
    out
}

/// What was lost, and what could not be seen.
pub(super) fn losses(report: &Report) -> String {
    let gaps = report.losses.gaps.iter().map(|gap| format!("gap: {gap}"));
    let lost = [words::losses::sentence(&report.losses)];
    list("losses", "Losses", lost.into_iter().chain(gaps))
}

/// What the kernel let us see.
pub(super) fn plan(report: &Report) -> String {
    list("plan", "Plan", words::plan::lines(&report.plan))
}

/// Failures that were sampled.
pub(super) fn samples(report: &Report) -> String {
    if report.evidence.is_empty() {
        return String::new();
    }
    let mut table = Table::new(
        "Single failures with the numbers of their instant: a sample, never a count",
        &[
            "Time",
            "Owner",
            "Local",
            "Remote",
            "State",
            "Queue",
            "Limit",
            "Receive memory#",
            "Buffer#",
            "Unread#",
            "Node#",
            "High mark#",
        ],
    );
    for event in &report.evidence {
        let end = |end: &Option<String>| name(end.as_deref().unwrap_or_default());
        let detail = event
            .detail
            .map_or_else(String::new, |detail| format!(" ({})", detail.name()));
        table.row(vec![
            sentence(&event.at.strftime("%H:%M:%S%.6f").to_string()),
            name(&event.owner.name),
            end(&event.local),
            end(&event.remote),
            name(&event.state),
            event.queue.name().to_owned(),
            format!("{}{detail}", event.limit.name()),
            bytes(event.rmem_alloc_bytes),
            bytes(event.rcvbuf_bytes),
            bytes(event.unread_bytes),
            bytes(event.allocated_bytes),
            bytes(event.tcp_mem_max_bytes),
        ]);
    }
    let table = table.html();
    section(
        "samples",
        "Sampled failures",
        &format!("<details><summary>Show them</summary>\n{table}</details>\n"),
    )
}

/// The report itself.
pub(super) fn raw(report: &Report) -> String {
    let json =
        json::pretty(report).unwrap_or_else(|error| format!("it cannot be written: {error}"));
    format!(
        "<details class=\"raw\" id=\"raw\"><summary>The report as JSON</summary>\n<pre>{}</pre>\n</details>\n",
        escape(&json)
    )
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{body}</section>\n",
        sentence(title)
    )
}

fn owners(id: &str, title: &str, none: bool, table: &Table) -> String {
    match none {
        true => section(id, title, "<p>None.</p>\n"),
        false => section(id, title, &table.html()),
    }
}

fn contact(owner: &Owner) -> String {
    name(&owner.contact_words().unwrap_or_default())
}

/// A command, whole, so that it can be copied.
fn command(line: &str) -> String {
    format!(
        "<pre><code>{}</code></pre>",
        escape(&text::clean(line, usize::MAX))
    )
}

/// A list with its heading; nothing where it has no line.
fn list(id: &str, title: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut items = String::new();
    let mut count = 0_usize;
    for line in lines {
        if count < MAX_LINES {
            items.push_str(&format!("<li>{}</li>\n", sentence(line.as_ref())));
        }
        count += 1;
    }
    if count == 0 {
        return String::new();
    }
    if count > MAX_LINES {
        items.push_str(&format!(
            "<li>… and {} more, in the document below</li>\n",
            count - MAX_LINES
        ));
    }
    section(id, title, &format!("<ul>\n{items}</ul>\n"))
}
