//! Sections of the table on the node: memory cgroups under pressure, and when its state changed.

use super::{heading, paragraph};
use crate::{
    output::{page::Page, size, words},
    report::{MemcgPressure, Moment},
};

/// Most moments in a table; a wide one and JSON have more.
const MAX_MOMENTS: usize = 12;

/// Memory cgroups under pressure; nothing where there are none.
pub(super) fn memcgs(out: &mut Page, memcgs: Option<&[MemcgPressure]>) {
    let memcgs = memcgs.unwrap_or_default();
    if memcgs.is_empty() {
        return;
    }
    heading(out, "MEMORY CGROUPS UNDER PRESSURE");
    for memcg in memcgs {
        paragraph(out, "  ", &words::node::memcg(memcg));
    }
}

/// When the state of the node changed; nothing where it did not.
pub(super) fn timeline(out: &mut Page, moments: Option<&[Moment]>) {
    let moments = moments.unwrap_or_default();
    if moments.is_empty() {
        return;
    }
    heading(out, "TIMELINE");
    let most = if out.style.wide {
        usize::MAX
    } else {
        MAX_MOMENTS
    };
    for moment in moments.iter().take(most) {
        let time = moment.at.strftime("%H:%M:%S%.6f");
        paragraph(
            out,
            "  ",
            &format!("{time} {}", words::node::moment(moment)),
        );
    }
    if moments.len() > most {
        let more = (moments.len() - most) as u64;
        let rest = format!(
            "and {} more, all in -o wide and JSON",
            size::count(more, "moment")
        );
        paragraph(out, "  ", &rest);
    }
}
