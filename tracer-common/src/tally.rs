//! Exact counts: what happened, per owner.
//!
//! A tally is one entry of a shared hash map whose fields are only ever added to atomically. A count
//! lives here until user space reads it; nothing about a count travels by stream.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Whose counts: always read from the socket, never from the running task.
#[repr(C)]
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct TallyKey {
    /// Id of the socket's cgroup in the default (v2) hierarchy (`sk_cgrp_data`); 0 when it has none.
    pub cgroup_id: u64,
    /// Cgroup id of the memory cgroup that the socket is charged to (`sk_memcg`); 0 when it has none.
    pub memcg_id: u64,
    /// Cookie of the network namespace; 0 on kernels that have not given it one.
    pub netns_cookie: u64,
    /// Inode number of the network namespace (`/proc/PID/ns/net`).
    pub netns_inum: u32,
    /// Always 0.
    pub reserved: u32,
}
crate::pod!(TallyKey);

impl TallyKey {
    /// The key of the overflow bucket of this key's network namespace: the same namespace, no owner.
    #[must_use]
    pub const fn overflow(&self) -> Self {
        Self {
            cgroup_id: OVERFLOW_ID,
            memcg_id: OVERFLOW_ID,
            netns_cookie: self.netns_cookie,
            netns_inum: self.netns_inum,
            reserved: 0,
        }
    }
}

/// In the place of both cgroup ids: the tallies were full, and the owner is lost, but not the count.
/// With a network namespace of 0 the overflow map was full too.
pub const OVERFLOW_ID: u64 = u64::MAX;

/// Queue that a segment was refused for.
pub mod queue {
    /// In order, for the receive queue (`tcp_data_queue`): raises `TCPRcvQDrop`.
    pub const RCV: usize = 0;
    /// Out of order (`tcp_data_queue_ofo`): raises `TCPOFODrop`.
    pub const OFO: usize = 1;
    /// Written by `TCP_REPAIR` (`tcp_send_rcvq`): raises `TCPRcvQDrop`.
    pub const SEND_RCVQ: usize = 2;
    /// Admission failed, yet the segment was queued (6.12 and later; empty queue or bare FIN): no
    /// counter, no drop.
    pub const FORCED: usize = 3;
    /// Admitted, but only after a prune: no counter but `PruneCalled`, no drop.
    pub const ADMITTED: usize = 4;
    /// How many there are.
    pub const COUNT: usize = 5;
}

/// Cells of [`TallyValue::counts`]: what else happened to an owner. The first [`count::PER_SOCKET`] are
/// kept per socket too.
pub mod count {
    /// Data that arrived while the receive window was 0: `TCPZeroWindowDrop`.
    pub const ZERO_WINDOW_DROPS: usize = 0;
    /// Segments that found the socket in use and its backlog full: `TCPBacklogDrop`.
    pub const BACKLOG_DROPS: usize = 1;
    /// Connections ended for want of memory, or as one orphan too many: `TCPAbortOnMemory`.
    pub const ABORTS_ON_MEMORY: usize = 2;
    /// Connection requests and new connections thrown away at a listener: `ListenDrops`.
    pub const LISTEN_DROPS: usize = 3;
    /// Received skbs thrown out of the out-of-order queue again. No counter of the kernel tells them.
    pub const OFO_PRUNED_SKBS: usize = 4;
    /// Memory of these skbs (`truesize`), in bytes.
    pub const OFO_PRUNED_BYTES: usize = 5;
    /// How many of these cells are kept per socket.
    pub const PER_SOCKET: usize = 6;
    /// Times that an allocation of this owner put the node under memory pressure: `TCPMemoryPressures`.
    pub const MEMORY_PRESSURES: usize = 6;
    /// Milliseconds of pressure that ended with this owner: `TCPMemoryPressuresChrono`.
    pub const MEMORY_PRESSURES_MS: usize = 7;
    /// Out-of-order skbs that later data covered whole. No counter of the kernel tells them.
    pub const OFO_COVERED_SKBS: usize = 8;
    /// Receive memory thrown away with sockets that were destroyed, in bytes. No counter of the kernel
    /// tells it.
    pub const DESTROYED_BYTES: usize = 9;
    /// How many there are.
    pub const COUNT: usize = 10;
}

