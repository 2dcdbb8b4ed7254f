//! Records of the ring buffers: evidence of single failures, and births of cgroups.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{compared::Compared, socket::Tuple, tally::TallyKey};

/// A value that the program could not read.
pub const ABSENT_U32: u32 = u32::MAX;

/// One failed admission, or one that succeeded only after a prune, with the numbers at that instant. Sampled evidence,
/// never a count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct EventRecord {
    /// [`crate::ABI_VERSION`].
    pub abi: u32,
    /// Size of this record in bytes: a reader refuses what is shorter.
    pub size: u32,
    /// End of the call, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Time that the call took, in nanoseconds; 0 when it did not prune.
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
    /// 1 if the out-of-order queue was empty at the end of the call, 0 if not; [`ABSENT_U32`] when not known.
    pub ofo_empty: u32,
    /// Memory of the out-of-order queue in bytes, derived: `rmem_alloc` less what the receive queue takes.
    /// [`ABSENT_U32`] where that queue was too long to be walked.
    pub ofo_bytes: u32,
    /// The numbers that the limit was compared with.
    pub compared: Compared,
}

/// What [`TimelineRecord::kind`] may be.
pub mod timeline {
    /// The node came under TCP memory pressure.
    pub const PRESSURE_ENTERED: u32 = 0;
    /// The pressure ended.
    pub const PRESSURE_LEFT: u32 = 1;
    /// A connection was ended for want of memory, or as one orphan too many.
    pub const ABORT_ON_MEMORY: u32 = 2;
    /// How many there are.
    pub const COUNT: u32 = 3;
}

/// One change of the node's state, or one connection ended for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct TimelineRecord {
    /// [`crate::ABI_VERSION`].
    pub abi: u32,
    /// Size of this record in bytes: a reader refuses what is shorter.
    pub size: u32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Cookie of the socket at whose hand it happened; 0 when the kernel has not given it one.
    pub cookie: u64,
    /// Whose socket it is.
    pub owner: TallyKey,
    /// [`timeline`].
    pub kind: u32,
    /// How long the pressure that ended had lasted, in milliseconds; 0 for other kinds.
    pub milliseconds: u32,
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
crate::pod!(EventRecord, TimelineRecord, CgroupRecord);
