//! `tcp_data_queue(sk, skb)` (`net/ipv4/tcp_input.c`) decides about a segment in order whose admission
//! failed: up to 6.1 it throws it away, later it may queue it by force (`sk_forced_mem_schedule`). Queueing moves `rcv_nxt`
//! (`tcp_queue_rcv`), throwing away does not.

use crate::{
    double::{Twin, doubled},
    drops,
    kernel::{Object, Slots, slot},
    verdict,
};

doubled!(
    fexit,
    FExitContext,
    data_queue_exit_a,
    data_queue_exit_b,
    exit
);

#[inline(always)]
pub(crate) fn exit(ctx: &impl Slots, _twin: Twin) {
    let sk = slot!(ctx, 0) as Object;
    drops::settle(sk, slot!(ctx, 1));
    if !verdict::any_waiting() {
        return;
    }
    verdict::decide(sk);
    // A verdict on another segment is left over from a call whose end was missed.
    if let Some(verdict) = verdict::take(sk as u64)
        && verdict.skb == slot!(ctx, 1)
    {
        verdict::record(sk, &verdict);
    }
}
