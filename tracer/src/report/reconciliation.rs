//! Our counts against the kernel's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::indicators::{Row, RowState};

/// One counter of one network namespace. Flat, so that it loads into any table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reconciliation {
    /// Inode number of the namespace; 0, which none has, for all of them together: only where some found no room in any table,
    /// so that only the sum can be compared.
    pub netns: String,
    /// Name of the counter in `/proc/net/netstat`.
    pub counter: String,
    /// How much the kernel's counter rose; null when it could not be read at both ends. Of a namespace that
    /// died: until it was last read within the window; null when it was not.
    pub kernel: Option<u64>,
    /// How much was attributed to owners; null when nothing was traced.
    pub attributed: Option<u64>,
    /// Kernel minus attributed; null when either is, and for a namespace that died.
    pub residual: Option<i64>,
    /// Most that the residual may be off because the two were not read at one instant, or because counts of some namespaces
    /// found no room of their own.
    pub bound: Option<u64>,
    /// Whether the namespace was there at both ends of the window.
    pub state: NetnsState,
}

/// Rows that are not listed: a recording keeps those in which something moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AtRest {
    /// Rows in which the kernel's counter stood still, and so did ours where there was one: their residual is 0.
    pub agreed: u64,
    /// Rows of namespaces that died, in which nothing was seen to move or for which there was no room: their residual is not known.
    pub unknown: u64,
}

impl AtRest {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.agreed == 0 && self.unknown == 0
    }
}

/// Life of a network namespace within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetnsState {
    /// There at both ends.
    #[default]
    Present,
    /// Born within it: its counters started at 0.
    Born,
    /// Died within it: what the kernel counted after the last reading is not known.
    Gone,
}

impl From<&Row> for Reconciliation {
    fn from(row: &Row) -> Self {
        Self {
            netns: row.netns_inum.to_string(),
            counter: row.counter.name().to_owned(),
            kernel: row.kernel,
            attributed: row.attributed,
            residual: row.residual(),
            bound: row.bound,
            state: match row.state {
                RowState::Present => NetnsState::Present,
                RowState::Born => NetnsState::Born,
                RowState::Gone => NetnsState::Gone,
            },
        }
    }
}
