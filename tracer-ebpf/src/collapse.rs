//! `tcp_collapse_one(sk, skb, list, root)` (`net/ipv4/tcp_input.c`): takes one skb away while queues are
//! compacted. It stands for `tcp_collapse`, whose seven arguments no trampoline takes before 6.6.

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
