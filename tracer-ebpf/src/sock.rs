//! What the programs read of a socket and of a segment.

use aya_ebpf::{
    helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tracer_common::{Tuple, event::ABSENT_U32, layout::ABSENT, tally::count};

use crate::{
    frame,
    kernel::{Object, follow, offset, read, read_into, slot, typed},
    maps::SOCKETS,
    tally, verdict,
};

/// `IPPROTO_TCP`.
const IPPROTO_TCP: u16 = 6;
/// `AF_INET6`.
const AF_INET6: u16 = 10;

/// Bytes charged to the receive side; typed, for the ordinary path.
#[inline(always)]
pub(crate) fn rmem_alloc(sk: Object) -> u32 {
    typed(sk, offset!(sock_rmem_alloc))
}

/// The same of a socket that the verifier does not know.
#[inline(always)]
pub(crate) fn rmem_alloc_of(sk: Object) -> u32 {
    read(sk, offset!(sock_rmem_alloc))
}

/// Skbs and segments that the socket threw away for whatever reason.
#[inline(always)]
pub(crate) fn drops(sk: Object) -> u32 {
    read(sk, offset!(sock_drops))
}

/// Limit of the receive side; typed, for the ordinary path.
#[inline(always)]
pub(crate) fn rcvbuf(sk: Object) -> u32 {
    typed(sk, offset!(sock_rcvbuf))
}

/// Payload of a segment; typed, for the ordinary path.
#[inline(always)]
pub(crate) fn skb_len(skb: Object) -> u32 {
    typed(skb, offset!(skb_len))
}

#[inline(always)]
pub(crate) fn is_tcp(sk: Object) -> bool {
    read::<u16>(sk, offset!(sock_protocol)) == IPPROTO_TCP
}

/// Whether the segment came from the emergency reserves, which `tcp_mem` does not refuse.
#[inline(always)]
pub(crate) fn pfmemalloc(skb: Object) -> bool {
    let byte = read::<u8>(skb, offset!(skb_pfmemalloc));
    u32::from(byte) & offset!(skb_pfmemalloc_mask) != 0
}

/// How far the segment lies after what the socket wants next: above 0 it is out of order. The same
/// signed 32-bit test as `before()` in `include/net/tcp.h`.
#[inline(always)]
pub(crate) fn distance(sk: Object, skb: Object) -> i32 {
    let seq = read::<u32>(skb, offset!(skb_cb));
    seq.wrapping_sub(rcv_nxt(sk)) as i32
}

/// What the socket wants next.
#[inline(always)]
pub(crate) fn rcv_nxt(sk: Object) -> u32 {
    read(sk, offset!(tcp_rcv_nxt))
}

/// Payload queued in order that nobody has read.
#[inline(always)]
pub(crate) fn unread(sk: Object) -> Option<u32> {
    if offset!(tcp_copied_seq) == ABSENT {
        return None;
    }
    Some(rcv_nxt(sk).wrapping_sub(read::<u32>(sk, offset!(tcp_copied_seq))))
}

/// Whether the out-of-order queue is empty, and its memory. The memory is derived: what the receive side
/// takes, less the receive queue as far as that can be walked.
#[inline(always)]
pub(crate) fn ofo_queue(sk: Object, rmem_alloc: u32) -> (u32, u32) {
    /// Skbs of the receive queue that are looked at.
    const WALKED: usize = 64;
    if offset!(tcp_ofo_root) == ABSENT || offset!(skb_next) == ABSENT {
        return (ABSENT_U32, ABSENT_U32);
    }
    if follow(sk, offset!(tcp_ofo_root)).is_null() {
        return (1, 0);
    }
    let queue = sk.wrapping_add(offset!(sock_receive_queue) as usize);
    let mut skb = follow(queue, 0);
    // Summed, and compared once: a comparison in each turn would make the verifier walk each turn twice.
    let mut received = 0;
    for _ in 0..WALKED {
        if skb == queue {
            return (0, u64::from(rmem_alloc).saturating_sub(received) as u32);
        }
        received += u64::from(verdict::truesize(skb));
        skb = follow(skb, offset!(skb_next));
    }
    (0, ABSENT_U32)
}

/// The socket's cookie; 0 where the kernel has given it none and cannot be asked to.
#[inline(always)]
pub(crate) fn cookie(sk: Object) -> u64 {
    if offset!(has_socket_cookie_helper) != 0 {
        // SAFETY: the argument is a socket that the verifier knows.
        return unsafe { bpf_get_socket_cookie(sk.cast_mut().cast()) };
    }
    known_cookie(sk)
}

/// The cookie that the socket was given already, else 0; for one that the verifier does not know.
#[inline(always)]
pub(crate) fn known_cookie(sk: Object) -> u64 {
    read(sk, offset!(sock_cookie))
}

/// Key of the socket's state: its cookie, else its address, which no cookie is as large as.
#[inline(always)]
pub(crate) fn state_key(sk: Object, cookie: u64) -> u64 {
    if cookie == 0 { sk as u64 } else { cookie }
}

/// Fills in addresses and state of a connection, in place: the stack of a program is small.
#[inline(always)]
pub(crate) fn fill_tuple(sk: Object, tuple: &mut Tuple) {
    tuple.family = read::<u16>(sk, offset!(sock_family));
    tuple.local_port = read::<u16>(sk, offset!(sock_num));
    tuple.remote_port = u16::from_be(read::<u16>(sk, offset!(sock_dport)));
    tuple.state = u16::from(read::<u8>(sk, offset!(sock_state)));
    if tuple.family == AF_INET6 {
        read_into(sk, offset!(sock_v6_rcv_saddr), &mut tuple.local);
        read_into(sk, offset!(sock_v6_daddr), &mut tuple.remote);
    } else {
        tuple.local = [0; 16];
        tuple.remote = [0; 16];
        read_into(sk, offset!(sock_rcv_saddr), &mut tuple.local[..4]);
        read_into(sk, offset!(sock_daddr), &mut tuple.remote[..4]);
    }
}

/// `tcp:tcp_destroy_sock(sk)`: the socket's state is closed, and nothing of it waits any longer.
#[btf_tracepoint]
pub(crate) fn destroy_sock(ctx: BtfTracePointContext) -> i32 {
    let sk = slot!(&ctx, 0) as Object;
    frame::drop_stale(sk as u64);
    verdict::drop_stale(sk as u64);
    let bytes = rmem_alloc(sk);
    if bytes != 0 {
        tally::add_to_owner(sk, count::DESTROYED_BYTES, u64::from(bytes));
    }
    let cookie = known_cookie(sk);
    if let Some(state) = SOCKETS.get_ptr_mut(state_key(sk, cookie)) {
        // SAFETY: the verifier knows the pointer; the field has one writer, the end of the socket.
        unsafe { (*state).closed_ns = bpf_ktime_get_ns() };
    }
    0
}
