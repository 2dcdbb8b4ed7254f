//! Ours against the kernel's: one row per network namespace and counter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The counters that are reconciled, as `/proc/net/netstat` names them (`TcpExt`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[allow(
    missing_docs,
    reason = "the names are the kernel's, include/uapi/linux/snmp.h"
)]
pub enum Counter {
    PruneCalled,
    RcvPruned,
    OfoPruned,
    TCPRcvCollapsed,
    TCPRcvQDrop,
    TCPOFODrop,
    TCPZeroWindowDrop,
    TCPBacklogDrop,
    TCPAbortOnMemory,
    TCPMemoryPressures,
    TCPMemoryPressuresChrono,
    ListenDrops,
}

impl Counter {
    /// Every one, in the order of reports.
    pub const ALL: [Self; 12] = [
        Self::TCPOFODrop,
        Self::TCPRcvQDrop,
        Self::PruneCalled,
        Self::RcvPruned,
        Self::OfoPruned,
        Self::TCPRcvCollapsed,
        Self::TCPZeroWindowDrop,
        Self::TCPBacklogDrop,
        Self::TCPAbortOnMemory,
        Self::TCPMemoryPressures,
        Self::TCPMemoryPressuresChrono,
        Self::ListenDrops,
    ];

    /// Its name in `/proc/net/netstat`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PruneCalled => "PruneCalled",
            Self::RcvPruned => "RcvPruned",
            Self::OfoPruned => "OfoPruned",
            Self::TCPRcvCollapsed => "TCPRcvCollapsed",
            Self::TCPRcvQDrop => "TCPRcvQDrop",
            Self::TCPOFODrop => "TCPOFODrop",
            Self::TCPZeroWindowDrop => "TCPZeroWindowDrop",
            Self::TCPBacklogDrop => "TCPBacklogDrop",
            Self::TCPAbortOnMemory => "TCPAbortOnMemory",
            Self::TCPMemoryPressures => "TCPMemoryPressures",
            Self::TCPMemoryPressuresChrono => "TCPMemoryPressuresChrono",
            Self::ListenDrops => "ListenDrops",
        }
    }
}

/// How a row came to be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// The namespace was there at both ends of the window.
    Present,
    /// It was born within the window: its counters started at 0.
    Born,
    /// It died within the window: what the kernel counted after the last reading is not known.
    Gone,
}

/// One counter of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Inode number of the namespace; [`super::rows::TOGETHER`] for all of them.
    pub netns_inum: u32,
    /// Its cookie, which no other namespace gets while the machine runs; `None` where it is not known, or of all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_cookie: Option<u64>,
    /// Which counter.
    pub counter: Counter,
    /// How much the kernel's own counter rose; `None` when it could not be read at both ends. Of a namespace
    /// that died: until it was last read within the window; `None` when it was not.
    pub kernel: Option<u64>,
    /// How much we attributed; `None` when nothing was traced.
    pub attributed: Option<u64>,
    /// Most that the residual may be off, because the two could not be read at one instant, or counts of some
    /// namespaces found no room of their own; 0 when neither is so.
    pub bound: Option<u64>,
    /// How it came to be.
    pub state: RowState,
}

impl Row {
    /// The kernel's count minus ours; `None` when either is not known, or the kernel's is not the last.
    #[must_use]
    pub fn residual(&self) -> Option<i64> {
        if self.state == RowState::Gone {
            return None;
        }
        let kernel = i64::try_from(self.kernel?).ok()?;
        let attributed = i64::try_from(self.attributed?).ok()?;
        Some(kernel - attributed)
    }
}
