//! `tcp_enter_memory_pressure(sk)` and `tcp_leave_memory_pressure(sk)` (`net/ipv4/tcp.c`): the state is the
//! node's, and of several sockets that race for the change one wins and is counted. Both are called far
//! more often than the state changes: a call that cannot change it costs one read.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use tracer_common::{
    event::timeline::{PRESSURE_ENTERED, PRESSURE_LEFT},
    tally::count,
};

use crate::{
    double::{Twin, doubled},
    kernel::{Object, Slots, offset, read, settings, slot},
    maps::{PRESSURE_CALLS, add},
    mib, sock, tally, timeline, trouble,
};

/// Entries of [`PRESSURE_CALLS`].
#[unsafe(no_mangle)]
static mut PRESSURE_CALLS_OPEN: u64 = 0;

#[inline(always)]
fn under_pressure() -> bool {
    read::<u64>(settings().tcp_memory_pressure as Object, 0) != 0
}

/// A call that may change the state.
#[inline(always)]
fn open(sk: Object, cell: u32, which: usize) {
    attribute(sk, cell, which);
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    if PRESSURE_CALLS
        .insert(sk as u64, now, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        add(&raw mut PRESSURE_CALLS_OPEN, 1);
    }
}

#[inline(always)]
fn close(sk: Object, cell: u32, which: usize) {
    // SAFETY: a word in a map; all writers add atomically.
    if unsafe { core::ptr::read_volatile(&raw const PRESSURE_CALLS_OPEN) } == 0 {
        return;
    }
    if PRESSURE_CALLS.remove(sk as u64).is_ok() {
        add(&raw mut PRESSURE_CALLS_OPEN, 1u64.wrapping_neg());
        attribute(sk, cell, which);
    }
}

#[inline(always)]
fn attribute(sk: Object, cell: u32, which: usize) {
    let rise = mib::risen(sk, cell);
    if rise == 0 {
        return;
    }
    let cookie = sock::cookie(sk);
    tally::count(sk, cookie, which, rise);
    if which == count::MEMORY_PRESSURES {
        trouble::seen();
        timeline::send(sk, cookie, PRESSURE_ENTERED, 0);
    } else {
        timeline::send(sk, cookie, PRESSURE_LEFT, rise);
    }
}

// Two of each: what the first one takes or moves the second one finds taken or moved.
doubled!(
    fentry,
    FEntryContext,
    pressure_enter_enter_a,
    pressure_enter_enter_b,
    enters
);
doubled!(
    fexit,
    FExitContext,
    pressure_enter_exit_a,
    pressure_enter_exit_b,
    entered
);
doubled!(
    fentry,
    FEntryContext,
    pressure_leave_enter_a,
    pressure_leave_enter_b,
    leaves
);
doubled!(
    fexit,
    FExitContext,
    pressure_leave_exit_a,
    pressure_leave_exit_b,
    left
);

#[inline(always)]
pub(crate) fn enters(ctx: &impl Slots, _twin: Twin) {
    if !under_pressure() {
        open(
            slot!(ctx, 0) as Object,
            offset!(mib_pressures),
            count::MEMORY_PRESSURES,
        );
    }
}

#[inline(always)]
pub(crate) fn entered(ctx: &impl Slots, _twin: Twin) {
    close(
        slot!(ctx, 0) as Object,
        offset!(mib_pressures),
        count::MEMORY_PRESSURES,
    );
}

#[inline(always)]
pub(crate) fn leaves(ctx: &impl Slots, _twin: Twin) {
    if under_pressure() {
        open(
            slot!(ctx, 0) as Object,
            offset!(mib_pressures_ms),
            count::MEMORY_PRESSURES_MS,
        );
    }
}

#[inline(always)]
pub(crate) fn left(ctx: &impl Slots, _twin: Twin) {
    close(
        slot!(ctx, 0) as Object,
        offset!(mib_pressures_ms),
        count::MEMORY_PRESSURES_MS,
    );
}
