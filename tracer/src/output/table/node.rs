//! Sections of the table on the node: memory cgroups under pressure, and when its state changed.

use super::{heading, paragraph};
use crate::{
    output::{size, text},
    report::{MemcgPressure, Moment},
};

/// Most moments in a table; JSON has more.
const MAX_MOMENTS: usize = 12;

/// Memory cgroups under pressure; nothing where there are none.
pub(super) fn memcgs(out: &mut String, memcgs: Option<&[MemcgPressure]>) {
    let memcgs = memcgs.unwrap_or_default();
    if memcgs.is_empty() {
        return;
    }
    heading(out, "MEMORY CGROUPS UNDER PRESSURE");
    for memcg in memcgs {
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
        let of = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), size::bytes);
        let sentence = format!(
            "{}: {}; {} of {} used, {} by sockets",
            text::name(&memcg.owner.name),
            counts.join(", "),
            of(memcg.usage_bytes),
            memcg
                .max_bytes
                .map_or_else(|| "no limit".to_owned(), size::bytes),
            of(memcg.sock_bytes),
        );
        paragraph(out, "  ", &sentence);
    }
}

/// When the state of the node changed; nothing where it did not.
pub(super) fn timeline(out: &mut String, moments: Option<&[Moment]>) {
    let moments = moments.unwrap_or_default();
    if moments.is_empty() {
        return;
    }
    heading(out, "TIMELINE");
    for moment in moments.iter().take(MAX_MOMENTS) {
        let lasted = moment
            .duration_ms
            .map_or_else(String::new, |ms| format!(" after {ms} ms"));
        let more = match moment.orphans {
            Some(orphans) => orphans.to_string(),
            None => format!("a socket of {}", text::name(&moment.owner.name)),
        };
        let sentence = format!(
            "{} {}{lasted}: {more}",
            moment.at.strftime("%H:%M:%S%.6f"),
            moment.event.words(),
        );
        paragraph(out, "  ", &sentence);
    }
    if moments.len() > MAX_MOMENTS {
        let more = (moments.len() - MAX_MOMENTS) as u64;
        let rest = format!("and {} more, all in JSON", size::count(more, "moment"));
        paragraph(out, "  ", &rest);
    }
}
