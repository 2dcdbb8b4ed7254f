//! Adding to the exact counts of an owner.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use tracer_common::{
    TallyKey, TallyValue, Verdict,
    compared::NOT_SEEN,
    lost,
    tally::{count, limit, stall},
};

use crate::{
    frame::NO_LIMIT,
    kernel::{Object, settings},
    maps::{LAST_BUCKET, OVERFLOW, TALLIES, add, lose},
    owner, sock, verdict,
};

/// Too large for the stack of a program.
static ZERO: TallyValue = TallyValue::ZERO;

/// The tally of an owner; the overflow bucket of its network namespace where there is no room; the
/// last bucket where there is none for that either.
#[inline(always)]
pub(crate) fn of(owner: &TallyKey) -> Option<*mut TallyValue> {
    if let Some(tally) = TALLIES.get_ptr_mut(owner) {
        return Some(tally);
    }
    // Another CPU may have been faster: the second lookup decides, not the result of the insert.
    let _ = TALLIES.insert(owner, &ZERO, u64::from(BPF_NOEXIST));
    if let Some(tally) = TALLIES.get_ptr_mut(owner) {
        return Some(tally);
    }
    lose(lost::TALLIES_FULL);
    let overflow = owner.overflow();
    if let Some(tally) = OVERFLOW.get_ptr_mut(overflow) {
        return Some(tally);
    }
    let _ = OVERFLOW.insert(overflow, &ZERO, u64::from(BPF_NOEXIST));
    if let Some(tally) = OVERFLOW.get_ptr_mut(overflow) {
        return Some(tally);
    }
    lose(lost::OVERFLOW_FULL);
    LAST_BUCKET.get_ptr_mut(0)
}

/// What one call did besides its verdict.
pub(crate) struct Prune {
    /// Limit that called for the prune, or `NO_LIMIT` when there was none.
    pub(crate) limit: u32,
    pub(crate) rcv_pruned: u32,
    pub(crate) early_exit: u32,
    pub(crate) ofo_pruned: u32,
    pub(crate) collapsed: u32,
    pub(crate) ofo_skbs: u32,
    pub(crate) ofo_bytes: u32,
    pub(crate) stall_ns: u64,
    pub(crate) collapse_ns: u64,
    pub(crate) now: u64,
}

/// Counts what one call of `tcp_try_rmem_schedule` did besides its verdict.
#[inline(always)]
pub(crate) fn prune(sk: Object, prune: &Prune) {
    let owner = owner::of(sk);
    let Some(tally) = of(&owner) else { return };
    // SAFETY: the pointer comes from a map lookup; fields are only added to atomically.
    unsafe {
        if prune.limit != NO_LIMIT {
            add(cell(&raw mut (*tally).prunes, 0, prune.limit), 1);
            let stalls = (&raw mut (*tally).stalls).cast::<u64>();
            add(stalls.add(stall_bucket(prune.stall_ns)), 1);
            if prune.collapse_ns != 0 {
                let collapses = (&raw mut (*tally).collapses).cast::<u64>();
                add(collapses.add(stall_bucket(prune.collapse_ns)), 1);
                add(&raw mut (*tally).collapse_ns, prune.collapse_ns);
            }
        }
        add_some(&raw mut (*tally).rcv_pruned, prune.rcv_pruned);
        add_some(&raw mut (*tally).early_exits, prune.early_exit);
        add_some(&raw mut (*tally).ofo_pruned, prune.ofo_pruned);
        add_some(&raw mut (*tally).rcv_collapsed, prune.collapsed);
        let counts = (&raw mut (*tally).counts).cast::<u64>();
        add_some(counts.add(count::OFO_PRUNED_SKBS), prune.ofo_skbs);
        add_some(counts.add(count::OFO_PRUNED_BYTES), prune.ofo_bytes);
        add(&raw mut (*tally).stall_ns, prune.stall_ns);
    }
    if prune.limit != NO_LIMIT
        && let Some(state) = verdict::state_of(sk, sock::cookie(sk), prune.now)
    {
        state.owner = owner;
        state.last_limit = prune.limit;
        add(&raw mut state.prunes, 1);
        add_some(
            &raw mut state.counts[count::OFO_PRUNED_SKBS],
            prune.ofo_skbs,
        );
        add_some(
            &raw mut state.counts[count::OFO_PRUNED_BYTES],
            prune.ofo_bytes,
        );
    }
}

