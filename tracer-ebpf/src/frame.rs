//! The frame of one call of `tcp_try_rmem_schedule` that is in trouble.
//!
//! Opened lazily, so that an admitted segment costs no map operation: at entry only where the receive
//! buffer might not take the segment (a test that covers every kernel's own one), otherwise by the first
//! failed `__sk_mem_schedule`. [`any_open`] lets every other program return at once.

use aya_ebpf::bindings::BPF_NOEXIST;
use tracer_common::{Frame, lost};

use crate::{
    double::Twin,
    kernel::Object,
    maps::{FRAMES, add, lose},
    trouble,
};

/// No limit seen yet.
pub(crate) const NO_LIMIT: u32 = u32::MAX;
/// In place of `sk_rcvbuf` at entry: the receive buffer had room, so it cannot be what failed.
pub(crate) const HAD_ROOM: u32 = u32::MAX;

#[inline(always)]
fn fresh(sk: Object, rcvbuf: u32) -> Frame {
    Frame {
        opened_ns: trouble::began(sk),
        rcvbuf,
        first_limit: NO_LIMIT,
        last_limit: NO_LIMIT,
        ..Frame::ZERO
    }
}

/// The true count of what both twins counted.
#[inline(always)]
pub(crate) fn larger(counts: [u32; 2]) -> u32 {
    if counts[0] > counts[1] {
        counts[0]
    } else {
        counts[1]
    }
}

/// Counts one more on behalf of a twin.
#[inline(always)]
pub(crate) fn count(counts: &mut [u32; 2], twin: Twin) {
    count_by(counts, twin, 1);
}

/// Counts one more on behalf of a twin; whether the other one has not counted the same before.
#[inline(always)]
pub(crate) fn count_first(counts: &mut [u32; 2], twin: Twin) -> bool {
    count(counts, twin);
    match twin {
        Twin::A => counts[0] > counts[1],
        Twin::B => counts[1] > counts[0],
    }
}

/// Counts several more on behalf of a twin.
#[inline(always)]
pub(crate) fn count_by(counts: &mut [u32; 2], twin: Twin, amount: u32) {
    match twin {
        Twin::A => counts[0] += amount,
        Twin::B => counts[1] += amount,
    }
}

/// Frames that exist. Read on every ordinary path, written only behind a failure.
#[unsafe(no_mangle)]
static mut FRAMES_OPEN: u64 = 0;

#[inline(always)]
pub(crate) fn any_open() -> bool {
    // SAFETY: a word in a map; all writers add atomically.
    unsafe { core::ptr::read_volatile(&raw const FRAMES_OPEN) != 0 }
}

/// Opens a fresh frame for the socket; one left over from a call whose end was missed is replaced.
#[inline(always)]
pub(crate) fn open(sk: Object, rcvbuf: u32) -> Option<&'static mut Frame> {
    let key = sk as u64;
    let fresh = fresh(sk, rcvbuf);
    if FRAMES.insert(key, fresh, u64::from(BPF_NOEXIST)).is_ok() {
        add(&raw mut FRAMES_OPEN, 1);
    } else if FRAMES.insert(key, fresh, 0).is_err() {
        lose(lost::FRAMES_FULL);
        return None;
    }
    get(key)
}

#[inline(always)]
pub(crate) fn get(key: u64) -> Option<&'static mut Frame> {
    // SAFETY: the verifier knows the pointer; the call that the frame belongs to runs on one CPU at a
    // time, with the socket owned.
    FRAMES.get_ptr_mut(key).map(|frame| unsafe { &mut *frame })
}

#[inline(always)]
pub(crate) fn close(key: u64) {
    if FRAMES.remove(key).is_ok() {
        add(&raw mut FRAMES_OPEN, 1u64.wrapping_neg());
    }
}

/// Drops what a call whose end was missed left behind.
#[inline(always)]
pub(crate) fn drop_stale(key: u64) {
    if any_open() {
        close(key);
    }
}
