//! Calls in the middle of being judged. User space reads only when each began: one that is much older
//! than any call can take is left over from a call whose end no program saw.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::compared::Compared;

/// What is known of the call so far. Counts stand per twin; the larger of the two is true.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Frame {
    /// When the call began, as far as that is known, else when trouble was first seen.
    pub opened_ns: u64,
    /// When the `tcp_collapse` that runs began.
    pub collapse_began_ns: u64,
    /// Time that compacting queues took.
    pub collapse_ns: u64,
    /// The numbers that were compared last.
    pub compared: Compared,
    /// `sk_rcvbuf` at entry; all ones when the buffer had room.
    pub rcvbuf: u32,
    /// 1 once something proved that the prune path ran because of the receive buffer.
    pub over_rcvbuf: u32,
    /// 1 once `tcp_prune_queue` was entered where it counts for sure.
    pub prune_entered: u32,
    /// 1 once the `__sk_mem_schedule` that runs has compared with `tcp_mem`.
    pub tcp_mem_compared: u32,
    /// Limit of the first failed `__sk_mem_schedule`.
    pub first_limit: u32,
    /// Limit of the last failed one.
    pub last_limit: u32,
    /// Failed calls of `__sk_mem_schedule`.
    pub failed: [u32; 2],
    /// Successful ones.
    pub passed: [u32; 2],
    /// Out-of-order prunes after the first failed `__sk_mem_schedule`.
    pub late_prunes: [u32; 2],
    /// Out-of-order prunes that threw something away.
    pub ofo_pruned: [u32; 2],
    /// Skbs collapsed.
    pub collapsed: [u32; 2],
    /// Skbs thrown out of the out-of-order queue.
    pub ofo_skbs: [u32; 2],
    /// Their memory, in bytes.
    pub ofo_bytes: [u32; 2],
    /// `sk_rmem_alloc` when the out-of-order prune that runs began.
    pub rmem_before: u32,
    /// `sk_drops` at that time.
    pub drops_before: u32,
    /// What the call's end made of it.
    pub judgement: Judgement,
}
crate::pod!(Frame);

/// What the kernel counted in a call, and why.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Judgement {
    /// 1 if `PruneCalled` rose.
    pub pruned: u32,
    /// Because of this limit.
    pub prune_limit: u32,
    /// 1 if `RcvPruned` rose.
    pub rcv_pruned: u32,
    /// 1 if the call failed before anything was counted.
    pub early_exit: u32,
    /// The limit that refused; of a segment that was admitted, the one that called for the prune.
    pub limit: u32,
    /// What became of the segment, one of [`crate::tally::queue`]; [`crate::tally::queue::RCV`] where `tcp_data_queue` has still to decide.
    pub queue: u32,
}
crate::pod!(Judgement);

impl Judgement {
    /// Not made yet.
    pub const NONE: Self = Self {
        pruned: 0,
        prune_limit: 0,
        rcv_pruned: 0,
        early_exit: 0,
        limit: 0,
        queue: 0,
    };
}

impl Frame {
    /// Nothing seen.
    pub const ZERO: Self = Self {
        opened_ns: 0,
        collapse_began_ns: 0,
        collapse_ns: 0,
        compared: Compared::NOTHING,
        rcvbuf: 0,
        over_rcvbuf: 0,
        prune_entered: 0,
        tcp_mem_compared: 0,
        first_limit: 0,
        last_limit: 0,
        failed: [0; 2],
        passed: [0; 2],
        late_prunes: [0; 2],
        ofo_pruned: [0; 2],
        collapsed: [0; 2],
        ofo_skbs: [0; 2],
        ofo_bytes: [0; 2],
        rmem_before: 0,
        drops_before: 0,
        judgement: Judgement::NONE,
    };
}

/// What is known of the failed admission.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Verdict {
    /// When the admission failed, in nanoseconds of `CLOCK_MONOTONIC`.
    pub failed_ns: u64,
    /// The segment.
    pub skb: u64,
    /// See [`crate::EventRecord`] for this and the rest.
    pub stall_ns: u64,
    /// See [`crate::EventRecord`].
    pub compared: Compared,
    /// See [`crate::EventRecord`].
    pub limit: u32,
    /// See [`crate::EventRecord`].
    pub skb_len: u32,
    /// See [`crate::EventRecord`].
    pub skb_truesize: u32,
    /// See [`crate::EventRecord`].
    pub collapsed: u32,
    /// See [`crate::EventRecord`].
    pub ofo_pruned: u32,
    /// See [`crate::EventRecord`].
    pub pruned: u32,
    /// `tcp_sock.rcv_nxt` when the admission failed: it has moved once the segment is queued all the same.
    pub rcv_nxt: u32,
    /// What became of the segment, one of [`crate::tally::queue`].
    pub queue: u32,
}
crate::pod!(Verdict);