/// Counts what happened to the owner of a socket, in a cell of [`count`].
#[inline(always)]
pub(crate) fn add_to_owner(sk: Object, which: usize, amount: u64) {
    if let Some(tally) = of(&owner::of(sk)) {
        // SAFETY: the pointer comes from a map lookup; the cell is one of the array.
        unsafe { add((&raw mut (*tally).counts).cast::<u64>().add(which), amount) };
    }
}

/// Counts what happened to a socket, for its owner and, where such cells are kept per socket, for itself.
#[inline(always)]
pub(crate) fn count(sk: Object, cookie: u64, which: usize, amount: u64) {
    add_to_owner(sk, which, amount);
    if which < count::PER_SOCKET {
        // SAFETY: the helper has no precondition.
        let now = unsafe { bpf_ktime_get_ns() };
        if let Some(state) = verdict::state_of(sk, cookie, now) {
            state.owner = owner::of(sk);
            // SAFETY: the cell is one of the array, by the test above.
            add(
                unsafe { (&raw mut state.counts).cast::<u64>().add(which) },
                amount,
            );
        }
    }
}

/// The bucket of [`stall`] that a time falls into.
#[inline(always)]
fn stall_bucket(ns: u64) -> usize {
    let (longest, _) = stall::bounds(stall::BUCKETS - 1);
    let ns = if ns < longest { ns } else { longest };
    let mut power = 0;
    let mut rest = ns >> stall::FIRST_POWER;
    if rest == 0 {
        return 0;
    }
    for step in [8, 4, 2, 1] {
        if rest >> step != 0 {
            rest >>= step;
            power += step;
        }
    }
    let sub = ns >> (stall::FIRST_POWER - stall::SUB_POWER + power);
    let within = (sub & ((1 << stall::SUB_POWER) - 1)) as usize;
    // The mask is for the verifier.
    (((power as usize) << stall::SUB_POWER) | within) & (stall::BUCKETS - 1)
}

#[inline(always)]
fn add_some(counter: *mut u64, amount: u32) {
    if amount != 0 {
        add(counter, u64::from(amount));
    }
}

/// The cell of a limit in an array of a tally. No limit is larger than the mask, which is there for the
/// verifier alone: it cannot follow a comparison as far as this, and what the mask still lets through
/// lies within the tally.
#[inline(always)]
unsafe fn cell<const N: usize>(array: *mut [u64; N], first: usize, limit: u32) -> *mut u64 {
    // SAFETY: the caller's pointer is to a field of a tally that others follow.
    unsafe { array.cast::<u64>().add(first + (limit & 7) as usize) }
}

/// Counts a verdict.
#[inline(always)]
pub(crate) fn verdict(tally: *mut TallyValue, queue: usize, verdict: &Verdict) {
    // SAFETY: as above; the two `last_*` words are single stores, the later one wins.
    unsafe {
        add(
            cell(
                &raw mut (*tally).verdicts,
                queue * limit::COUNT,
                verdict.limit,
            ),
            1,
        );
        let [_, _, max] = verdict.compared.tcp_mem_pages;
        if verdict.compared.allocated_pages != NOT_SEEN && max != NOT_SEEN {
            (*tally).last_allocated_pages = verdict.compared.allocated_pages;
            (*tally).last_tcp_mem_max_pages = max;
        }
    }
}

/// Evidence is sent for the first few of each owner, queue and limit, and then from time to time, so
/// that three refusals of one show beside a million of another. What is held back is counted.
#[inline(always)]
pub(crate) fn may_send_evidence(
    tally: *mut TallyValue,
    queue: usize,
    limit: u32,
    now: u64,
) -> bool {
    let settings = settings();
    let first = queue * limit::COUNT;
    // SAFETY: as above; a race of two CPUs sends one record too many.
    unsafe {
        let last = cell(&raw mut (*tally).last_evidence_ns, first, limit);
        let counted = *cell(&raw mut (*tally).verdicts, first, limit);
        if counted <= settings.evidence_burst
            || now.wrapping_sub(*last) >= settings.evidence_interval_ns
        {
            *last = now;
            return true;
        }
        add(&raw mut (*tally).suppressed, 1);
    }
    false
}
