//! The self-check: the kernel's own counters on this CPU before and after one call, against what we make
//! of the call. Only on demand: it costs a map operation on every call.

use tracer_common::selfcheck::{CALLS, COMPARED, COUNT, COUNTERS, WRONG};

use crate::{
    kernel::{Object, follow, offset, settings},
    maps::{BEGUN, FOLLOWED, SELFCHECK, add},
    mib,
};

/// The counters when a call began.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    /// How many calls had begun, this one included.
    number: u64,
    /// 1 if no other call was live.
    alone: u64,
    cells: [u64; COUNTERS.len()],
    cpu: u64,
}

/// Cell of [`FOLLOWED`]: calls that began.
const BEGAN: u32 = 0;
/// Cell of [`FOLLOWED`]: calls that are live. One whose end was missed stays, and nothing is compared any
/// more: that shows.
const LIVE: u32 = 1;

#[inline(always)]
fn followed(cell: u32) -> u64 {
    // SAFETY: the verifier knows the pointer; all writers add atomically.
    FOLLOWED
        .get_ptr(cell)
        .map_or(0, |count| unsafe { core::ptr::read_volatile(count) })
}

#[inline(always)]
fn follow_one(cell: u32, by: u64) {
    if let Some(count) = FOLLOWED.get_ptr_mut(cell) {
        add(count, by);
    }
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

/// Whether a call of this socket has been seen to begin. One whose end was missed is taken for the
/// socket's next.
#[inline(always)]
pub(crate) fn follows(sk: Object) -> bool {
    // SAFETY: the socket is owned, so nothing else writes the entry.
    unsafe { BEGUN.get(sk as u64) }.is_some()
}

/// Remembers the counters at the beginning of a call.
#[inline(always)]
pub(crate) fn begin(sk: Object) {
    count(CALLS);
    let cpu = mib::this_cpu();
    let live = followed(LIVE);
    follow_one(BEGAN, 1);
    follow_one(LIVE, 1);
    let begun = Begun {
        number: followed(BEGAN),
        alone: u64::from(live == 0),
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
    follow_one(LIVE, 1u64.wrapping_neg());
    let cpu = mib::this_cpu();
    // Before it is asked whether another call began: one that begins in between is then seen, and nothing of it compared.
    let now = cells(sk, cpu);
    // Where tasks are preempted within a call, another one's rise may fall into this one's time, on whatever CPU it began.
    if begun.cpu != u64::from(cpu) || begun.alone == 0 || begun.number != followed(BEGAN) {
        return;
    }
    count(COMPARED);
    for index in 0..COUNTERS.len() {
        if now[index].wrapping_sub(begun.cells[index]) != u64::from(ours[index]) {
            count(WRONG + index as u32);
        }
    }
    const { assert!(COUNT == WRONG + COUNTERS.len() as u32) };
}
