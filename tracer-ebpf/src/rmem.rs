//! `tcp_try_rmem_schedule(sk, skb, size)` (`net/ipv4/tcp_input.c`): admission of a segment.
//!
//! `tcp_prune_queue` is inlined into it on most kernels. Its calls are told exactly all the same: it
//! runs either because the receive buffer was full, which always leaves a trace (the buffer was
//! raised, an skb collapsed, or the out-of-order queue was asked to give) before any failed
//! `__sk_mem_schedule`, or because the first `__sk_mem_schedule` failed.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{
    Frame, Judgement, Verdict,
    tally::{limit, queue},
};

use crate::{
    double::{Twin, doubled},
    frame::{self, HAD_ROOM, NO_LIMIT, larger},
    kernel::{Object, Slots, slot},
    maps::IN_SEND_RCVQ,
    selfcheck, sock, tally, trouble, verdict,
};

doubled!(fentry, FEntryContext, rmem_enter_a, rmem_enter_b, enter);
doubled!(fexit, FExitContext, rmem_exit_a, rmem_exit_b, exit);

/// The receive-buffer test of this kernel may or may not add the length of the segment (6.17 and 6.18
/// do); with it, the test covers both.
#[inline(always)]
pub(crate) fn enter(ctx: &impl Slots, _twin: Twin) {
    let sk = slot!(ctx, 0) as Object;
    // The twin that comes first sees the beginning; one of them may be skipped.
    if selfcheck::wanted() && !selfcheck::follows(sk) {
        selfcheck::begin(sk);
    }
    let skb = slot!(ctx, 1) as Object;
    let rcvbuf = sock::rcvbuf(sk);
    let wanted = u64::from(sock::rmem_alloc(sk)) + u64::from(sock::skb_len(skb));
    if wanted > u64::from(rcvbuf) {
        let _ = frame::open(sk, rcvbuf);
    } else {
        frame::drop_stale(sk as u64);
        trouble::note(sk);
    }
}

#[inline(always)]
pub(crate) fn exit(ctx: &impl Slots, _twin: Twin) {
    let failed = slot!(ctx, 3) as i32 != 0;
    trouble::ended(slot!(ctx, 0) as Object);
    if !failed && !frame::any_open() && !selfcheck::wanted() {
        return;
    }
    let sk = slot!(ctx, 0) as Object;
    let skb = slot!(ctx, 1) as Object;
    // No frame: nothing went wrong, or the twin has been here.
    let ours = match frame::get(sk as u64) {
        Some(frame) => judge(sk, skb, frame, failed),
        None => [0; 4],
    };
    // As with the frame, the twin that comes first takes it.
    if selfcheck::wanted() {
        selfcheck::end(sk, &ours);
    }
    frame::close(sk as u64);
}

/// What the kernel counted in this call, and why.
#[inline(always)]
fn weigh(sk: Object, skb: Object, frame: &Frame, call_failed: bool) -> Judgement {
    let (pruned_by, rcv_pruned, early_exit) = prune(sk, skb, frame, call_failed);
    let prune_limit = pruned_by.unwrap_or(NO_LIMIT);
    let limit = if !call_failed {
        prune_limit
    } else if larger(frame.failed) == 0 {
        limit::RCVBUF as u32
    } else if frame.last_limit == NO_LIMIT {
        limit::UNKNOWN as u32
    } else {
        frame.last_limit
    };
    let queue = if !call_failed {
        queue::ADMITTED
    // SAFETY: only the presence of the entry matters.
    } else if unsafe { IN_SEND_RCVQ.get(sk as u64) }.is_some() {
        queue::SEND_RCVQ
    } else if sock::distance(sk, skb) > 0 {
        queue::OFO
    } else {
        queue::RCV
    };
    Judgement {
        pruned: u32::from(pruned_by.is_some()),
        prune_limit,
        rcv_pruned: u32::from(rcv_pruned),
        early_exit: u32::from(early_exit),
        limit,
        queue: queue as u32,
    }
}

/// The limit because of which `PruneCalled` rose; whether `RcvPruned` did; whether the call failed before anything was counted.
#[inline(always)]
fn prune(sk: Object, skb: Object, frame: &Frame, call_failed: bool) -> (Option<u32>, bool, bool) {
    let failed = larger(frame.failed);
    let over_rcvbuf =
        frame.over_rcvbuf != 0 || (frame.rcvbuf != HAD_ROOM && frame.rcvbuf != sock::rcvbuf(sk));
    if over_rcvbuf {
        return (
            Some(limit::RCVBUF as u32),
            call_failed && failed == 0,
            false,
        );
    }
    let first = if frame.first_limit == NO_LIMIT {
        limit::UNKNOWN as u32
    } else {
        frame.first_limit
    };
    if frame.prune_entered != 0 {
        let why = if failed == 0 {
            limit::RCVBUF as u32
        } else {
            first
        };
        return (Some(why), false, false);
    }
    // 6.17 and later leave the prune path at once, uncounted, when nothing is queued.
    if call_failed && (failed == 0 || (failed == 1 && larger(frame.late_prunes) == 0)) {
        return (None, false, true);
    }
    // A segment from the emergency reserves is admitted although the schedule failed.
    let emergency = !call_failed && larger(frame.passed) == 0 && sock::pfmemalloc(skb);
    if failed == 0 || (failed == 1 && emergency) {
        return (None, false, false);
    }
    (Some(first), false, false)
}

/// Counts what the call did; the result is by how much the counters of [`selfcheck`] rose.
#[inline(always)]
fn judge(sk: Object, skb: Object, frame: &mut Frame, call_failed: bool) -> [u32; 4] {
    let judgement = weigh(sk, skb, frame, call_failed);
    // What was read back is one state to the verifier; what was decided is one for each way that led there, and all that follows
    // would be walked once for each of them.
    // SAFETY: both of a field of the frame.
    let judgement = unsafe {
        core::ptr::write_volatile(&raw mut frame.judgement, judgement);
        core::ptr::read_volatile(&raw const frame.judgement)
    };
    let ofo_pruned = larger(frame.ofo_pruned);
    let collapsed = larger(frame.collapsed);
    let counted = [
        judgement.pruned,
        judgement.rcv_pruned,
        ofo_pruned,
        collapsed,
    ];
    let admitted = judgement.queue == queue::ADMITTED as u32;
    if judgement.pruned == 0 && admitted {
        return counted;
    }
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let stall_ns = if judgement.pruned != 0 {
        now - frame.opened_ns
    } else {
        0
    };
    tally::prune(
        sk,
        &tally::Prune {
            limit: judgement.prune_limit,
            rcv_pruned: judgement.rcv_pruned,
            early_exit: judgement.early_exit,
            ofo_pruned,
            collapsed,
            ofo_skbs: larger(frame.ofo_skbs),
            ofo_bytes: larger(frame.ofo_bytes),
            stall_ns,
            collapse_ns: frame.collapse_ns,
            now,
        },
    );
    let verdict = Verdict {
        failed_ns: now,
        skb: skb as u64,
        stall_ns,
        compared: frame.compared,
        limit: judgement.limit,
        skb_len: sock::skb_len(skb),
        skb_truesize: verdict::truesize(skb),
        collapsed,
        ofo_pruned,
        pruned: judgement.pruned,
        rcv_nxt: 0,
        queue: judgement.queue,
    };
    if judgement.queue == queue::RCV as u32 {
        verdict::wait(sk, &verdict);
    } else {
        verdict::record(sk, &verdict);
    }
    counted
}
