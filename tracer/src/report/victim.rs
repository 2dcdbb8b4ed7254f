//! Who suffered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Limit, Owner};
use crate::aggregate::stall;
use tracer_common::tally::stall::{BUCKETS, bounds};

/// What one owner suffered within the window. A figure that could not be seen is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Victim {
    /// Who.
    pub owner: Owner,
    /// Segments thrown away, by the queue that they were meant for.
    pub refusals: Refusals,
    /// The same segments by the limit that refused.
    pub refusals_by_limit: RefusalsByLimit,
    /// The same segments by how the limit refused, where it refuses in more than one way.
    pub refusals_by_detail: RefusalsByDetail,
    /// Calls of the prune path by the limit that made them necessary; those of a memory cgroup often end well.
    pub prunes_by_limit: RefusalsByLimit,
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
    /// Data that arrived while its receive window was 0 (`TCPZeroWindowDrop`).
    pub zero_window_drops: Option<u64>,
    /// Segments that found the socket in use and its backlog full (`TCPBacklogDrop`).
    pub backlog_drops: Option<u64>,
    /// Connections that the kernel ended for want of TCP memory or for too many orphans
    /// (`TCPAbortOnMemory`).
    pub aborts_on_memory: Option<u64>,
    /// Connection requests and new connections thrown away at its listeners (`ListenDrops`).
    pub listen_drops: Option<u64>,
    /// Received skbs thrown out of the out-of-order queue again.
    pub ofo_pruned_skbs: Option<u64>,
    /// Memory of these skbs (`truesize`), in bytes.
    pub ofo_pruned_bytes: Option<u64>,
    /// Data that vanished without any counter of the kernel.
    pub uncounted: Option<Uncounted>,
    /// Time that prunes kept the CPU, in nanoseconds.
    pub stall_ns: Option<u64>,
    /// How long single prunes kept it; null when there were none.
    pub stall_percentiles: Option<StallPercentiles>,
    /// How many prunes kept it how long, shortest first; only buckets that hold some. Those of several reports can be added up.
    pub stall_buckets: Vec<StallBucket>,
    /// The part of `stall_ns` that `tcp_collapse` took; null where it cannot be watched.
    pub collapse_ns: Option<u64>,
    /// How long single prunes spent there; null where it cannot be watched, and when none did.
    pub collapse_percentiles: Option<StallPercentiles>,
    /// Inode numbers of its network namespaces.
    pub netns: Vec<String>,
    /// Its worst sockets, a few.
    pub sockets: Vec<VictimSocket>,
    /// Why it does not read; null where nothing was read of it.
    pub context: Option<Context>,
}

/// Data that vanished without any counter of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Uncounted {
    /// Out-of-order skbs that later data covered whole; null where the kernel gives no reason for a drop.
    pub ofo_covered_skbs: Option<u64>,
    /// Receive memory thrown away with sockets that were destroyed, in bytes.
    pub destroyed_bytes: Option<u64>,
}

/// How long single prunes kept the CPU, in nanoseconds, each within an eighth of its value; beyond 67 ms a
/// lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Prunes that kept the CPU for a time within these bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StallBucket {
    /// Shortest time, in nanoseconds; the first bucket, of 1,024, holds what was shorter too.
    pub from_ns: u64,
    /// What was shorter than this, in nanoseconds; the last bucket, of 2^26, holds what was longer too.
    pub to_ns: u64,
    /// How many.
    pub count: u64,
}

impl StallBucket {
    /// Those that hold some.
    #[must_use]
    pub fn of(buckets: &[u64; BUCKETS]) -> Vec<Self> {
        let all = buckets.iter().enumerate();
        all.filter(|(_, count)| **count > 0)
            .map(|(bucket, &count)| {
                let (from_ns, to_ns) = bounds(bucket);
                Self {
                    from_ns,
                    to_ns,
                    count,
                }
            })
            .collect()
    }

    /// Its place among the buckets of the kernel programs; `None` where it is none of them.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        (0..BUCKETS).find(|&bucket| bounds(bucket) == (self.from_ns, self.to_ns))
    }
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

    /// What was lost besides refusals, as far as it was seen, in the order of [`LOSSES_BESIDES`].
    #[must_use]
    pub fn besides(&self) -> [u64; LOSSES_BESIDES.len()] {
        [
            self.zero_window_drops,
            self.backlog_drops,
            self.aborts_on_memory,
            self.listen_drops,
        ]
        .map(Option::unwrap_or_default)
    }
}

/// What an owner can lose besides refused segments: one of them, and how it was lost.
pub const LOSSES_BESIDES: [(&str, &str); 4] = [
    ("segment", "dropped at a window of 0"),
    ("segment", "dropped at a full backlog"),
    ("connection", "ended for want of memory"),
    ("connection request", "dropped at a listener"),
];

/// Refusals by queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Refusals or prunes by limit; null where the limit could not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Refusals by how a limit refused; null where that could not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RefusalsByDetail {
    /// By `tcp_mem`: over its high mark.
    pub hard: Option<u64>,
    /// By `tcp_mem`: over the socket's fair share under pressure.
    pub fair_share: Option<u64>,
    /// By a memory cgroup of the v2 hierarchy.
    pub v2: Option<u64>,
    /// By the TCP memory of a cgroup of the v1 hierarchy.
    pub v1_tcpmem: Option<u64>,
}

/// What one socket suffered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Data that arrived while its receive window was 0.
    pub zero_window_drops: u64,
    /// Segments that found it in use and its backlog full.
    pub backlog_drops: u64,
    /// Limit of the last failure.
    pub limit: Limit,
}
