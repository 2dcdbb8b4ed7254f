//! A report for a terminal: plain text within 100 columns, verdict first.

mod node;
mod owners;
mod reconciliation;
mod recovery;
mod verdict;

use super::{
    page::{Ink, Page, Style},
    text, words,
};
use crate::report::{Kind, Plan, Report};

/// The whole report on an ordinary page.
#[must_use]
pub fn report(report: &Report) -> String {
    styled(report, Style::default())
}

/// The whole report.
#[must_use]
pub fn styled(report: &Report, style: Style) -> String {
    let mut out = Page::new(style);
    verdict::section(&mut out, &report.verdict);
    recovery::section(&mut out, report.recovery.as_ref());
    out.push('\n');
    for (label, sentence) in words::facts::facts(report) {
        fact(&mut out, label, &sentence);
    }
    owners::victims(&mut out, &report.victims, &report.culprits);
    owners::culprits(&mut out, &report.culprits);
    if report.culprits.is_empty() {
        owners::holders(&mut out, &report.holders);
    }
    node::memcgs(&mut out, report.memcg_pressure.as_deref());
    node::timeline(&mut out, report.timeline.as_deref());
    reconciliation::section(&mut out, report);
    if let Some(check) = &report.selfcheck {
        heading(&mut out, "SELF-CHECK");
        paragraph(&mut out, "  ", &check.words());
    }
    losses(&mut out, report);
    plan(&mut out, &report.plan);
    out.into_text()
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

pub(in crate::output) fn paragraph(out: &mut Page, indent: &str, sentence: &str) {
    for line in text::wrap(sentence, out.width() - indent.chars().count()) {
        out.push_str(indent);
        out.push_str(&line);
        out.push('\n');
    }
}

/// A label of ten characters and a sentence beside it.
fn fact(out: &mut Page, label: &str, sentence: &str) {
    for (number, line) in text::wrap(sentence, out.width() - 10).iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        out.push_str(&format!("{label:10}{line}\n"));
    }
}

pub(in crate::output) fn heading(out: &mut Page, title: &str) {
    out.push('\n');
    out.push_in(Ink::Bold, &text::clean(title, usize::MAX));
    out.push('\n');
}

fn losses(out: &mut Page, report: &Report) {
    heading(out, "LOSSES");
    paragraph(out, "  ", &words::losses::sentence(&report.losses));
    for gap in &report.losses.gaps {
        paragraph(out, "  ", &format!("gap: {gap}"));
    }
}

/// The plan, as `doctor` shows it too.
pub(super) fn plan(out: &mut Page, plan: &Plan) {
    heading(out, "PLAN");
    for line in words::plan::lines(plan) {
        paragraph(out, "  ", &line);
    }
}
