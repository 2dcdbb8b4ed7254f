//! A failed admission on its way to a verdict: thrown away, or queued by force.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{SocketState, Verdict, lost, tally::queue};

use crate::{
    evidence,
    kernel::{Object, offset, read},
    maps::{PENDING, SOCKETS, add, lose},
    owner, sock, tally,
};

/// Too large for the stack of a program.
static NO_STATE: SocketState = SocketState::ZERO;

/// Verdicts that wait.
#[unsafe(no_mangle)]
static mut VERDICTS_WAITING: u64 = 0;

#[inline(always)]
pub(crate) fn any_waiting() -> bool {
    // SAFETY: a word in a map; all writers add atomically.
    unsafe { core::ptr::read_volatile(&raw const VERDICTS_WAITING) != 0 }
}

#[inline(always)]
pub(crate) fn truesize(skb: Object) -> u32 {
    read(skb, offset!(skb_truesize))
}

/// Leaves the verdict to `tcp_data_queue`.
#[inline(always)]
pub(crate) fn wait(sk: Object, verdict: &Verdict) {
    const BPF_NOEXIST: u64 = aya_ebpf::bindings::BPF_NOEXIST as u64;
    let key = sk as u64;
    if PENDING.insert(key, verdict, BPF_NOEXIST).is_ok() {
        add(&raw mut VERDICTS_WAITING, 1);
    } else if PENDING.insert(key, verdict, 0).is_err() {
        lose(lost::PENDING_FULL);
    }
    // Written in place, here and in `decide`: what differs on the stack or in a register the verifier of 6.1 follows path by path, to no end.
    if let Some(waiting) = PENDING.get_ptr_mut(key) {
        // SAFETY: the socket is owned, so nothing else writes the entry.
        unsafe { (*waiting).rcv_nxt = sock::rcv_nxt(sk) };
    }
}

/// Says of the verdict that waits for this socket what became of the segment: `rcv_nxt` has moved if and only if it was queued.
#[inline(always)]
pub(crate) fn decide(sk: Object) {
    if let Some(waiting) = PENDING.get_ptr_mut(sk as u64) {
        // SAFETY: as above.
        let waiting = unsafe { &mut *waiting };
        waiting.queue = if sock::rcv_nxt(sk) == waiting.rcv_nxt {
            queue::RCV as u32
        } else {
            queue::FORCED as u32
        };
    }
}

/// Takes the verdict that waits for this socket; of two twins only the first gets it.
#[inline(always)]
pub(crate) fn take(key: u64) -> Option<Verdict> {
    // SAFETY: the socket is owned, so nothing else writes the entry.
    let verdict = unsafe { PENDING.get(key) }.copied()?;
    PENDING.remove(key).ok()?;
    add(&raw mut VERDICTS_WAITING, 1u64.wrapping_neg());
    Some(verdict)
}

/// Drops what a call whose end was missed left behind.
#[inline(always)]
pub(crate) fn drop_stale(key: u64) {
    if any_waiting() {
        let _ = take(key);
    }
}

/// Counts the verdict and sends evidence of it.
#[inline(always)]
pub(crate) fn record(sk: Object, verdict: &Verdict) {
    // No queue is larger than the mask, which is there for the verifier; what it still lets through lies within a tally, and
    // within the state of a socket.
    let queue = verdict.queue as usize & 7;
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let owner = owner::of(sk);
    let cookie = sock::cookie(sk);
    if let Some(tally) = tally::of(&owner) {
        tally::verdict(tally, queue, verdict);
        if tally::may_send_evidence(tally, queue, verdict.limit, now) {
            evidence::send(sk, cookie, &owner, verdict, queue, now);
        }
    }
    if let Some(state) = state_of(sk, cookie, now) {
        state.owner = owner;
        state.last_limit = verdict.limit;
        // SAFETY: by the mask.
        let verdicts = unsafe { (&raw mut state.verdicts).cast::<u64>().add(queue) };
        add(verdicts, 1);
    }
}

/// The state of a socket, made where there is none; something happens to it now.
#[inline(always)]
pub(crate) fn state_of(sk: Object, cookie: u64, now: u64) -> Option<&'static mut SocketState> {
    let key = sock::state_key(sk, cookie);
    let state = match SOCKETS.get_ptr_mut(key) {
        Some(state) => state,
        None => {
            if SOCKETS.insert(key, &NO_STATE, 0).is_err() {
                lose(lost::SOCKETS_FULL);
                return None;
            }
            let state = SOCKETS.get_ptr_mut(key)?;
            // SAFETY: as below.
            sock::fill_tuple(sk, unsafe { &mut (*state).tuple });
            state
        }
    };
    // SAFETY: the verifier knows the pointer; the socket is owned, so nothing else writes its state.
    let state = unsafe { &mut *state };
    state.last_ns = now;
    Some(state)
}
