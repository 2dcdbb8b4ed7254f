//! `tcp_send_rcvq(sk, msg, size)` (`net/ipv4/tcp_input.c`): TCP_REPAIR writes into the receive queue. A
//! failure inside it is always a refusal, and the segment has no sequence number yet.

use tracer_common::lost;

use crate::{
    double::{Twin, doubled},
    kernel::{Slots, slot},
    maps::{IN_SEND_RCVQ, lose},
};

doubled!(
    fentry,
    FEntryContext,
    send_rcvq_enter_a,
    send_rcvq_enter_b,
    enter
);
doubled!(
    fexit,
    FExitContext,
    send_rcvq_exit_a,
    send_rcvq_exit_b,
    exit
);

#[inline(always)]
pub(crate) fn enter(ctx: &impl Slots, _twin: Twin) {
    if IN_SEND_RCVQ.insert(slot!(ctx, 0), 1, 0).is_err() {
        lose(lost::PENDING_FULL);
    }
}

#[inline(always)]
pub(crate) fn exit(ctx: &impl Slots, _twin: Twin) {
    // The twin may have been here first.
    let _ = IN_SEND_RCVQ.remove(slot!(ctx, 0));
}
