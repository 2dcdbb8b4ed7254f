//! The section of the table that sets our counts against the kernel's.

use super::{heading, paragraph};
use crate::{
    output::{
        columns::Columns,
        page::Page,
        words::{
            ABSENT, number,
            reconciliation::{at_rest, is_worth_a_line, netns},
        },
    },
    report::{Reconciliation, Report},
};

/// Most lines of single counters.
const MAX_ROWS: usize = 40;
/// Most lines of network namespaces in which nothing is off.
const MAX_CLEAN: usize = 20;

/// One line a network namespace; counters one by one only where something is off.
pub(super) fn section(out: &mut Page, report: &Report) {
    let rows = &report.reconciliation;
    heading(
        out,
        "RECONCILIATION (kernel's count minus ours, per network namespace)",
    );
    let at_rest = at_rest(report.at_rest);
    if rows.is_empty() && at_rest.is_none() {
        out.push_str("  no counter was read\n");
        return;
    }
    let mut clean = 0;
    for rows in rows.chunk_by(|a, b| a.netns == b.netns) {
        if !rows.iter().any(is_worth_a_line) {
            clean += 1;
            if clean > MAX_CLEAN {
                continue;
            }
        }
        paragraph(out, "  ", &netns(rows));
    }
    if clean > MAX_CLEAN {
        out.push_str(&format!(
            "  … and {} more in which nothing is off\n",
            clean - MAX_CLEAN
        ));
    }
    if let Some(at_rest) = at_rest {
        paragraph(out, "  ", &at_rest);
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
