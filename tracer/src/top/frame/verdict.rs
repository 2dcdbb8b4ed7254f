//! The page of the verdict: what a report says in words.

use ratatui::{
    style::{Modifier, Style},
    text::Line,
};

use super::{TEXT, View};
use crate::output::text;

/// The lines of the page.
pub(super) fn lines(view: &View<'_>) -> Vec<Line<'static>> {
    let Some(report) = &view.state.shown().report else {
        return Vec::new();
    };
    let verdict = &report.verdict;
    let advice = verdict.advice.iter().map(|it| {
        format!(
            "{} Effect: {} Cost: {} Undo: {}",
            it.action, it.effect, it.cost, it.undo
        )
    });
    let mut lines = Vec::new();
    let mut section = |title: &'static str, sentences: Vec<String>| {
        if sentences.is_empty() {
            return;
        }
        if !lines.is_empty() {
            lines.push(Line::raw(""));
        }
        lines.push(Line::styled(
            title,
            Style::new().add_modifier(Modifier::BOLD),
        ));
        for sentence in sentences {
            lines.extend(text::wrap(&sentence, TEXT).into_iter().map(Line::raw));
        }
    };
    section("VERDICT", vec![verdict.summary.clone()]);
    let impossible = report.plan.impossible.iter();
    section("WHY NOTHING IS TRACED", impossible.cloned().collect());
    section("EVIDENCE", verdict.evidence_lines.clone());
    section("WHAT TO DO, the least harmful first", advice.collect());
    section("WHAT COULD NOT BE READ", report.losses.gaps.clone());
    lines
}
