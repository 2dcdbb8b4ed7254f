//! Bounded state per socket: whose it was, its addresses, what was refused to it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::tally::{TallyKey, count, queue};

/// Addresses of a connection. IPv4 addresses stand in the first four bytes.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct Tuple {
    /// Local address, network byte order.
    pub local: [u8; 16],
    /// Remote address, network byte order.
    pub remote: [u8; 16],
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u16,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// TCP state (`include/net/tcp_states.h`).
    pub state: u16,
}
crate::pod!(Tuple);

/// What happened to one socket, keyed by its cookie. Losing an entry never touches a tally.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)
)]
pub struct SocketState {
    /// Whose socket it is.
    pub owner: TallyKey,
    /// Its addresses at the last failure.
    pub tuple: Tuple,
    /// Segments whose admission failed, by [`queue`].
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub verdicts: [u64; queue::COUNT],
    /// Calls of the prune path.
    pub prunes: u64,
    /// What else happened, by [`count`].
    #[cfg_attr(
        feature = "user",
        serde(with = "crate::list"),
        schemars(with = "std::vec::Vec<u64>")
    )]
    pub counts: [u64; count::PER_SOCKET],
    /// When the last failure was, in nanoseconds of `CLOCK_MONOTONIC`.
    pub last_ns: u64,
    /// When the socket was destroyed, in nanoseconds of `CLOCK_MONOTONIC`; 0 while it lives.
    pub closed_ns: u64,
    /// Limit of the last failure ([`crate::tally::limit`]).
    pub last_limit: u32,
    /// Always 0.
    pub reserved: u32,
}
crate::pod!(SocketState);

impl SocketState {
    /// Nothing happened yet.
    pub const ZERO: Self = Self {
        owner: TallyKey {
            cgroup_id: 0,
            memcg_id: 0,
            netns_cookie: 0,
            netns_inum: 0,
            reserved: 0,
        },
        tuple: Tuple {
            local: [0; 16],
            remote: [0; 16],
            family: 0,
            local_port: 0,
            remote_port: 0,
            state: 0,
        },
        verdicts: [0; queue::COUNT],
        prunes: 0,
        counts: [0; count::PER_SOCKET],
        last_ns: 0,
        closed_ns: 0,
        last_limit: 0,
        reserved: 0,
    };
}

impl Default for SocketState {
    fn default() -> Self {
        Self::ZERO
    }
}
