//! Joined reports for a terminal, within 100 columns.

use super::{
    columns::Columns,
    page::Page,
    size,
    table::{heading, paragraph},
    text,
};
use crate::report::merged::{Merged, MergedNode, MergedOwner};

/// What stands for an absent value.
const ABSENT: &str = "–";
/// Longest name of a node in the table of nodes.
const NODE_MAX: usize = 30;

/// All of it.
#[must_use]
pub fn table(merged: &Merged) -> String {
    let mut out = Page::default();
    summary(&mut out, merged);
    nodes(&mut out, &merged.nodes);
    owners(&mut out, "CULPRITS", &merged.culprits);
    owners(&mut out, "VICTIMS", &merged.victims);
    if !merged.shared.is_empty() {
        heading(&mut out, "WHAT AFFECTED NODES SHARE");
        for it in &merged.shared {
            let words = format!(
                "{} {}: {} of {} affected, {} of {} others",
                it.what,
                it.value,
                it.affected,
                merged.affected,
                it.others,
                merged.reports.saturating_sub(merged.affected)
            );
            paragraph(&mut out, "  ", &words);
        }
    }
    if !merged.gaps.is_empty() {
        heading(&mut out, "GAPS");
        for gap in &merged.gaps {
            paragraph(&mut out, "  ", gap);
        }
    }
    out.into_text()
}

fn summary(out: &mut Page, merged: &Merged) {
    let words = format!(
        "{} of {} affected, {} healthy, {} inconclusive: {} refused, {} held",
        merged.affected,
        size::count(merged.reports, "report"),
        merged.healthy,
        merged.inconclusive,
        size::count(merged.refusals, "segment"),
        size::bytes(merged.held_bytes)
    );
    paragraph(out, "", &words);
    if let Some(window) = merged.window {
        paragraph(out, "", &format!("from {} to {}", window.start, window.end));
    }
    if let Some(stall) = merged.stall_percentiles {
        let words = format!(
            "a prune kept the CPU {} (p50), {} (p99), {} (longest)",
            size::nanos(stall.p50_ns),
            size::nanos(stall.p99_ns),
            size::nanos(stall.max_ns)
        );
        paragraph(out, "", &words);
    }
}

fn nodes(out: &mut Page, nodes: &[MergedNode]) {
    if nodes.is_empty() {
        return;
    }
    heading(out, "NODES");
    let mut table = Columns::new(&["NODE", "VERDICT", "FILL", "FULL IN", "REFUSED", "CULPRIT"]);
    for node in nodes {
        let full = match node.full_in_ms {
            Some(0) => "now".to_owned(),
            Some(ms) => size::nanos(ms.saturating_mul(1_000_000)),
            None => ABSENT.to_owned(),
        };
        let culprit = node.culprit.as_deref().unwrap_or(ABSENT);
        table.row(&[
            text::clean(&node.node, NODE_MAX),
            node.kind.name().to_owned(),
            node.fill.map_or_else(|| ABSENT.to_owned(), size::percent),
            full,
            node.refusals.to_string(),
            text::clean(culprit, NODE_MAX),
        ]);
        if let Some(contact) = &node.contact {
            table.note(&format!("contact: {contact}"));
        }
        if !node.overlaps {
            let off = size::nanos(node.offset_ms.unsigned_abs().saturating_mul(1_000_000));
            let way = if node.offset_ms < 0 {
                "before"
            } else {
                "after"
            };
            table.note(&format!(
                "watched {off} {way} the median node, or its clock is wrong"
            ));
        }
    }
    table.write(out);
}

fn owners(out: &mut Page, title: &str, owners: &[MergedOwner]) {
    if owners.is_empty() {
        return;
    }
    heading(out, title);
    let mut table = Columns::new(&["OWNER", "NODES", "REFUSED", "HELD", "SOCKETS"]);
    for owner in owners {
        table.row_with(
            owner.contact.as_deref(),
            &[
                owner.name.clone(),
                owner.nodes.len().to_string(),
                owner.refusals.to_string(),
                size::bytes(owner.held_bytes),
                owner.sockets.to_string(),
            ],
        );
        if owner.nodes.len() > 1 {
            table.note(&format!("on {}", owner.nodes.join(", ")));
        }
    }
    table.write(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{merge::Merger, output::page::PAGE, report::tests::incident::incident};

    #[test]
    fn fits_a_page_and_is_steered_by_no_name() {
        let evil = format!("x\u{1b}[2J\u{202e}\n{}", "y".repeat(500));
        let mut merger = Merger::default();
        for number in 0..3 {
            let mut report = incident().report();
            report.node.k8s_node_name = Some(format!("{number}{evil}"));
            report.node.labels.insert(evil.clone(), evil.clone());
            report.node.kernel = evil.clone();
            for culprit in &mut report.culprits {
                culprit.holder.owner.name = evil.clone();
                culprit.holder.owner.contact[0].value = evil.clone();
            }
            merger.take(&evil, &report);
        }
        let shown = table(&merger.finish("0.1.0", 20));
        assert!(shown.contains("3 of 3 reports affected"), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= PAGE, "{line}");
            assert!(!line.chars().any(text::is_hostile), "{line}");
        }
    }
}
