//! `tcp_prune_ofo_queue(sk[, in_skb])` and, where a kernel has it as a function of its own,
//! `tcp_prune_queue(sk[, in_skb])` (`net/ipv4/tcp_input.c`).

use aya_ebpf::programs::{FEntryContext, FExitContext};
use tracer_common::lost;

use crate::{
    double::{Twin, doubled},
    frame,
    kernel::{Object, slot},
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
doubled!(fentry, FEntryContext, prune_enter_a, prune_enter_b, enter);

#[inline(always)]
fn exit_1(ctx: &FExitContext, twin: Twin) {
    ofo_pruned(slot!(ctx, 0), slot!(ctx, 1) as u8 != 0, twin);
}

#[inline(always)]
fn exit_2(ctx: &FExitContext, twin: Twin) {
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
    }
}

/// With something in the queues the prune path counts itself on every kernel; with nothing it may
/// leave before it does, and the frame's own evidence decides.
#[inline(always)]
fn enter(ctx: &FEntryContext, _twin: Twin) {
    let sk = slot!(ctx, 0) as Object;
    if sock::rmem_alloc(sk) == 0 {
        return;
    }
    if let Some(frame) = frame::get(sk as u64) {
        frame.prune_entered = 1;
    }
}
