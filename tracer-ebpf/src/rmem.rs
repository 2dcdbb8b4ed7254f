//! `tcp_try_rmem_schedule(sk, skb, size)` (`net/ipv4/tcp_input.c`): admission of a segment.
//!
//! `tcp_prune_queue` is inlined into it on most kernels. Its calls are told exactly all the same: it
//! runs either because the receive buffer was full, which always leaves a trace (the buffer was
//! raised, an skb collapsed, or the out-of-order queue was asked to give) before any failed
//! `__sk_mem_schedule`, or because the first `__sk_mem_schedule` failed.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{
    Frame, Verdict,
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

/// What the kernel counted in this call.
struct Judgement {
    /// `PruneCalled` rose, because of this limit.
    prune: Option<u32>,
    /// `RcvPruned` rose.
    rcv_pruned: bool,
    /// The call failed before anything was counted.
    early_exit: bool,
}

#[inline(always)]
fn weigh(frame: &Frame, rcvbuf_now: u32, pfmemalloc: bool, call_failed: bool) -> Judgement {
    let failed = larger(frame.failed);
    let over_rcvbuf =
        frame.over_rcvbuf != 0 || (frame.rcvbuf != HAD_ROOM && frame.rcvbuf != rcvbuf_now);
    if over_rcvbuf {
        return Judgement {
            prune: Some(limit::RCVBUF as u32),
            rcv_pruned: call_failed && failed == 0,
            early_exit: false,
        };
    }
    let first = if frame.first_limit == NO_LIMIT {
        limit::UNKNOWN as u32
    } else {
        frame.first_limit
    };
    let no_prune = Judgement {
        prune: None,
        rcv_pruned: false,
        early_exit: false,
    };
    if frame.prune_entered != 0 {
        let why = if failed == 0 {
            limit::RCVBUF as u32
        } else {
            first
        };
        return Judgement {
            prune: Some(why),
            ..no_prune
        };
    }
    // 6.17 and later leave the prune path at once, uncounted, when nothing is queued.
    if call_failed && (failed == 0 || (failed == 1 && larger(frame.late_prunes) == 0)) {
        return Judgement {
            early_exit: true,
            ..no_prune
        };
    }
    // A segment from the emergency reserves is admitted although the schedule failed.
    if failed == 0 || (failed == 1 && !call_failed && larger(frame.passed) == 0 && pfmemalloc) {
        return no_prune;
    }
    Judgement {
        prune: Some(first),
        ..no_prune
    }
}

/// Counts what the call did; the result is by how much the counters of [`selfcheck`] rose.
#[inline(always)]
fn judge(sk: Object, skb: Object, frame: &Frame, call_failed: bool) -> [u32; 4] {
    let judgement = weigh(frame, sock::rcvbuf(sk), sock::pfmemalloc(skb), call_failed);
    let counted = [
        u32::from(judgement.prune.is_some()),
        u32::from(judgement.rcv_pruned),
        larger(frame.ofo_pruned),
        larger(frame.collapsed),
    ];
    if judgement.prune.is_none() && !call_failed {
        return counted;
    }
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let pruned = judgement.prune.is_some();
    let ofo_pruned = larger(frame.ofo_pruned);
    let collapsed = larger(frame.collapsed);
    let stall_ns = if pruned { now - frame.opened_ns } else { 0 };

    tally::prune(
        sk,
        &tally::Prune {
            limit: judgement.prune.unwrap_or(NO_LIMIT),
            rcv_pruned: u32::from(judgement.rcv_pruned),
            early_exit: u32::from(judgement.early_exit),
            ofo_pruned,
            collapsed,
            ofo_skbs: larger(frame.ofo_skbs),
            ofo_bytes: larger(frame.ofo_bytes),
            stall_ns,
            collapse_ns: frame.collapse_ns,
            now,
        },
    );
    let limit = if !call_failed {
        judgement.prune.unwrap_or(NO_LIMIT)
    } else if larger(frame.failed) == 0 {
        limit::RCVBUF as u32
    } else if frame.last_limit == NO_LIMIT {
        limit::UNKNOWN as u32
    } else {
        frame.last_limit
    };
    let verdict = Verdict {
        failed_ns: now,
        skb: skb as u64,
        stall_ns,
        compared: frame.compared,
        limit,
        skb_len: sock::skb_len(skb),
        skb_truesize: verdict::truesize(skb),
        collapsed,
        ofo_pruned,
        pruned: u32::from(pruned),
        rcv_nxt: 0,
        queue: 0,
    };
    let queue = if !call_failed {
        queue::ADMITTED
    // SAFETY: only the presence of the entry matters.
    } else if unsafe { IN_SEND_RCVQ.get(sk as u64) }.is_some() {
        queue::SEND_RCVQ
    } else if sock::distance(sk, skb) > 0 {
        queue::OFO
    } else {
        verdict::wait(sk, &verdict);
        return counted;
    };
    verdict::record(sk, &verdict, queue);
    counted
}
