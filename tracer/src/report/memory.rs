//! TCP memory of the node.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Owner;

/// Node-wide TCP memory: one account for all network namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TcpMemory {
    /// Memory allocated.
    pub allocated_bytes: Option<u64>,
    /// Where `allocated_bytes` comes from.
    pub allocated_source: Option<AllocatedSource>,
    /// `net.ipv4.tcp_mem`.
    pub tcp_mem_bytes: Option<TcpMemBytes>,
    /// Allocated over the high mark; it may be above 1.
    pub fill: Option<f64>,
    /// Whether the protocol was under memory pressure at either end of the window.
    pub pressure: Option<bool>,
    /// Who changed that within the window, most times first; null when nothing was traced.
    pub pressures: Option<Vec<Pressure>>,
    /// TCP sockets allocated.
    pub sockets: Option<u64>,
    /// Sockets that no process holds any more.
    pub orphans: Option<u64>,
    /// `net.ipv4.tcp_max_orphans`: beyond it the kernel ends orphans.
    pub orphans_max: Option<u64>,
    /// What all sockets that were found take from `tcp_mem`, listed or not.
    pub found_bytes: Option<u64>,
    /// When these sockets were read: `found_bytes`, `explained` and all holders are of this time, which may lie before the window
    /// where windows follow each other faster than sockets can be read. Null where that is not known.
    pub found_at: Option<Timestamp>,
    /// When sockets were read before: growth is since this time. Null when only one scan was made.
    pub growth_since: Option<Timestamp>,
    /// How much of what the kernel has allocated that explains; null when sockets were not read, or the kernel did not tell.
    pub explained: Option<Explained>,
}

/// What is allocated against what sockets were found to hold, at the time of the scan that speaks for the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Explained {
    /// What was found, over `allocated_bytes`. It may be above 1, as far as `reserve_bytes` reaches; null when nothing was allocated.
    pub share: Option<f64>,
    /// `mem` of `/proc/net/sockstat` beside that scan.
    pub allocated_bytes: u64,
    /// What sockets take that a table of the kernel lists.
    pub listed_bytes: u64,
    /// What sockets take that no table lists.
    pub unlisted_bytes: u64,
    /// How far `allocated_bytes` may be off either way: each CPU keeps up to `net.core.mem_pcpu_rsv` to itself. 0 on kernels that have
    /// no such reserve (before 6.0), null where that is not known.
    pub reserve_bytes: Option<u64>,
    /// TCP sockets that are allocated, in no table, and by no descriptor found.
    pub unseen_sockets: Option<u64>,
    /// In words: why the rest is not explained, or why more was found than is allocated.
    pub reasons: Vec<String>,
}

/// An owner whose sockets put the node under memory pressure, or were at hand when it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pressure {
    /// Who. The node's state is nobody's alone: this is who came last, not who holds the memory.
    pub owner: Owner,
    /// Times that the node came under pressure (`TCPMemoryPressures`).
    pub entered: u64,
    /// Milliseconds of pressure that ended (`TCPMemoryPressuresChrono`).
    pub ended_ms: u64,
}

/// Where a figure of allocated memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllocatedSource {
    /// The largest figure that the kernel compared with the limit at a failed admission in the window.
    Refusal,
    /// `/proc/net/sockstat`, which lags by the per-CPU reserves and may read 0.
    Sockstat,
}

/// The three marks of `net.ipv4.tcp_mem`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpMemBytes {
    /// Below it the kernel does not care.
    pub low: u64,
    /// Above it the protocol comes under pressure.
    pub pressure: u64,
    /// Above it admission fails.
    pub max: u64,
}
