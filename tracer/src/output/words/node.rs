//! The node: memory cgroups under pressure, and when its state changed.

use super::bytes;
use crate::{
    output::{size, text},
    report::{MemcgPressure, Moment},
};

/// A memory cgroup under pressure.
pub(in crate::output) fn memcg(memcg: &MemcgPressure) -> String {
    let counts = [
        (memcg.max_events, "charge", "met memory.max"),
        (memcg.high_events, "charge", "over memory.high"),
        (memcg.oom_events, "time", "nothing to reclaim"),
        (memcg.oom_kills, "OOM kill", "in it"),
        (memcg.sock_throttled, "time", "sockets throttled"),
        (memcg.windows_clamped, "window", "held small"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter_map(|(count, one, what)| Some((count.filter(|n| *n > 0)?, one, what)))
        .map(|(count, one, what)| format!("{} {what}", size::count(count, one)))
        .collect();
    format!(
        "{}: {}; {} of {} used, {} by sockets",
        text::name(&memcg.owner.name),
        counts.join(", "),
        bytes(memcg.usage_bytes),
        memcg
            .max_bytes
            .map_or_else(|| "no limit".to_owned(), size::bytes),
        bytes(memcg.sock_bytes),
    )
}

/// A change of the node's state: what, after how long, and at whose hand.
pub(in crate::output) fn moment(moment: &Moment) -> String {
    let lasted = moment
        .duration_ms
        .map_or_else(String::new, |ms| format!(" after {ms} ms"));
    let more = match moment.orphans {
        Some(orphans) => orphans.to_string(),
        None => format!("a socket of {}", text::name(&moment.owner.name)),
    };
    format!("{}{lasted}: {more}", moment.event.words())
}
