//! When a call of `tcp_try_rmem_schedule` began. To ask the clock on every call would cost the ordinary
//! segment too much, so it is asked only while the node is in trouble: for some time after a call failed.

use aya_ebpf::{
    helpers::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, PerCpuArray},
};

use crate::kernel::Object;

/// Ticks of the kernel's clock for which trouble is taken to last: 2.5 to 25 seconds, by the kernel's `HZ`.
const LASTS: u64 = 2500;

/// Until which tick.
#[map]
static TROUBLE_UNTIL: Array<u64> = Array::with_max_entries(1, 0);

/// The call that began last on this CPU.
#[repr(C)]
#[derive(Clone, Copy)]
struct Began {
    sk: u64,
    at_ns: u64,
}

#[map]
static BEGAN: PerCpuArray<Began> = PerCpuArray::with_max_entries(1, 0);

fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

fn ticks() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_jiffies64() }
}

/// A call failed.
#[inline(always)]
pub(crate) fn seen() {
    if let Some(until) = TROUBLE_UNTIL.get_ptr_mut(0) {
        // SAFETY: the verifier knows the pointer; a word that several CPUs store much the same to.
        unsafe { core::ptr::write_volatile(until, ticks() + LASTS) };
    }
}

/// Whether one failed not long ago.
#[inline(always)]
pub(crate) fn is_near() -> bool {
    let until = TROUBLE_UNTIL
        .get_ptr(0)
        // SAFETY: the verifier knows the pointer.
        .map_or(0, |until| unsafe { core::ptr::read_volatile(until) });
    until != 0 && ticks() < until
}

/// Notes that a call begins, if that may matter.
#[inline(always)]
pub(crate) fn note(sk: Object) {
    if is_near()
        && let Some(began) = BEGAN.get_ptr_mut(0)
    {
        let call = Began {
            sk: sk as u64,
            at_ns: now(),
        };
        // SAFETY: the verifier knows the pointer; the word is this CPU's.
        unsafe { *began = call };
    }
}

/// The call ends: what was noted of it is no beginning of a later one that moves to this CPU.
#[inline(always)]
pub(crate) fn ended(sk: Object) {
    if is_near()
        && let Some(began) = BEGAN.get_ptr_mut(0)
    {
        // SAFETY: the verifier knows the pointer; the word is this CPU's.
        unsafe {
            if (*began).sk == sk as u64 {
                (*began).sk = 0;
            }
        }
    }
}

/// When the socket's call began; now, where another call has begun on this CPU since, or it was not noted.
#[inline(always)]
pub(crate) fn began(sk: Object) -> u64 {
    let last = BEGAN
        .get_ptr(0)
        // SAFETY: the verifier knows the pointer.
        .map(|began| unsafe { *began });
    match last {
        Some(last) if last.sk == sk as u64 && is_near() => last.at_ns,
        _ => now(),
    }
}
