//! What has recovered since an earlier report.

use super::{heading, paragraph};
use crate::{diagnose::recovery, output::text, report::Recovery};

/// The section; nothing where no earlier report was given.
pub(super) fn section(out: &mut String, recovery: Option<&Recovery>) {
    let Some(recovery) = recovery else {
        return;
    };
    heading(out, &format!("RECOVERY since {}", recovery.since));
    let then = text::clean(&recovery.headline, usize::MAX);
    paragraph(out, "  ", &format!("then: {then}"));
    let state = match recovery.recovered {
        Some(true) => "recovered",
        Some(false) => "not recovered",
        None => "not known whether it has recovered",
    };
    let held = recovery.held_windows.map_or_else(String::new, |n| {
        format!(", for {n} window{} in a row", if n == 1 { "" } else { "s" })
    });
    paragraph(out, "  ", &format!("now: {state}{held}"));
    for item in &recovery.items {
        let mark = match item.recovered {
            Some(true) => "ok ",
            Some(false) => "ILL",
            None => "?  ",
        };
        paragraph(out, "  ", &format!("{mark} {}", recovery::item(item)));
    }
}
