//! `trace`: one line per sampled failure.

use super::{json, size, text};
use crate::report::Evidence;

/// What stands for an absent value.
const ABSENT: &str = "–";

/// The heads of [`table_line`].
#[must_use]
pub fn table_head() -> String {
    columns([
        "TIME",
        "OWNER",
        "LOCAL → REMOTE",
        "STATE",
        "QUEUE",
        "LIMIT",
        "NUMBERS",
    ])
}

/// One failure in one line, without its line break.
#[must_use]
pub fn table_line(event: &Evidence) -> String {
    let end = |end: &Option<String>| end.clone().unwrap_or_else(|| ABSENT.to_owned());
    let bytes = |value: Option<u64>| value.map_or_else(|| ABSENT.to_owned(), size::bytes);
    let limit = match event.detail {
        Some(detail) => format!("{}/{}", event.limit.name(), detail.name()),
        None => event.limit.name().to_owned(),
    };
    let mut numbers = format!(
        "rmem {} of {}, segment {} (payload {}), unread {}",
        bytes(event.rmem_alloc_bytes),
        bytes(event.rcvbuf_bytes),
        bytes(event.skb_truesize_bytes),
        bytes(event.skb_len_bytes),
        bytes(event.unread_bytes),
    );
    if event.allocated_bytes.is_some() {
        numbers.push_str(&format!(
            ", node {} of {}",
            bytes(event.allocated_bytes),
            bytes(event.tcp_mem_max_bytes)
        ));
    }
    if let Some(memcg) = &event.memcg {
        numbers.push_str(&format!(
            ", cgroup of {} {} of {}",
            text::clean(&memcg.owner.name, 40),
            bytes(memcg.usage_bytes),
            bytes(memcg.max_bytes)
        ));
    }
    if let Some(ofo) = event.ofo_bytes.filter(|bytes| *bytes > 0) {
        numbers.push_str(&format!(", out of order {}", size::bytes(ofo)));
    }
    if let Some(collapsed) = event.collapsed_skbs.filter(|skbs| *skbs > 0) {
        numbers.push_str(&format!(", collapsed {collapsed}"));
    }
    if let Some(stall) = event.stall_ns {
        numbers.push_str(&format!(", stall {}", size::nanos(stall)));
    }
    let time = event.at.strftime("%H:%M:%S%.6f").to_string();
    columns([
        &time,
        &text::clean(&event.owner.name, 24),
        &text::clean(
            &format!("{} → {}", end(&event.local), end(&event.remote)),
            100,
        ),
        &text::clean(&event.state, 11),
        event.queue.name(),
        &limit,
        &numbers,
    ])
}

/// One failure as one JSON object on a line, with its line break.
///
/// # Errors
/// When a value cannot be written as JSON; the model's can.
pub fn ndjson_line(event: &Evidence) -> serde_json::Result<String> {
    json::line(event)
}

/// Columns of a stream: widths are fixed because what comes later is not known.
fn columns(cells: [&str; 7]) -> String {
    let [time, owner, ends, state, queue, limit, numbers] = cells;
    format!("{time:15}  {owner:24}  {ends:37}  {state:11}  {queue:9}  {limit:18}  {numbers}")
}
