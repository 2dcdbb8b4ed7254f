//! The numbers that a limit was compared with when it refused.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A number that was not seen.
pub const NOT_SEEN: u64 = u64::MAX;

/// What the kernel compared, in pages; [`NOT_SEEN`] where it compared nothing or did not say.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct Compared {
    /// Pages of TCP memory allocated node-wide.
    pub allocated_pages: u64,
    /// `tcp_mem`: low, pressure and max.
    pub tcp_mem_pages: [u64; 3],
    /// Id of the cgroup whose memory limit had the least room: of all above the socket, the one that refused.
    pub memcg_id: u64,
    /// What is charged to it, in pages.
    pub memcg_usage_pages: u64,
    /// Its limit (`memory.max`, of v1 `memory.kmem.tcp.limit_in_bytes`), in pages.
    pub memcg_max_pages: u64,
}
crate::pod!(Compared);

impl Compared {
    /// Nothing was compared.
    pub const NOTHING: Self = Self {
        allocated_pages: NOT_SEEN,
        tcp_mem_pages: [NOT_SEEN; 3],
        memcg_id: 0,
        memcg_usage_pages: NOT_SEEN,
        memcg_max_pages: NOT_SEEN,
    };
}
