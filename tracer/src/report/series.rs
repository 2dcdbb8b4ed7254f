//! The course of the window: refusals of each owner against fill, step by step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Owner;

/// The window in steps of about a second, or of longer ones where it is long. The counts of an owner add up to its refusals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Series {
    /// The steps in the order of time; each begins where the one before ended, the first at the start of the window.
    pub steps: Vec<Step>,
    /// Owners whose segments were refused, most first.
    pub owners: Vec<OwnerSeries>,
    /// Segments refused in each step, of all other owners together; empty where there are none.
    pub others: Vec<u64>,
}

/// One step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Step {
    /// When it ended, in nanoseconds from the start of the window by the monotonic clock.
    pub end_ns: u64,
    /// TCP memory allocated, the most that was read within the step from `/proc/net/sockstat`, which lags by the per-CPU reserves; null where it
    /// was not read.
    pub allocated_bytes: Option<u64>,
    /// The same over the high mark of `tcp_mem`.
    pub fill: Option<f64>,
}

/// Refusals of one owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnerSeries {
    /// Who.
    pub owner: Owner,
    /// Segments refused in each step.
    pub refused: Vec<u64>,
}