/// Limit that refused.
pub mod limit {
    /// The socket's own receive buffer (`sk_rcvbuf`).
    pub const RCVBUF: usize = 0;
    /// Node-wide `tcp_mem[2]`: allocated pages were over it.
    pub const TCP_MEM_HARD: usize = 1;
    /// Node-wide `tcp_mem` under pressure: the socket held more than its fair share.
    pub const TCP_MEM_FAIR_SHARE: usize = 2;
    /// The memory of the socket's cgroup, or of one above it, in the v2 hierarchy (`memory.max`).
    pub const MEMCG_V2: usize = 3;
    /// The TCP memory of the socket's cgroup in the v1 hierarchy (`memory.kmem.tcp.limit_in_bytes`).
    pub const MEMCG_V1_TCPMEM: usize = 4;
    /// Not seen: no charge failed, and the kernel did not say what it compared.
    pub const UNKNOWN: usize = 5;
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// Slots of [`TallyValue::verdicts`]: queue by limit.
pub const VERDICT_SLOTS: usize = queue::COUNT * limit::COUNT;

/// The slot of a verdict on a segment in [`TallyValue::verdicts`].
#[must_use]
pub const fn slot(queue: usize, limit: usize) -> usize {
    queue * limit::COUNT + limit
}

/// Buckets of the time that prunes kept the CPU: four to each power of two, from 1.024 µs to 67 ms. The first
/// holds what was shorter too, the last what was longer.
pub mod stall {
    /// How many there are.
    pub const BUCKETS: usize = 64;
    /// Power of two, in nanoseconds, at which the buckets begin.
    pub const FIRST_POWER: u32 = 10;
    /// Power of two of buckets to each power of two.
    pub const SUB_POWER: u32 = 2;

    /// Where a bucket begins and ends, in nanoseconds; the end is the beginning of the next one.
    #[must_use]
    pub const fn bounds(bucket: usize) -> (u64, u64) {
        (start(bucket), start(bucket + 1))
    }

    const fn start(bucket: usize) -> u64 {
        let power = FIRST_POWER + (bucket >> SUB_POWER) as u32;
        let sub = (bucket as u64) & ((1 << SUB_POWER) - 1);
        (1 << power) + (sub << (power - SUB_POWER))
    }
}

/// Counts of one owner since the programs were attached. All fields only grow, except `last_*`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct TallyValue {
    /// Verdicts on segments whose admission failed, by [`slot`]. The sum over `queue::RCV` and
    /// `queue::SEND_RCVQ` is the kernel's `TCPRcvQDrop`, that over `queue::OFO` its `TCPOFODrop`.
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub verdicts: [u64; VERDICT_SLOTS],
    /// When evidence was last sent, by [`slot`], in nanoseconds of `CLOCK_MONOTONIC`.
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub last_evidence_ns: [u64; VERDICT_SLOTS],
    /// Calls of the prune path by the limit that called for it; the sum is `PruneCalled`.
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub prunes: [u64; limit::COUNT],
    /// How many prunes kept the CPU how long, by [`stall`].
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub stalls: [u64; stall::BUCKETS],
    /// How many of these prunes spent how much of that in `tcp_collapse`, by [`stall`].
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub collapses: [u64; stall::BUCKETS],
    /// What else happened, by [`count`].
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub counts: [u64; count::COUNT],
    /// Prunes that gave up: `RcvPruned`.
    pub rcv_pruned: u64,
    /// Calls that threw away out-of-order skbs: `OfoPruned`.
    pub ofo_pruned: u64,
    /// Skbs merged while compacting queues: `TCPRcvCollapsed`.
    pub rcv_collapsed: u64,
    /// Admissions that failed before the prune path counted anything (6.17 and later).
    pub early_exits: u64,
    /// Time that calls of `tcp_try_rmem_schedule` which pruned kept the CPU, in nanoseconds.
    pub stall_ns: u64,
    /// The part of it that `tcp_collapse` took, in nanoseconds.
    pub collapse_ns: u64,
    /// Evidence held back because this owner had just sent some of the same kind.
    pub suppressed: u64,
    /// Pages of TCP memory allocated node-wide as compared at the last failure by `tcp_mem`; 0
    /// before the first.
    pub last_allocated_pages: u64,
    /// `tcp_mem[2]` as compared at that failure, in pages.
    pub last_tcp_mem_max_pages: u64,
}
crate::pod!(TallyValue);

impl TallyValue {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        verdicts: [0; VERDICT_SLOTS],
        prunes: [0; limit::COUNT],
        stalls: [0; stall::BUCKETS],
        collapses: [0; stall::BUCKETS],
        counts: [0; count::COUNT],
        rcv_pruned: 0,
        ofo_pruned: 0,
        rcv_collapsed: 0,
        early_exits: 0,
        stall_ns: 0,
        collapse_ns: 0,
        suppressed: 0,
        last_allocated_pages: 0,
        last_tcp_mem_max_pages: 0,
        last_evidence_ns: [0; VERDICT_SLOTS],
    };

    /// Segments of one queue whose admission failed, over all limits.
    #[must_use]
    pub fn verdicts_of(&self, queue: usize) -> u64 {
        (0..limit::COUNT)
            .map(|l| self.verdicts[slot(queue, l)])
            .fold(0, u64::saturating_add)
    }
}

impl Default for TallyValue {
    fn default() -> Self {
        Self::ZERO
    }
}
