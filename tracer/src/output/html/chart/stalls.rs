//! How long prunes kept the CPU: how many of them took how long, of all owners together.

use tracer_common::tally::stall::{BUCKETS, bounds};

use super::{
    Figure, length, none,
    svg::{Scale, Svg, label, ticks},
};
use crate::{
    output::{
        html::{escape::name, table::Table},
        size,
        words::ABSENT,
    },
    report::Report,
};

const ID: &str = "stalls";
const TITLE: &str = "How long prunes kept the CPU";
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// Buckets to each power of two.
const OCTAVE: usize = 4;

/// The figure; in words why there is none.
pub(in crate::output::html) fn figure(report: &Report) -> String {
    let mut counts = [0_u64; BUCKETS];
    for bucket in report
        .victims
        .iter()
        .flat_map(|victim| &victim.stall_buckets)
    {
        if let Some(place) = bucket.place() {
            counts[place] = counts[place].saturating_add(bucket.count);
        }
    }
    let used = |at: &usize| counts[*at] > 0;
    let (Some(first), Some(last)) = ((0..BUCKETS).find(used), (0..BUCKETS).rfind(used)) else {
        return none(ID, TITLE, "No prune was timed.");
    };
    // Whole powers of two, so that the axis has names.
    let (first, last) = (first / OCTAVE * OCTAVE, (last / OCTAVE + 1) * OCTAVE);
    let last = last.min(BUCKETS);
    let place = |at: usize| length(at as u64);
    let x = Scale {
        from: place(first),
        to: place(last),
        start: LEFT,
        end: RIGHT,
    };
    let most = ticks(length(counts.iter().copied().max().unwrap_or(0)));
    let y = Scale {
        from: 0.0,
        to: most.last().copied().unwrap_or(1.0),
        start: BOTTOM,
        end: TOP,
    };
    let mut svg = Svg::new(WIDTH, HEIGHT);
    for count in &most {
        svg.line((LEFT, y.at(*count)), (RIGHT, y.at(*count)), "grid", "");
        svg.text((LEFT - 6.0, y.at(*count) + 4.0), "end", &label(*count));
    }
    let mut table = Table::new("Prunes by how long they took", &["From#", "To#", "Prunes#"]);
    for (at, count) in counts.iter().enumerate().take(last).skip(first) {
        let (from, to) = bounds(at);
        if at % OCTAVE == 0 {
            svg.line(
                (x.at(place(at)), BOTTOM),
                (x.at(place(at)), BOTTOM + 4.0),
                "axis",
                "",
            );
            svg.text(
                (x.at(place(at)), BOTTOM + 18.0),
                "middle",
                &size::nanos(from),
            );
        }
        if *count == 0 {
            continue;
        }
        let words = format!(
            "{} of {} to {}",
            size::count(*count, "prune"),
            size::nanos(from),
            size::nanos(to)
        );
        // What is there is seen, however few beside others.
        let height = (BOTTOM - y.at(length(*count))).max(1.5);
        let width = x.at(place(at + 1)) - x.at(place(at)) - 1.0;
        svg.rect(
            (x.at(place(at)) + 0.5, BOTTOM - height),
            (width, height),
            "bar c0",
            &words,
        );
        table.row(vec![size::nanos(from), size::nanos(to), count.to_string()]);
    }
    svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis", "");
    svg.text((LEFT, TOP - 8.0), "start", "prunes");
    svg.text(
        (f64::midpoint(LEFT, RIGHT), HEIGHT - 6.0),
        "middle",
        "time of the call, by powers of two",
    );
    Figure {
        id: ID,
        title: TITLE,
        about: "Each bar is a range of times, a quarter of a power of two; the first holds what was shorter too, the last of all what was longer. While a prune runs, its CPU does nothing else.",
        svg,
        legend: Vec::new(),
        tables: vec![table, percentiles(report)],
    }
    .html()
}

/// The same by owner.
fn percentiles(report: &Report) -> Table {
    let mut table = Table::new(
        "By owner",
        &[
            "Owner",
            "Half took no longer than#",
            "99 %#",
            "99.9 %#",
            "Longest#",
            "In all#",
        ],
    );
    for victim in &report.victims {
        let Some(stall) = victim.stall_percentiles else {
            continue;
        };
        table.row(vec![
            name(&victim.owner.name),
            size::nanos(stall.p50_ns),
            size::nanos(stall.p99_ns),
            size::nanos(stall.p999_ns),
            size::nanos(stall.max_ns),
            victim
                .stall_ns
                .map_or_else(|| ABSENT.to_owned(), size::nanos),
        ]);
    }
    table
}
