//! Records of the ring buffers: evidence of single failures, and births of cgroups.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{socket::Tuple, tally::TallyKey};

/// A value that the program could not read.
pub const ABSENT_U32: u32 = u32::MAX;

/// One failed admission, with the numbers at that instant. Sampled evidence, never a count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EventRecord {
    /// [`crate::ABI_VERSION`].
    pub abi: u32,
    /// Size of this record in bytes: a reader refuses what is shorter.
    pub size: u32,
    /// End of the call, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Time from the first sign of trouble to the end of the call, in nanoseconds; 0 when not measured.
    pub stall_ns: u64,
    /// Cookie of the socket; 0 when the kernel has not given it one.
    pub cookie: u64,
    /// Whose socket it is.
    pub owner: TallyKey,
    /// Its addresses and state.
    pub tuple: Tuple,
    /// [`crate::tally::queue`].
    pub queue: u32,
    /// [`crate::tally::limit`].
    pub limit: u32,
    /// `sk_backlog.rmem_alloc` at the end of the call, in bytes.
    pub rmem_alloc: u32,
    /// `sk_rcvbuf` at the end of the call, in bytes.
    pub rcvbuf: u32,
    /// Payload of the refused segment, in bytes.
    pub skb_len: u32,
    /// Memory that the refused segment asked for (`truesize`), in bytes.
    pub skb_truesize: u32,
    /// Payload queued in order that nobody has read (`rcv_nxt - copied_seq`), in bytes.
    pub unread: u32,
    /// Skbs collapsed in this call.
    pub collapsed: u32,
    /// Calls that threw away out-of-order skbs, in this call.
    pub ofo_pruned: u32,
    /// 1 if the call went through the prune path.
    pub pruned: u32,
    /// Pages allocated node-wide as compared in this call; `u64::MAX` when `tcp_mem` was not compared.
    pub allocated_pages: u64,
    /// `tcp_mem[2]` as compared in this call, in pages; `u64::MAX` when not compared.
    pub tcp_mem_max_pages: u64,
}

/// Longest cgroup path that a record carries, with its final NUL.
pub const CGROUP_PATH_MAX: usize = 512;

/// Birth of a cgroup (`cgroup:cgroup_mkdir`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CgroupRecord {
    /// Id of the cgroup (inode number of its directory).
    pub id: u64,
    /// Hierarchy it was made in; 0 is the default (v2) hierarchy.
    pub hierarchy: u32,
    /// Bytes of `path` in use, without the final NUL; `CGROUP_PATH_MAX - 1` may mean cut off.
    pub path_len: u32,
    /// Path from the root of the hierarchy.
    pub path: [u8; CGROUP_PATH_MAX],
}
crate::pod!(EventRecord, CgroupRecord);
