//! Our counts against the kernel's.

use crate::{
    output::size,
    report::{AtRest, Reconciliation, reconciliation::NetnsState},
};

/// All counters of one namespace in a sentence.
pub(in crate::output) fn netns(rows: &[Reconciliation]) -> String {
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

/// Counters that are not listed, in a sentence; `None` where all are.
pub(in crate::output) fn at_rest(rows: AtRest) -> Option<String> {
    let agreed = size::count(rows.agreed, "counter");
    let unknown = match rows.unknown {
        0 => String::new(),
        rows => format!(
            "; {} of namespaces that died, in which nothing was seen to move",
            size::count(rows, "more counter")
        ),
    };
    (!rows.is_empty())
        .then(|| format!("at rest and not listed: {agreed} at a time, residual 0{unknown}"))
}

/// Whether a counter is off, or moved without anything to compare it with.
pub(in crate::output) fn is_worth_a_line(row: &Reconciliation) -> bool {
    let moved = row.kernel.unwrap_or(0) > 0 || row.attributed.unwrap_or(0) > 0;
    row.residual.map_or(moved, |residual| residual != 0)
}
