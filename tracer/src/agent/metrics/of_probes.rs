//! Series of the kernel programs: what they lost, how full their maps are, how long they ran.

use super::{
    catalogue::{Kind, Metric, Scope, Unit},
    of_node::{flag, one, sample},
    page::{Sample, Value, seconds},
};
use crate::{
    agent::ledger::{Figures, MapFill, ProgramRuns, VALUE_MAX},
    output::text,
};

/// Label of a place where something can be lost.
const WHERE: &str = "where";
/// Label of a map.
const MAP: &str = "map";
/// Label of a kernel program.
const PROGRAM: &str = "program";
/// Label of why probes are detached.
const REASON: &str = "reason";

/// How many names [`crate::report::Losses::named`] has.
const LOSSES: usize = 14;
/// Most maps that are shown. There are fewer; no mistake makes the page grow.
const MOST_MAPS: usize = 64;
/// Most programs that are shown. There are fewer.
const MOST_PROGRAMS: usize = 128;

/// What the kernel programs lost, used and took.
pub(super) static METRICS: [Metric; 8] = [
    Metric {
        base: "tcpress_lost",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[WHERE],
        most: LOSSES,
        help: "What could not be kept, by where it was lost",
        samples: lost,
    },
    Metric {
        base: "tcpress_map_entries",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[MAP],
        most: MOST_MAPS,
        help: "Entries of a map of the kernel programs",
        samples: |it| maps(it, |map| map.entries),
    },
    Metric {
        base: "tcpress_map_max_entries",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[MAP],
        most: MOST_MAPS,
        help: "Most entries that a map of the kernel programs can hold",
        samples: |it| maps(it, |map| Some(map.most)),
    },
    Metric {
        base: "tcpress_attribution_misses",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Refusals, prunes, drops and aborts whose owner is unknown or was lost",
        samples: |it| one(Some(Value::Whole(it.misses))),
    },
    Metric {
        base: "tcpress_program_run",
        unit: Some(Unit::Seconds),
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[PROGRAM],
        most: MOST_PROGRAMS,
        help: "Time that a kernel program ran; there only while the kernel keeps it (kernel.bpf_stats_enabled)",
        samples: run_time,
    },
    Metric {
        base: "tcpress_program_runs",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[PROGRAM],
        most: MOST_PROGRAMS,
        help: "How often a kernel program ran; there only while the kernel keeps it",
        samples: runs,
    },
    Metric {
        base: "tcpress_attached",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Whether probes are attached (1) or not (0)",
        samples: |it| flag(Some(it.agent.attached)),
    },
    Metric {
        base: "tcpress_detached",
        unit: None,
        kind: Kind::Info,
        scope: Scope::Agent,
        labels: &[REASON],
        most: 1,
        help: "Why probes are not attached; there only while they are not",
        samples: detached,
    },
];

/// Words of others as the value of a label.
pub(super) fn words(text: &str) -> String {
    text::clean(text, VALUE_MAX)
}

fn lost(figures: &Figures) -> Vec<Sample> {
    let lost = figures.lost.iter();
    lost.map(|(place, lost)| sample(vec![(WHERE, (*place).into())], Value::Whole(*lost)))
        .collect()
}

/// A figure of each map of which it is known.
fn maps(figures: &Figures, of: fn(&MapFill) -> Option<u64>) -> Vec<Sample> {
    let maps = figures.agent.maps.iter().take(MOST_MAPS);
    maps.filter_map(|map| {
        let labels = vec![(MAP, words(&map.map).into())];
        Some(sample(labels, Value::Whole(of(map)?)))
    })
    .collect()
}

fn programs(figures: &Figures, of: fn(&ProgramRuns) -> Value) -> Vec<Sample> {
    let programs = figures.programs.iter().take(MOST_PROGRAMS);
    programs
        .map(|program| sample(vec![(PROGRAM, words(&program.program).into())], of(program)))
        .collect()
}

fn run_time(figures: &Figures) -> Vec<Sample> {
    programs(figures, |program| Value::Seconds(seconds(program.run_ns)))
}

fn runs(figures: &Figures) -> Vec<Sample> {
    programs(figures, |program| Value::Whole(program.runs))
}

fn detached(figures: &Figures) -> Vec<Sample> {
    let reason = figures.agent.detached.iter();
    reason
        .map(|reason| sample(vec![(REASON, words(reason).into())], Value::Info))
        .collect()
}
