//! The course of the window: refusals of each owner in a second, as bars, against fill, as a line.

use super::{
    Figure, colour, length, none,
    svg::{Scale, Svg, label, ticks},
};
use crate::{
    output::{
        html::{
            escape::{plain, sentence},
            table::Table,
        },
        size,
        words::{self, ABSENT},
    },
    report::{Evidence, Report, Series, timeline::Event},
};

const ID: &str = "course";
const TITLE: &str = "Refusals by owner, against fill";
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 64.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// Most steps, evidence and moments that are drawn; the model has fewer.
const MOST: usize = 400;
/// A second in nanoseconds.
const SECOND: f64 = 1e9;

/// Segments refused in a step by each owner, and when it began and ended, in seconds.
struct Bar {
    start: f64,
    end: f64,
    refused: Vec<u64>,
}

impl Bar {
    /// What so many segments are in a second.
    fn rate(&self, refused: u64) -> f64 {
        let rate = length(refused) / (self.end - self.start);
        if rate.is_finite() { rate } else { 0.0 }
    }
}

/// The figure; in words why there is none.
pub(in crate::output::html) fn figure(report: &Report) -> String {
    let Some(series) = report.series.as_ref().filter(|it| !it.steps.is_empty()) else {
        return none(
            ID,
            TITLE,
            "Nothing was traced, so the course of the window is not known.",
        );
    };
    let names: Vec<&str> = series
        .owners
        .iter()
        .map(|it| it.owner.name.as_str())
        .collect();
    let names: Vec<&str> = match series.others.is_empty() {
        true => names,
        false => names.into_iter().chain(["all others"]).collect(),
    };
    let class = |at: usize| match at < series.owners.len() {
        true => colour(at),
        false => "rest".to_owned(),
    };
    let bars = bars(series);
    let end = bars.last().map_or(0.0, |bar| bar.end);
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let x = Scale {
        from: 0.0,
        to: end,
        start: LEFT,
        end: RIGHT,
    };
    let most = bars
        .iter()
        .map(|bar| bar.rate(bar.refused.iter().copied().fold(0, u64::saturating_add)));
    let counts = ticks(most.fold(0.0, f64::max));
    let y = Scale {
        from: 0.0,
        to: counts.last().copied().unwrap_or(1.0),
        start: BOTTOM,
        end: TOP,
    };
    let fills = fills(series);
    let compared = report.evidence.iter().take(MOST).filter_map(compared);
    let known = fills.iter().map(|(_, fill)| *fill).chain(compared);
    let parts = ticks(known.fold(1.05, f64::max));
    let fill_y = Scale {
        from: 0.0,
        to: parts.last().copied().unwrap_or(1.0),
        start: BOTTOM,
        end: TOP,
    };
    axes(&mut svg, (x, &ticks(end)), (y, &counts), (fill_y, &parts));
    for bar in &bars {
        let mut below = 0.0;
        for (at, refused) in bar.refused.iter().enumerate().filter(|(_, n)| **n > 0) {
            let above = below + bar.rate(*refused);
            let place = (x.at(bar.start) + 0.5, y.at(above));
            let size = (
                x.at(bar.end) - x.at(bar.start) - 1.0,
                y.at(below) - y.at(above),
            );
            let words = format!(
                "{}: {} refused, {:.1} s to {:.1} s",
                names.get(at).copied().unwrap_or(ABSENT),
                size::count(*refused, "segment"),
                bar.start,
                bar.end
            );
            svg.rect(
                place,
                (size.0.max(0.5), size.1),
                &format!("bar {}", class(at)),
                &words,
            );
            below = above;
        }
    }
    marks(&mut svg, report, fill_y);
    moments(&mut svg, report, x);
    let points: Vec<(f64, f64)> = fills
        .iter()
        .map(|(at, fill)| (x.at(*at), fill_y.at(*fill)))
        .collect();
    svg.path(&points, "halo");
    svg.path(&points, "fill");
    seen(&mut svg, report, x, fill_y);
    let mut legend: Vec<(String, String)> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (class(at), (*name).to_owned()))
        .collect();
    legend.push(("stroke".to_owned(), "fill".to_owned()));
    legend.push((
        "dash".to_owned(),
        "marks of tcp_mem; rings: what was compared at a failure".to_owned(),
    ));
    Figure {
        id: ID,
        title: TITLE,
        about: "Bars: segments refused in a second, by owner (left). Line: TCP memory allocated over the high mark of tcp_mem (right), as /proc/net/sockstat told it; that lags by the reserves of the CPUs. Rings: what the kernel compared at failures that were sampled. Dotted: the state of the node changed.",
        svg,
        legend,
        tables: vec![table(series, &bars, &names)],
    }
    .html()
}

fn bars(series: &Series) -> Vec<Bar> {
    let mut start = 0.0;
    let steps = series.steps.iter().take(MOST).enumerate();
    steps
        .map(|(at, step)| {
            let end = (length(step.end_ns) / SECOND).max(start);
            let of = |counts: &[u64]| counts.get(at).copied().unwrap_or(0);
            let owners = series.owners.iter().map(|owner| of(&owner.refused));
            let others = (!series.others.is_empty()).then(|| of(&series.others));
            let bar = Bar {
                start,
                end,
                refused: owners.chain(others).collect(),
            };
            start = end;
            bar
        })
        .collect()
}

