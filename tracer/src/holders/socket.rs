//! One socket and its memory, as `sock_diag` tells it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::Tuple;

use super::part::Part;
use crate::indicators::sockstat::Sockstat;

/// State of a TCP socket (`include/net/tcp_states.h`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of RFC 9293 and of ss")]
pub enum TcpState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    /// A number that this version does not know.
    Other(u8),
}

impl TcpState {
    /// The state of a number of `include/net/tcp_states.h`. Request sockets (12) are in SYN-RECEIVED;
    /// sockets that are bound but not connected (13, Linux 6.8) are in CLOSE.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 | 13 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

/// One TCP socket. Sizes are bytes of `truesize` unless named otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Socket {
    /// Inode number of its network namespace; 0 when that is not known.
    pub netns_inum: u32,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// State.
    pub state: TcpState,
    /// Inode number of the socket; 0 when no file holds it (orphan, or not accepted yet).
    pub inode: u32,
    /// Cookie.
    pub cookie: u64,
    /// Id of its cgroup in the default hierarchy; `None` where the kernel does not tell.
    pub cgroup_id: Option<u64>,
    /// `None` where the kernel did not tell the memory of this socket.
    pub memory: Option<SocketMemory>,
    /// Whether its receive window is held at four segments or fewer; `None` where that was not asked for.
    pub clamped: Option<bool>,
    /// Milliseconds since it last received data; `None` where that was not asked for. (The kernel keeps no age of a socket.)
    pub idle_ms: Option<u32>,
    /// Whether a table of the kernel lists it. One that none lists was found by the descriptor of a process: its connection
    /// is dead, and it keeps its queues until its application closes it.
    pub listed: bool,
    /// Payload in the receive queue that nobody has read, in bytes; for a listener, connections waiting.
    pub unread: u32,
    /// Payload in the send queue not acknowledged, in bytes; for a listener, the limit of the backlog.
    pub unsent: u32,
}

/// What tells connections of a node apart while they live: inode number of the network namespace, local and remote end. IPv4
/// stands as itself, however the socket speaks it.
pub type Ends = (u32, SocketAddr, SocketAddr);

impl Socket {
    /// Whether it is a small stand-in without queues (`inet_timewait_sock`, `request_sock`), of which the kernel tells no memory
    /// because there is none. One in FIN-WAIT-2 that no file holds is in TIME-WAIT already (`tcp_time_wait`).
    #[must_use]
    pub const fn is_stand_in(&self) -> bool {
        self.memory.is_none()
            && match self.state {
                TcpState::TimeWait | TcpState::SynRecv => true,
                TcpState::FinWait2 => self.inode == 0,
                _ => false,
            }
    }

    /// Bytes that it takes from `tcp_mem`. Where the kernel did not tell its memory, its payload stands for it: that is less than
    /// the memory it lies in, but a leak shows by it all the same.
    #[must_use]
    pub const fn held(&self) -> u64 {
        match (self.memory, self.state) {
            (Some(memory), _) => memory.held(),
            (None, TcpState::Listen) => 0,
            _ if self.is_stand_in() => 0,
            _ => self.unread as u64 + self.unsent as u64,
        }
    }

    /// Its ends.
    #[must_use]
    pub fn ends(&self) -> Ends {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        (self.netns_inum, plain(self.local), plain(self.remote))
    }

    /// The ends that kernel programs saw; `None` when the family is neither IPv4 nor IPv6.
    #[must_use]
    pub fn ends_of(netns_inum: u32, tuple: &Tuple) -> Option<Ends> {
        let end = |bytes, port| address(bytes, tuple.family, port);
        let local = end(&tuple.local, tuple.local_port)?;
        Some((netns_inum, local, end(&tuple.remote, tuple.remote_port)?))
    }
}

/// An address that kernel programs saw; `None` when the family is neither IPv4 nor IPv6.
#[must_use]
pub fn address(bytes: &[u8; 16], family: u16, port: u16) -> Option<SocketAddr> {
    let ip = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What is used of `INET_DIAG_SKMEMINFO` of a socket, in bytes (`sk_get_meminfo`, `net/core/sock.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketMemory {
    /// Receive side: receive queue and out-of-order queue (`sk_rmem_alloc`).
    pub rmem_alloc: u32,
    /// Limit of the receive side.
    pub rcvbuf: u32,
    /// Reserved and not used yet.
    pub forward_alloc: u32,
    /// Send queue (`sk_wmem_queued`).
    pub wmem_queued: u32,
}

impl SocketMemory {
    /// What the socket takes from `tcp_mem`: receive side, send queue and reserve. (Its backlog and what it has handed to lower
    /// layers are not charged to it.)
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.rmem_alloc as u64 + self.wmem_queued as u64 + self.forward_alloc as u64
    }
}

/// Sockets of which only the sum was kept: those of one network namespace, cgroup and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// One of them. What tells its owner is the same for all.
    pub example: Socket,
    /// Their sum.
    pub part: Part,
    /// Those that hold most, most bytes first.
    pub top: Vec<Socket>,
}

/// All sockets at one time, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// When it was begun; `None` where that is not known.
    pub at: Option<Timestamp>,
    /// TCP sockets, each by itself.
    pub sockets: Vec<Socket>,
    /// TCP sockets of which only sums were kept.
    pub sums: Vec<Sum>,
    /// In words: what could not be read, and why.
    pub gaps: Vec<String>,
    /// The node's own account right before and right after.
    pub around: [Sockstat; 2],
}

impl Scan {
    /// The scan, unless it found nothing because nothing could be read.
    #[must_use]
    pub fn seen(&self) -> Option<&Self> {
        let nothing = self.sockets.is_empty() && self.sums.is_empty();
        (!nothing || self.gaps.is_empty()).then_some(self)
    }

    /// At least one socket of each network namespace, cgroup and state.
    pub fn examples(&self) -> impl Iterator<Item = &Socket> {
        let examples = self.sums.iter().map(|sum| &sum.example);
        self.sockets.iter().chain(examples)
    }

    /// Sockets to look into: each that was kept by itself, and of those that were only summed the largest.
    pub fn shown(&self) -> impl Iterator<Item = &Socket> {
        let summed = self.sums.iter().flat_map(|sum| match sum.top.is_empty() {
            true => std::slice::from_ref(&sum.example),
            false => sum.top.as_slice(),
        });
        self.sockets.iter().chain(summed)
    }

    /// All sockets together.
    #[must_use]
    pub fn total(&self) -> Part {
        let mut total = Part::default();
        for socket in &self.sockets {
            total.add(socket);
        }
        for sum in &self.sums {
            total.merge(&sum.part);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_the_same_ends_whoever_tells_them() {
        let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped();
        let remote = SocketAddr::from(([10, 0, 0, 2], 4000));
        let socket = Socket {
            netns_inum: 7,
            local: SocketAddr::new(mapped.into(), 80),
            remote,
            state: TcpState::Established,
            inode: 1,
            cookie: 0,
            cgroup_id: None,
            memory: None,
            clamped: None,
            idle_ms: None,
            listed: true,
            unread: 0,
            unsent: 0,
        };
        let mut tuple = Tuple {
            local: mapped.octets(),
            remote: Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().octets(),
            family: 10,
            local_port: 80,
            remote_port: 4000,
            state: 1,
        };
        assert_eq!(Socket::ends_of(7, &tuple), Some(socket.ends()));
        assert_ne!(Socket::ends_of(8, &tuple), Some(socket.ends()));
        tuple.family = 1;
        assert_eq!(Socket::ends_of(7, &tuple), None);
    }
}
