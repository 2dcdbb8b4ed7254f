//! The section of the table that sets our counts against the kernel's.

use super::{ABSENT, heading, number, paragraph};
use crate::{
    output::columns::Columns,
    report::{Reconciliation, reconciliation::NetnsState},
};

/// Most lines of single counters.
const MAX_ROWS: usize = 40;
/// Most lines of network namespaces in which nothing is off.
const MAX_CLEAN: usize = 20;

/// One line a network namespace; counters one by one only where something is off.
pub(super) fn section(out: &mut String, rows: &[Reconciliation]) {
    heading(
        out,
        "RECONCILIATION (kernel's count minus ours, per network namespace)",
    );
    if rows.is_empty() {
        out.push_str("  no counter was read\n");
        return;
    }
    let mut clean = 0;
    for netns in rows.chunk_by(|a, b| a.netns == b.netns) {
        if !netns.iter().any(is_worth_a_line) {
            clean += 1;
            if clean > MAX_CLEAN {
                continue;
            }
        }
        paragraph(out, "  ", &netns_line(netns));
    }
    if clean > MAX_CLEAN {
        out.push_str(&format!(
            "  … and {} more in which nothing is off\n",
            clean - MAX_CLEAN
        ));
    }
    let off: Vec<&Reconciliation> = rows.iter().filter(|row| is_worth_a_line(row)).collect();
    if off.is_empty() {
        return;
    }
    let mut details = Columns::new(&["NETNS", "COUNTER", "KERNEL", "OURS", "RESIDUAL", "BOUND"]);
    for row in off.iter().take(MAX_ROWS) {
        details.row(&[
            row.netns.clone(),
            row.counter.clone(),
            number(row.kernel),
            number(row.attributed),
            row.residual
                .map_or_else(|| ABSENT.to_owned(), |residual| format!("{residual:+}")),
            number(row.bound),
        ]);
    }
    details.write(out);
    if off.len() > MAX_ROWS {
        out.push_str(&format!("  … and {} more\n", off.len() - MAX_ROWS));
    }
}

/// All counters of one namespace in a sentence.
fn netns_line(rows: &[Reconciliation]) -> String {
    let known: Vec<i64> = rows.iter().filter_map(|row| row.residual).collect();
    let off = known.iter().filter(|residual| **residual != 0).count();
    let line = match (known.len(), off) {
        (0, _) => "residual not known".to_owned(),
        (n, 0) if n == rows.len() => format!("residual 0 on all {n} counters"),
        (n, 0) => format!(
            "residual 0 on {n} counters, not known on {}",
            rows.len() - n
        ),
        (n, off) => format!("residual not 0 on {off} of {n} counters"),
    };
    let Some(first) = rows.first() else {
        return line;
    };
    let life = match first.state {
        NetnsState::Present => "",
        NetnsState::Born => " (born in the window)",
        NetnsState::Gone => " (gone in the window)",
    };
    let whose = match first.netns.as_str() {
        "0" => "all namespaces together".to_owned(),
        netns => format!("netns {netns}"),
    };
    format!("{whose}{life}: {line}")
}

/// Whether a counter is off, or moved without anything to compare it with.
fn is_worth_a_line(row: &Reconciliation) -> bool {
    let moved = row.kernel.unwrap_or(0) > 0 || row.attributed.unwrap_or(0) > 0;
    row.residual.map_or(moved, |residual| residual != 0)
}