/// When which part of `tcp_mem` was taken, where that is known.
fn fills(series: &Series) -> Vec<(f64, f64)> {
    let steps = series.steps.iter().take(MOST);
    steps
        .filter_map(|step| Some((length(step.end_ns) / SECOND, step.fill?)))
        .collect()
}

fn axes(
    svg: &mut Svg,
    (x, seconds): (Scale, &[f64]),
    (y, counts): (Scale, &[f64]),
    (fill, parts): (Scale, &[f64]),
) {
    for count in counts {
        svg.line((LEFT, y.at(*count)), (RIGHT, y.at(*count)), "grid", "");
        svg.text((LEFT - 6.0, y.at(*count) + 4.0), "end", &label(*count));
    }
    for part in parts {
        svg.text(
            (RIGHT + 6.0, fill.at(*part) + 4.0),
            "start",
            &format!("{:.0} %", part * 100.0),
        );
    }
    for second in seconds.iter().filter(|second| **second <= x.to) {
        svg.line(
            (x.at(*second), BOTTOM),
            (x.at(*second), BOTTOM + 4.0),
            "axis",
            "",
        );
        svg.text(
            (x.at(*second), BOTTOM + 18.0),
            "middle",
            &format!("{} s", label(*second)),
        );
    }
    svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis", "");
    svg.text((LEFT, TOP - 8.0), "start", "segments refused in a second");
    svg.text((RIGHT, TOP - 8.0), "end", "fill");
    svg.text(
        (f64::midpoint(LEFT, RIGHT), HEIGHT - 6.0),
        "middle",
        "time from the start of the window",
    );
}

/// The marks of `tcp_mem` above which pressure begins and everything is refused.
fn marks(svg: &mut Svg, report: &Report, fill: Scale) {
    let Some(marks) = report.tcp_memory.tcp_mem_bytes else {
        return;
    };
    for (bytes, what) in [(marks.pressure, "pressure"), (marks.max, "high mark")] {
        let at = fill.at(length(bytes) / length(marks.max));
        svg.line((LEFT, at), (RIGHT, at), "halo", "");
        svg.line(
            (LEFT, at),
            (RIGHT, at),
            "mark",
            &format!("{what} of tcp_mem: {}", size::bytes(bytes)),
        );
        svg.text((RIGHT - 4.0, at - 4.0), "end", what);
    }
}

/// When the state of the node changed. Numbers of orphans stand in the list.
fn moments(svg: &mut Svg, report: &Report, x: Scale) {
    let moments = report.timeline.iter().flatten();
    for moment in moments.filter(|it| it.event != Event::Orphans).take(MOST) {
        let at = x.at(since(report, moment.at));
        svg.line(
            (at, TOP),
            (at, BOTTOM),
            "moment",
            &words::node::moment(moment),
        );
    }
}

/// The part of `tcp_mem` that was taken when a segment was refused, where it was compared.
fn compared(event: &Evidence) -> Option<f64> {
    let part = length(event.allocated_bytes?) / length(event.tcp_mem_max_bytes?);
    part.is_finite().then_some(part)
}

/// What was compared at failures.
fn seen(svg: &mut Svg, report: &Report, x: Scale, fill: Scale) {
    for event in report.evidence.iter().take(MOST) {
        let Some(part) = compared(event) else {
            continue;
        };
        let words = format!(
            "{}: {} of {} compared at a failure",
            event.owner.name,
            words::bytes(event.allocated_bytes),
            words::bytes(event.tcp_mem_max_bytes)
        );
        let place = (x.at(since(report, event.at)), fill.at(part));
        svg.ring(place, "seen", &words);
    }
}

/// Seconds from the start of the window.
fn since(report: &Report, at: jiff::Timestamp) -> f64 {
    at.duration_since(report.window.start).as_secs_f64()
}

fn table(series: &Series, bars: &[Bar], names: &[&str]) -> Table {
    let heads: Vec<String> = names
        .iter()
        .map(|name| format!("{}#", plain(name, 60)))
        .collect();
    let fixed = ["Until#", "Fill#", "Allocated#"].map(str::to_owned);
    let mut table = Table::with_heads(
        "Segments refused in each step, by owner",
        fixed.into_iter().chain(heads).collect(),
    );
    for (bar, step) in bars.iter().zip(&series.steps) {
        let fill = step.fill.map_or_else(|| ABSENT.to_owned(), size::percent);
        let fixed = [
            format!("{:.1} s", bar.end),
            fill,
            words::bytes(step.allocated_bytes),
        ];
        let counts = bar.refused.iter().map(ToString::to_string);
        table.row(
            fixed
                .into_iter()
                .chain(counts)
                .map(|cell| sentence(&cell))
                .collect(),
        );
    }
    table
}
