//! The verdict: one line, then why, then what to do.

use super::{heading, paragraph};
use crate::{
    output::{
        page::{Ink, Page},
        text, words,
    },
    report::{Advice, Kind, Verdict},
};

/// The section that every report begins with.
pub(super) fn section(out: &mut Page, verdict: &Verdict) {
    let ink = match verdict.kind {
        Kind::Healthy => Ink::Good,
        Kind::Inconclusive => Ink::Doubtful,
        _ => Ink::Bad,
    };
    for line in text::wrap(&format!("VERDICT: {}", verdict.headline), out.width()) {
        out.push_in(ink, &line);
        out.push('\n');
    }
    paragraph(out, "  ", &verdict.summary);
    if verdict.kind != Kind::Healthy {
        lines(out, "EVIDENCE", verdict.evidence_lines.iter().cloned());
    }
    let ruled_out = verdict.ruled_out.iter();
    lines(
        out,
        "RULED OUT",
        ruled_out.map(|it| format!("{}: {}", it.what, it.why)),
    );
    if !verdict.advice.is_empty() {
        heading(out, "WHAT TO DO, the least harmful first");
        for (number, advice) in verdict.advice.iter().enumerate() {
            action(out, number + 1, advice);
        }
    }
    if verdict.kind != Kind::Healthy && !verdict.checks.is_empty() {
        heading(out, "CHECK BY HAND");
        for check in &verdict.checks {
            command(out, "  ", &check.command);
            paragraph(out, "    ", &check.expect);
        }
    }
}

fn lines(out: &mut Page, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    heading(out, title);
    for line in lines {
        paragraph(out, "  ", &line);
    }
}

fn action(out: &mut Page, number: usize, advice: &Advice) {
    paragraph(out, "  ", &format!("{number}. {}", advice.action));
    if let Some(line) = &advice.command {
        command(out, "     ", line);
    }
    paragraph(out, "     ", &words::advice::sentence(advice));
}

/// A command stands on a line of its own, whole, so that it can be copied.
fn command(out: &mut Page, indent: &str, line: &str) {
    out.push_str(indent);
    out.push_str("$ ");
    out.push_str(&text::clean(line, usize::MAX));
    out.push('\n');
}
