//! Series of the agent itself.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    catalogue::{self, Kind, Metric, Scope, Unit},
    of_node::{flag, one, sample},
    of_probes::words,
    page::{Sample, Value},
};
use crate::agent::ledger::Figures;

/// Label of a bound.
const BOUND: &str = "bound";
/// Label of how an export ended.
const RESULT: &str = "result";
/// Labels of the build.
const BUILD: [&str; 2] = ["version", "kernel"];

/// Most bounds that are shown. There are fewer; no mistake makes the page grow.
const MOST_BOUNDS: usize = 32;

/// The agent itself.
pub(super) static METRICS: [Metric; 16] = [
    Metric {
        base: "tcpress_scan",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "CPU time that the last listing of sockets took",
        samples: |it| time(it.agent.scan),
    },
    Metric {
        base: "tcpress_scan_age",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "How long ago sockets were last listed",
        samples: |it| time(it.agent.scan_age),
    },
    Metric {
        base: "tcpress_scan_interval",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "How often sockets are listed at present",
        samples: |it| time(it.agent.scan_interval),
    },
    Metric {
        base: "tcpress_agent_cpu",
        unit: Some(Unit::Seconds),
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "CPU time of the agent",
        samples: |it| time(it.agent.cpu),
    },
    Metric {
        base: "tcpress_agent_resident",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Resident memory of the agent",
        samples: |it| one(it.agent.resident_bytes.map(Value::Whole)),
    },
    Metric {
        base: "tcpress_agent_sockets_exempt",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Whether TCP sockets that the agent opens are taken out of tcp_mem (1), as kernels since 6.19 let it, or not (0)",
        samples: |it| flag(it.agent.sockets_exempt),
    },
    Metric {
        base: "tcpress_agent_open_files",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Open files of the agent",
        samples: |it| one(it.agent.open_files.map(Value::Whole)),
    },
    Metric {
        base: "tcpress_bounds_hit",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[BOUND],
        most: MOST_BOUNDS,
        help: "Times that a bound of the agent was hit",
        samples: bounds_hit,
    },
    Metric {
        base: catalogue::SERIES,
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Series of this page",
        samples: |_| one(Some(Value::Whole(0))),
    },
    Metric {
        base: "tcpress_series_budget",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Most series that this page can have",
        samples: |it| one(Some(Value::Whole(it.series_budget as u64))),
    },
    Metric {
        base: "tcpress_incidents",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Incidents that began",
        samples: |it| one(Some(Value::Whole(it.agent.incidents))),
    },
    Metric {
        base: "tcpress_incident_open",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Whether an incident is open (1) or not (0)",
        samples: |it| flag(Some(it.agent.incident_open)),
    },
    Metric {
        base: "tcpress_recorder_oldest_timestamp",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "Begin of the oldest window that the recorder still has, in Unix time",
        samples: |it| instant(it.agent.recorder_oldest),
    },
    Metric {
        base: "tcpress_exports",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Agent,
        labels: &[RESULT],
        most: 3,
        help: "Reports sent, by how that ended; there only where an export is configured",
        samples: exports,
    },
    Metric {
        base: "tcpress_build",
        unit: None,
        kind: Kind::Info,
        scope: Scope::Agent,
        labels: &BUILD,
        most: 1,
        help: "Version of tcpress and of the kernel",
        samples: build,
    },
    Metric {
        base: "tcpress_start_time",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        scope: Scope::Agent,
        labels: &[],
        most: 1,
        help: "When the agent began, in Unix time",
        samples: |it| instant(it.agent.started),
    },
];

fn time(value: Option<Duration>) -> Vec<Sample> {
    one(value.map(|value| Value::Seconds(value.as_secs_f64())))
}

fn instant(value: Option<Timestamp>) -> Vec<Sample> {
    one(value.map(|at| Value::Seconds(at.as_microsecond() as f64 / 1e6)))
}

fn bounds_hit(figures: &Figures) -> Vec<Sample> {
    let bounds = figures.agent.bounds_hit.iter().take(MOST_BOUNDS);
    bounds
        .map(|(bound, times)| sample(vec![(BOUND, (*bound).into())], Value::Whole(*times)))
        .collect()
}

fn exports(figures: &Figures) -> Vec<Sample> {
    let Some(exports) = figures.agent.exports else {
        return Vec::new();
    };
    [
        ("delivered", exports.delivered),
        ("spooled", exports.spooled),
        ("failed", exports.failed),
    ]
    .map(|(result, count)| sample(vec![(RESULT, result.into())], Value::Whole(count)))
    .into()
}

fn build(figures: &Figures) -> Vec<Sample> {
    let values = [&figures.agent.version, &figures.agent.kernel];
    let labels = BUILD.into_iter().zip(values);
    let labels = labels.map(|(name, value)| (name, words(value).into()));
    vec![sample(labels.collect(), Value::Info)]
}
