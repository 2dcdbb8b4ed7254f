//! Who suffered.

use serde::{Deserialize, Serialize};

use super::{Limit, Owner};
use crate::aggregate::stall;

/// What one owner suffered within the window. A figure that could not be seen is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Victim {
    /// Who.
    pub owner: Owner,
    /// Segments thrown away, by the queue that they were meant for.
    pub refusals: Refusals,
    /// The same segments by the limit that refused.
    pub refusals_by_limit: RefusalsByLimit,
    /// Segments whose admission failed but which were queued nevertheless.
    pub forced_admissions: Option<u64>,
    /// Admissions that failed before the prune path counted anything.
    pub early_exits: Option<u64>,
    /// Calls of the prune path.
    pub prunes: Option<u64>,
    /// Prunes that gave up.
    pub rcv_pruned: Option<u64>,
    /// Calls that threw away out-of-order segments that had already been received.
    pub ofo_prunes: Option<u64>,
    /// Skbs merged while compacting queues.
    pub collapsed_skbs: Option<u64>,
    /// Time that prunes kept the CPU, in nanoseconds.
    pub stall_ns: Option<u64>,
    /// How long single prunes kept it; null when there were none.
    pub stall_percentiles: Option<StallPercentiles>,
    /// Inode numbers of its network namespaces.
    pub netns: Vec<String>,
    /// Its worst sockets, a few.
    pub sockets: Vec<VictimSocket>,
}

/// How long single prunes kept the CPU, in nanoseconds, each within an eighth of its value; beyond 67 ms a
/// lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StallPercentiles {
    /// Half of the prunes took no longer.
    pub p50_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1000.
    pub p999_ns: u64,
    /// All of them.
    pub max_ns: u64,
}

impl From<stall::Percentiles> for StallPercentiles {
    fn from(stall: stall::Percentiles) -> Self {
        Self {
            p50_ns: stall.p50,
            p99_ns: stall.p99,
            p999_ns: stall.p999,
            max_ns: stall.max,
        }
    }
}

impl Victim {
    /// Refusals over all queues, as far as they were seen.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refusals.total()
    }
}

/// Refusals by queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusals {
    /// In order, meant for the receive queue (`TCPRcvQDrop`).
    pub rcv: Option<u64>,
    /// Out of order (`TCPOFODrop`).
    pub ofo: Option<u64>,
    /// Written by `TCP_REPAIR` (also `TCPRcvQDrop`); null where the kernel's counter alone is known,
    /// which holds them within `rcv`.
    pub send_rcvq: Option<u64>,
}

impl Refusals {
    /// Over all queues, as far as they were seen.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.rcv, self.ofo, self.send_rcvq]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }
}

/// Refusals by limit; null where the limit could not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusalsByLimit {
    /// By the socket's own receive buffer.
    pub rcvbuf: Option<u64>,
    /// By TCP memory of the node.
    pub tcp_mem: Option<u64>,
    /// By memory of the cgroup.
    pub memcg: Option<u64>,
    /// By a limit that was not seen.
    pub unknown: Option<u64>,
}

/// What one socket suffered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VictimSocket {
    /// Local address and port; null when the address family is not known.
    pub local: Option<String>,
    /// Remote address and port.
    pub remote: Option<String>,
    /// Cookie of the socket.
    pub cookie: Option<String>,
    /// Segments thrown away.
    pub refusals: u64,
    /// Calls of the prune path.
    pub prunes: u64,
    /// Limit of the last failure.
    pub limit: Limit,
}
