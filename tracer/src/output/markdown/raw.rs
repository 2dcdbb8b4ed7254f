//! The report itself, folded: a JSON document of the same schema, without what there is no room for.

use super::{
    escape,
    page::{Page, units},
};
use crate::{
    output::json,
    report::{Plan, Report, SCHEMA},
};

/// A part that a smaller document lacks, and how it is taken away. An absent field reads as empty.
type Part = (&'static str, fn(&mut Report));

/// What is taken away, one after the other, until the rest fits.
const PARTS: [Part; 6] = [
    ("evidence", |report| report.evidence.clear()),
    ("largest and worst sockets", |report| {
        let culprits = report
            .culprits
            .iter_mut()
            .map(|culprit| &mut culprit.holder);
        for holder in report.holders.iter_mut().chain(culprits) {
            holder.top_sockets.clear();
        }
        for victim in &mut report.victims {
            victim.sockets.clear();
        }
    }),
    ("series and timeline", |report| {
        report.series = None;
        report.timeline = None;
    }),
    ("holders", |report| report.holders.clear()),
    ("plan and reconciliation", |report| {
        report.plan = Plan::default();
        report.reconciliation.clear();
    }),
    ("contexts", |report| {
        let victims = report.victims.iter_mut().map(|it| &mut it.context);
        let culprits = report.culprits.iter_mut().map(|it| &mut it.context);
        for context in victims.chain(culprits) {
            *context = None;
        }
    }),
];

/// Adds as much of the report as there is room for, indented where that fits.
pub(super) fn fold(page: &mut Page, report: &Report) {
    let mut smaller = report.clone();
    let mut left_out: Vec<&'static str> = Vec::new();
    if json::pretty(&smaller).is_ok_and(|text| offer(page, &text, &left_out)) {
        return;
    }
    for part in [None].into_iter().chain(PARTS.map(Some)) {
        if let Some((name, take)) = part {
            take(&mut smaller);
            left_out.push(name);
        }
        if json::line(&smaller).is_ok_and(|text| offer(page, &text, &left_out)) {
            return;
        }
    }
    page.leave_out(&["the report as JSON"]);
}

/// Whether it fitted.
fn offer(page: &mut Page, json: &str, left_out: &[&str]) -> bool {
    // What is larger by itself needs no dressing.
    if units(json) > page.left() {
        return false;
    }
    let without = if left_out.is_empty() {
        String::new()
    } else {
        format!(", without {}", left_out.join(", "))
    };
    let block = escape::block("", "json", json);
    page.add(&format!(
        "\n<details>\n<summary>The report as JSON ({SCHEMA}){without}</summary>\n\n{block}\n</details>\n"
    ))
}
