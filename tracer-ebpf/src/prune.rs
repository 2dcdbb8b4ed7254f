//! `tcp_prune_ofo_queue(sk[, in_skb])` and, where a kernel has it as a function of its own,
//! `tcp_prune_queue(sk[, in_skb])` (`net/ipv4/tcp_input.c`).

use tracer_common::{layout::ABSENT, lost};

use crate::{
    double::{Twin, doubled},
    frame,
    kernel::{Object, Slots, offset, slot},
    maps::lose,
    sock,
};

// Up to 6.1 the function has one argument, later two: the return value stands in another slot.
doubled!(
    fexit,
    FExitContext,
    prune_ofo_exit_1_a,
    prune_ofo_exit_1_b,
    exit_1
);
doubled!(
    fexit,
    FExitContext,
    prune_ofo_exit_2_a,
    prune_ofo_exit_2_b,
    exit_2
);
doubled!(
    fentry,
    FEntryContext,
    prune_ofo_enter_a,
    prune_ofo_enter_b,
    ofo_enter
);
doubled!(fentry, FEntryContext, prune_enter_a, prune_enter_b, enter);

#[inline(always)]
pub(crate) fn exit_1(ctx: &impl Slots, twin: Twin) {
    ofo_pruned(slot!(ctx, 0), slot!(ctx, 1) as u8 != 0, twin);
}

#[inline(always)]
pub(crate) fn exit_2(ctx: &impl Slots, twin: Twin) {
    ofo_pruned(slot!(ctx, 0), slot!(ctx, 2) as u8 != 0, twin);
}

/// Called from inside the prune path while no schedule has failed yet, and from the loop that retries
/// the schedule afterwards.
#[inline(always)]
fn ofo_pruned(sk: u64, threw_away: bool, twin: Twin) {
    let Some(frame) = frame::get(sk) else {
        if threw_away {
            lose(lost::NO_FRAME);
        }
        return;
    };
    if frame::larger(frame.failed) == 0 {
        frame.over_rcvbuf = 1;
    } else {
        frame::count(&mut frame.late_prunes, twin);
    }
    if threw_away {
        frame::count(&mut frame.ofo_pruned, twin);
        if offset!(reason_ofo_prune) == ABSENT {
            let bytes = frame
                .rmem_before
                .wrapping_sub(sock::rmem_alloc_of(sk as Object));
            let skbs = sock::drops(sk as Object).wrapping_sub(frame.drops_before);
            frame::count_by(&mut frame.ofo_bytes, twin, bytes);
            frame::count_by(&mut frame.ofo_skbs, twin, skbs);
        }
    }
}

/// Only where the kernel gives no reason for a drop, and what was thrown away must be told from before
/// and after.
#[inline(always)]
pub(crate) fn ofo_enter(ctx: &impl Slots, _twin: Twin) {
    let sk = slot!(ctx, 0) as Object;
    if let Some(frame) = frame::get(sk as u64) {
        frame.rmem_before = sock::rmem_alloc(sk);
        frame.drops_before = sock::drops(sk);
    }
}

/// With something in the queues the prune path counts itself on every kernel; with nothing it may
/// leave before it does, and the frame's own evidence decides.
#[inline(always)]
pub(crate) fn enter(ctx: &impl Slots, _twin: Twin) {
    let sk = slot!(ctx, 0) as Object;
    if sock::rmem_alloc(sk) == 0 {
        return;
    }
    if let Some(frame) = frame::get(sk as u64) {
        frame.prune_entered = 1;
    }
}
