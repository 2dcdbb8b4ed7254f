//! The messages of `sock_diag` for TCP: the request, and what comes back as bytes. Pure.
//!
//! Follows `include/uapi/linux/netlink.h`, `sock_diag.h` and `inet_diag.h`. A datagram holds several
//! messages; a message is a header, an `inet_diag_msg` and attributes. Memory comes as
//! `INET_DIAG_SKMEMINFO`, asked for; the cgroup as `INET_DIAG_CGROUP_ID` (Linux 5.9), which comes unasked.
//! Sockets in TIME-WAIT and request sockets have no memory and no such attributes. A request of the older kind
//! (`TCPDIAG_GETSOCK`, `inet_diag_dump_compat`) lists both families in one go through the kernel's tables, which
//! are shared by all namespaces and large: half the time of asking for one family after the other. A socket that speaks
//! IPv4 through an IPv6 socket is listed under `AF_INET6` only, with mapped addresses, and keeps them here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use super::socket::{Socket, SocketMemory, TcpState};

/// Length of a message header (`nlmsghdr`).
const HEADER: usize = 16;
/// Length of `inet_diag_msg`.
const DIAG_MSG: usize = 72;
/// Length of a request for one family: header and `inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
/// Length of a request for both families: header and `inet_diag_req`.
const REQUEST_BOTH: usize = HEADER + 60;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
pub(super) const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_CGROUP_ID: u16 = 21;
/// `INET_DIAG_SKMEMINFO` among the extensions asked for.
const MEMORY_BIT: u8 = 1 << (INET_DIAG_SKMEMINFO - 1);
/// `INET_DIAG_INFO` among the extensions asked for.
const INFO_BIT: u8 = 1 << (INET_DIAG_INFO - 1);
/// Flags in the type of an attribute (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const NLA_TYPE_MASK: u16 = 0x3fff;
/// States 1 to 13; 13 is `TCP_BOUND_INACTIVE` (Linux 6.8), which older kernels ignore.
const ALL_STATES: u32 = 0x3ffe;
/// Those in which data may still arrive: ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2.
const RECEIVING_STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5;
/// Offset of `tcpi_rcv_ssthresh` in `tcp_info` (`include/uapi/linux/tcp.h`).
const RCV_SSTHRESH: usize = 64;
/// Offset of `tcpi_advmss`.
const ADVMSS: usize = 84;

/// A datagram that does not follow the format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DiagError {
    /// It ends within a message, or a message is shorter than its kind.
    #[error("sock_diag: message truncated at byte {at} of {len}")]
    Truncated {
        /// Where the message starts.
        at: usize,
        /// Length of the datagram.
        len: usize,
    },
    /// A family that nobody asked for.
    #[error("sock_diag: address family {0}")]
    Family(u8),
}

/// What one datagram said besides its sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The dump is at its end, well or not.
    pub done: bool,
    /// Error number with which the kernel ended the dump.
    pub errno: Option<i32>,
    /// The kernel lost its place or overran: the dump is not consistent (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
}

/// The request for all TCP sockets of a family (`AF_INET` or `AF_INET6`), in any state, with memory.
#[must_use]
pub fn request(family: u8, sequence: u32) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    header(&mut bytes, SOCK_DIAG_BY_FAMILY, sequence);
    bytes[HEADER] = family;
    // IPPROTO_TCP
    bytes[HEADER + 1] = 6;
    bytes[HEADER + 2] = MEMORY_BIT;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&ALL_STATES.to_ne_bytes());
    bytes
}

/// The request for all TCP sockets of both families, in any state, with memory.
#[must_use]
pub fn request_both(sequence: u32) -> [u8; REQUEST_BOTH] {
    both(sequence, MEMORY_BIT, ALL_STATES)
}

/// The request for the receive windows of all TCP sockets of both families to which data may arrive. The kernel takes each
/// socket's lock to tell them (`tcp_get_info`), so this is for a few namespaces only.
#[must_use]
pub fn request_windows(sequence: u32) -> [u8; REQUEST_BOTH] {
    both(sequence, INFO_BIT, RECEIVING_STATES)
}

