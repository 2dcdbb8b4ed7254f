//! TCP memory of the node.

use serde::{Deserialize, Serialize};

use super::Owner;

/// Node-wide TCP memory: one account for all network namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What all sockets that could be listed take from `tcp_mem`. Sockets that were reset while data
    /// was unread stand in no list and keep their memory until they are closed.
    pub found_bytes: Option<u64>,
}

/// An owner whose sockets put the node under memory pressure, or were at hand when it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocatedSource {
    /// The largest figure that the kernel compared with the limit at a failed admission in the window.
    Refusal,
    /// `/proc/net/sockstat`, which lags by the per-CPU reserves and may read 0.
    Sockstat,
}

/// The three marks of `net.ipv4.tcp_mem`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpMemBytes {
    /// Below it the kernel does not care.
    pub low: u64,
    /// Above it the protocol comes under pressure.
    pub pressure: u64,
    /// Above it admission fails.
    pub max: u64,
}
