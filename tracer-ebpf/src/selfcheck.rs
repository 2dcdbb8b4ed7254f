//! The self-check: the kernel's own counters on this CPU before and after one call, against what we make
//! of the call. Only on demand: it costs a map operation on every call.

use tracer_common::selfcheck::{CALLS, COMPARED, COUNT, COUNTERS, WRONG};

use crate::{
    kernel::{Object, follow, offset, settings},
    maps::{BEGUN, CALLS_ON_CPU, SELFCHECK, add},
    mib,
};

/// The counters when a call began.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    /// Number of the call on its CPU.
    number: u64,
    cells: [u64; COUNTERS.len()],
    cpu: u64,
}

#[inline(always)]
pub(crate) fn wanted() -> bool {
    settings().selfcheck != 0
}

#[inline(always)]
fn count(cell: u32) {
    if let Some(count) = SELFCHECK.get_ptr_mut(cell) {
        add(count, 1);
    }
}

#[inline(always)]
fn cells(sk: Object, cpu: u32) -> [u64; COUNTERS.len()] {
    let net = follow(sk, offset!(sock_net));
    [
        mib::cell(net, offset!(mib_prune_called), cpu),
        mib::cell(net, offset!(mib_rcv_pruned), cpu),
        mib::cell(net, offset!(mib_ofo_pruned), cpu),
        mib::cell(net, offset!(mib_rcv_collapsed), cpu),
    ]
}

/// Remembers the counters at the beginning of a call.
#[inline(always)]
pub(crate) fn begin(sk: Object) {
    let Some(calls) = CALLS_ON_CPU.get_ptr_mut(0) else {
        return;
    };
    count(CALLS);
    add(calls, 1);
    let cpu = mib::this_cpu();
    let begun = Begun {
        // SAFETY: a word of this CPU.
        number: unsafe { *calls },
        cells: cells(sk, cpu),
        cpu: u64::from(cpu),
    };
    // Without room the call is not compared.
    let _ = BEGUN.insert(sk as u64, &begun, 0);
}

/// Compares with what we counted, in the order of [`COUNTERS`].
#[inline(always)]
pub(crate) fn end(sk: Object, ours: &[u32; COUNTERS.len()]) {
    // SAFETY: the socket is owned, so nothing else writes the entry.
    let Some(begun) = (unsafe { BEGUN.get(sk as u64) }).copied() else {
        return;
    };
    let _ = BEGUN.remove(sk as u64);
    let Some(calls) = CALLS_ON_CPU.get(0) else {
        return;
    };
    let cpu = mib::this_cpu();
    if begun.cpu != u64::from(cpu) || begun.number != *calls {
        return;
    }
    count(COMPARED);
    let now = cells(sk, cpu);
    for index in 0..COUNTERS.len() {
        if now[index].wrapping_sub(begun.cells[index]) != u64::from(ours[index]) {
            count(WRONG + index as u32);
        }
    }
    const { assert!(COUNT == WRONG + COUNTERS.len() as u32) };
}
