//! What a metric is, and all of them in one list: name, unit, type, labels, meaning, the most series that it can have, and where its
//! values come from.
//! The page, the budget of series and [docs/metrics.md](../../../../../docs/metrics.md) are made from it.

use prometheus_client::{metrics::MetricType, registry};

use super::{of_agent, of_node, of_owner, of_probes, page::Sample};
use crate::agent::ledger::{Figures, STALL_BOUNDS};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the agent lives; its name on the page ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bounds, with the sum.
    Histogram,
    /// Its labels are what it says; its name on the page ends in `_info`.
    Info,
}

impl Kind {
    pub(super) const fn of_client(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
            Self::Info => MetricType::Info,
        }
    }
}

/// Unit of a metric, which its name ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }

    pub(super) const fn of_client(self) -> registry::Unit {
        match self {
            Self::Bytes => registry::Unit::Bytes,
            Self::Seconds => registry::Unit::Seconds,
        }
    }
}

/// Of what a metric tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What happened to an owner since the agent began.
    OwnerCounter,
    /// What an owner holds.
    OwnerGauge,
    /// The node.
    Node,
    /// The agent itself.
    Agent,
}

impl Scope {
    /// Every one, in the order of the page.
    pub const ALL: [Self; 4] = [
        Self::OwnerCounter,
        Self::OwnerGauge,
        Self::Node,
        Self::Agent,
    ];

    /// Whether its series have the labels of owners.
    #[must_use]
    pub const fn is_of_owner(self) -> bool {
        matches!(self, Self::OwnerCounter | Self::OwnerGauge)
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name without unit and suffix.
    pub base: &'static str,
    /// Its unit, if it has one.
    pub unit: Option<Unit>,
    /// What it is.
    pub kind: Kind,
    /// Of what it tells.
    pub scope: Scope,
    /// Its labels, besides those of owners.
    pub labels: &'static [&'static str],
    /// Most series that it can have; of one owner, where it is of owners.
    pub most: usize,
    /// What it means.
    pub help: &'static str,
    /// Its series.
    pub(super) samples: fn(&Figures) -> Vec<Sample>,
}

impl Metric {
    /// Its name with unit and suffix, as one asks for it; a histogram's without `_bucket`, `_sum` and `_count`.
    #[must_use]
    pub fn name(&self) -> String {
        let unit = self.unit.map(|unit| format!("_{}", unit.name()));
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{}{suffix}", self.base, unit.unwrap_or_default())
    }
}

/// Most series of one owner, or of the node or the agent as a whole.
#[must_use]
pub fn most(scope: Scope) -> usize {
    let all = all().filter(|metric| metric.scope == scope);
    all.map(|metric| metric.most).sum()
}

/// Series of one histogram: its finite bounds, `+Inf`, the sum and the count.
pub const HISTOGRAM_SERIES: usize = STALL_BOUNDS.len() + 3;

/// Base of the metric that counts the series of the page, itself among them.
pub(super) const SERIES: &str = "tcpress_series";

/// Every metric, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    of_owner::METRICS
        .iter()
        .chain(&of_node::METRICS)
        .chain(&of_probes::METRICS)
        .chain(&of_agent::METRICS)
}
