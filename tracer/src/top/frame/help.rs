//! The page of keys.

use ratatui::text::Line;

use super::TEXT;
use crate::output::text;

/// Columns of the keys.
const KEYS: usize = 11;
/// What keys do, and what columns mean.
const HELP: [(&str, &str); 18] = [
    (
        "up, down",
        "select an owner; also k, j, PgUp, PgDn, Home, End",
    ),
    (
        "Enter",
        "its sockets: those that hold most, those that suffered",
    ),
    ("Esc", "back; from the owners: drop the filter"),
    (
        "v",
        "the verdict in full: why, what to do, and what could not be read",
    ),
    ("s, S", "sort by the next, the previous column"),
    ("r", "reverse the order"),
    ("t", "sums since the start, or the last window"),
    (
        "/",
        "show owners whose name, namespace, workload, container or contact has these letters",
    ),
    ("space, p", "let the screen stand still; counting goes on"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("REFUSED", "segments thrown away because admission failed"),
    (
        "PRUNES",
        "calls of the prune path, which throws received data away, or merges it to save memory",
    ),
    ("STALL", "time that prunes kept the CPU"),
    (
        "HELD",
        "what its sockets took from tcp_mem when they were last read",
    ),
    (
        "GROWTH/S",
        "its change between the last two readings of sockets, a second",
    ),
    ("!", "accused: it explains the limit that refused"),
    (
        "–",
        "not known. Sockets are read again when that takes no more than 5 % of one CPU; the line above says how old they \
         are. The filter changes what is shown, never what is counted, or the verdict.",
    ),
];

/// The lines of the page.
pub(super) fn lines() -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (keys, words) in HELP {
        let mut keys = keys;
        let mut parts = text::wrap(words, TEXT - KEYS);
        if parts.is_empty() {
            parts.push(String::new());
        }
        for part in parts {
            lines.push(Line::raw(format!("{keys:KEYS$}{part}")));
            keys = "";
        }
    }
    lines
}
