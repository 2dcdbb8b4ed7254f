//! `tcp_collapse_one(sk, skb, list, root)` (`net/ipv4/tcp_input.c`): takes one skb away while queues are
//! compacted. It stands for `tcp_collapse(sk, list, root, head, tail, start, end)`, whose seven arguments no
//! trampoline takes before 6.6, and which is watched for the time that it takes alone.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::lost;

use crate::{
    double::{Twin, doubled},
    frame,
    kernel::{Slots, slot},
    maps::lose,
};

doubled!(
    fentry,
    FEntryContext,
    collapse_one_enter_a,
    collapse_one_enter_b,
    enter
);

#[inline(always)]
pub(crate) fn enter(ctx: &impl Slots, twin: Twin) {
    let Some(frame) = frame::get(slot!(ctx, 0)) else {
        lose(lost::NO_FRAME);
        return;
    };
    if frame::larger(frame.failed) == 0 {
        frame.over_rcvbuf = 1;
    }
    frame::count(&mut frame.collapsed, twin);
}

#[fentry]
pub(crate) fn collapse_enter(ctx: FEntryContext) -> i32 {
    begins(&ctx);
    0
}

#[fexit]
pub(crate) fn collapse_exit(ctx: FExitContext) -> i32 {
    ends(&ctx);
    0
}

#[inline(always)]
pub(crate) fn begins(ctx: &impl Slots) {
    if let Some(frame) = frame::get(slot!(ctx, 0)) {
        // SAFETY: the helper has no precondition.
        frame.collapse_began_ns = unsafe { bpf_ktime_get_ns() };
    }
}

#[inline(always)]
pub(crate) fn ends(ctx: &impl Slots) {
    if let Some(frame) = frame::get(slot!(ctx, 0))
        && frame.collapse_began_ns != 0
    {
        // SAFETY: the helper has no precondition.
        let now = unsafe { bpf_ktime_get_ns() };
        frame.collapse_ns += now - frame.collapse_began_ns;
        frame.collapse_began_ns = 0;
    }
}
