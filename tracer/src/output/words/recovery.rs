//! What has recovered since an earlier report.

use crate::{diagnose::recovery, report::Recovery};

/// What was the matter, how that stands now, and figure by figure.
pub(in crate::output) fn lines(told: &Recovery) -> Vec<String> {
    let state = match told.recovered {
        Some(true) => "recovered",
        Some(false) => "not recovered",
        None => "not known whether it has recovered",
    };
    let held = told.held_windows.map_or_else(String::new, |n| {
        format!(", for {n} window{} in a row", if n == 1 { "" } else { "s" })
    });
    let items = told.items.iter().map(|item| {
        let mark = match item.recovered {
            Some(true) => "ok ",
            Some(false) => "ILL",
            None => "?  ",
        };
        format!("{mark} {}", recovery::item(item))
    });
    [
        format!("then: {}", told.headline),
        format!("now: {state}{held}"),
    ]
    .into_iter()
    .chain(items)
    .collect()
}
