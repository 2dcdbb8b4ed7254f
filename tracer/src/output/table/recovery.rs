//! What has recovered since an earlier report.

use super::{heading, paragraph};
use crate::{
    output::{page::Page, words},
    report::Recovery,
};

/// The section; nothing where no earlier report was given.
pub(super) fn section(out: &mut Page, recovery: Option<&Recovery>) {
    let Some(recovery) = recovery else {
        return;
    };
    heading(out, &format!("RECOVERY since {}", recovery.since));
    for line in words::recovery::lines(recovery) {
        paragraph(out, "  ", &line);
    }
}
