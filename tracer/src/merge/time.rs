//! Windows of several nodes, whose clocks need not agree.

use jiff::Timestamp;

use crate::report::{Report, merged::MergedNode};

/// A window, as far as it is known.
type Ends = (Option<Timestamp>, Option<Timestamp>);

/// Whether two windows have a moment in common. One that lasted no time at all overlaps what it lies within.
pub(super) fn overlap(a: Ends, b: Ends) -> bool {
    match (a, b) {
        ((Some(a_start), Some(a_end)), (Some(b_start), Some(b_end))) => {
            a_start.max(b_start) <= a_end.min(b_end)
        }
        _ => false,
    }
}

/// Says of each node how far its window lies from that of the median one.
pub(super) fn offsets(nodes: &mut [MergedNode]) {
    let middle = |node: &MergedNode| {
        let (start, end) = (node.start?.as_millisecond(), node.end?.as_millisecond());
        Some(start.midpoint(end))
    };
    let mut middles: Vec<(i64, Ends)> = nodes
        .iter()
        .filter_map(|node| Some((middle(node)?, (node.start, node.end))))
        .collect();
    middles.sort_by_key(|(middle, _)| *middle);
    let Some(&(median, ends)) = middles.get(middles.len() / 2) else {
        return;
    };
    for node in nodes {
        node.offset_ms = middle(node).map_or(0, |middle| middle.saturating_sub(median));
        node.overlaps = overlap((node.start, node.end), ends);
    }
}

/// Time until TCP memory of the node is full, in milliseconds, if its holders go on to grow as they did; 0 where it is full.
pub(super) fn until_full(report: &Report) -> Option<u64> {
    let memory = &report.tcp_memory;
    let max = memory.tcp_mem_bytes?.max;
    let left = max.saturating_sub(memory.allocated_bytes?);
    if left == 0 {
        return Some(0);
    }
    let growth = report.holders.iter().map(|holder| holder.growth_bytes);
    let growth: Option<i128> = growth.map(|growth| growth.map(i128::from)).sum();
    let growth = growth.filter(|growth| *growth > 0)?;
    let window_ms = i128::from(report.window.duration_ns) / 1_000_000;
    u64::try_from(i128::from(left) * window_ms / growth).ok()
}