/// The request for `tcp_info` of one socket, by its ends and cookie. The kernel takes the socket's lock to tell it.
pub(super) fn request_one(socket: &Socket) -> [u8; REQUEST] {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let family = match socket.local.ip() {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    let mut bytes = [0; REQUEST];
    header(&mut bytes, SOCK_DIAG_BY_FAMILY, 1);
    // One socket, no list.
    bytes[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes[HEADER] = family as u8;
    // IPPROTO_TCP
    bytes[HEADER + 1] = 6;
    bytes[HEADER + 2] = INFO_BIT;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&ALL_STATES.to_ne_bytes());
    bytes[HEADER + 8..HEADER + 10].copy_from_slice(&socket.local.port().to_be_bytes());
    bytes[HEADER + 10..HEADER + 12].copy_from_slice(&socket.remote.port().to_be_bytes());
    for (at, end) in [(12, socket.local), (28, socket.remote)] {
        let (at, octets) = (HEADER + at, octets(end.ip()));
        bytes[at..at + octets.len()].copy_from_slice(&octets);
    }
    // Two numbers of 32 bits, the lower one first.
    let halves = [socket.cookie as u32, (socket.cookie >> 32) as u32];
    for (at, half) in [48, 52].into_iter().zip(halves) {
        bytes[HEADER + at..HEADER + at + 4].copy_from_slice(&half.to_ne_bytes());
    }
    bytes
}

/// The attributes in the answer to [`request_one`]; `None` where it is an error, or cut off.
pub(super) fn one(datagram: &[u8]) -> Option<&[u8]> {
    let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
    let message = datagram.get(..length)?;
    let found = u16_at(message, 4)? == SOCK_DIAG_BY_FAMILY;
    message.get(HEADER + DIAG_MSG..).filter(|_| found)
}

fn both(sequence: u32, extensions: u8, states: u32) -> [u8; REQUEST_BOTH] {
    let mut bytes = [0; REQUEST_BOTH];
    header(&mut bytes, TCPDIAG_GETSOCK, sequence);
    bytes[HEADER + 3] = extensions;
    bytes[HEADER + 52..HEADER + 56].copy_from_slice(&states.to_ne_bytes());
    bytes
}

fn header(bytes: &mut [u8], kind: u16, sequence: u32) {
    // Requests are shorter than a hundred bytes.
    let length = bytes.len() as u32;
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
}

/// Decodes one datagram of the answer to the request with that sequence number, and hands on each socket. Messages that belong to
/// another request are passed over.
///
/// # Errors
/// When a message is cut off or of an unknown family; of the whole dump nothing should then be used.
pub fn decode(
    datagram: &[u8],
    netns_inum: u32,
    sequence: u32,
    mut each: impl FnMut(Socket),
) -> Result<Decoded, DiagError> {
    let mut decoded = Decoded::default();
    let mut at = 0;
    while at < datagram.len() {
        let truncated = DiagError::Truncated {
            at,
            len: datagram.len(),
        };
        let rest = &datagram[at..];
        let header = (
            u32_at(rest, 0),
            u16_at(rest, 4),
            u16_at(rest, 6),
            u32_at(rest, 8),
        );
        let (Some(length), Some(kind), Some(flags), Some(of)) = header else {
            return Err(truncated);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < HEADER || length > rest.len() {
            return Err(truncated);
        }
        let body = &rest[HEADER..length];
        // The last message may come without its padding.
        at = (at + length.next_multiple_of(4)).min(datagram.len());
        if of != sequence {
            continue;
        }
        decoded.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match kind {
            NLMSG_NOOP => {}
            NLMSG_ERROR => {
                let errno = i32_at(body, 0).ok_or(truncated)?;
                decoded.errno = (errno != 0).then_some(errno.saturating_neg());
                decoded.done = true;
            }
            NLMSG_DONE => {
                // A dump that fails says so here (netlink_dump); kernels before 2.6 sent no body.
                let errno = i32_at(body, 0).unwrap_or(0);
                decoded.errno = (errno < 0).then_some(errno.saturating_neg());
                decoded.done = true;
            }
            NLMSG_OVERRUN => decoded.interrupted = true,
            SOCK_DIAG_BY_FAMILY | TCPDIAG_GETSOCK => {
                if body.len() < DIAG_MSG {
                    return Err(truncated);
                }
                each(socket(body, netns_inum).ok_or(truncated)??);
            }
            _ => {}
        }
    }
    Ok(decoded)
}

/// `None` when it is cut off, which its caller has ruled out.
fn socket(body: &[u8], netns_inum: u32) -> Option<Result<Socket, DiagError>> {
    let family = *body.first()?;
    let address = |at: usize, port_at: usize| {
        let port = u16::from_be_bytes(bytes_at(body, port_at)?);
        let ip: IpAddr = match i32::from(family) {
            libc::AF_INET => Ipv4Addr::from(bytes_at::<4>(body, at)?).into(),
            libc::AF_INET6 => Ipv6Addr::from(bytes_at::<16>(body, at)?).into(),
            _ => return Some(Err(DiagError::Family(family))),
        };
        Some(Ok(SocketAddr::new(ip, port)))
    };
    let (local, remote) = match (address(8, 4)?, address(24, 6)?) {
        (Ok(local), Ok(remote)) => (local, remote),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
    };
    let mut socket = Socket {
        netns_inum,
        local,
        remote,
        state: TcpState::from_number(*body.get(1)?),
        inode: u32_at(body, 68)?,
        cookie: u64::from(u32_at(body, 44)?) | u64::from(u32_at(body, 48)?) << 32,
        cgroup_id: None,
        memory: None,
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: u32_at(body, 56)?,
        unsent: u32_at(body, 60)?,
    };
    for (kind, value) in Attributes(body.get(DIAG_MSG..)?) {
        match kind {
            INET_DIAG_SKMEMINFO => socket.memory = memory(value),
            INET_DIAG_INFO => socket.clamped = clamped(value),
            INET_DIAG_CGROUP_ID => socket.cgroup_id = bytes_at(value, 0).map(u64::from_ne_bytes),
            _ => {}
        }
    }
    Some(Ok(socket))
}

/// Whether the window is held at four segments or fewer, as under memory pressure (`__tcp_select_window`, `tcp_grow_window`,
/// `net/ipv4/tcp_output.c` and `tcp_input.c`).
fn clamped(info: &[u8]) -> Option<bool> {
    let (ssthresh, segment) = (u32_at(info, RCV_SSTHRESH)?, u32_at(info, ADVMSS)?);
    Some(ssthresh <= segment.saturating_mul(4))
}

/// Of the nine numbers of `sk_get_meminfo` those that are used; `None` when it ends before them.
pub(super) fn memory(value: &[u8]) -> Option<SocketMemory> {
    // The kernel's counts are signed and may be below 0 for an instant, which means nothing held.
    let bytes = |index: usize| Some(i32_at(value, index * 4)?.max(0).unsigned_abs());
    Some(SocketMemory {
        rmem_alloc: bytes(0)?,
        rcvbuf: bytes(1)?,
        forward_alloc: bytes(4)?,
        wmem_queued: bytes(5)?,
    })
}

/// Attributes up to the first that is cut off.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & NLA_TYPE_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes_at(bytes, at).map(i32::from_ne_bytes)
}

#[cfg(test)]
#[path = "diag_tests.rs"]
mod tests;
