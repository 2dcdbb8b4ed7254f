//! `mptcp_incoming_options(sk, skb)` (`net/mptcp/options.c`, 7.3): false for a segment that a subflow without
//! Multipath TCP (it fell back) may not take, because the receive queue or the backlog of its connection
//! is over the connection's receive buffer. `TCPRcvQDrop` rises right there, and no admission is asked.
//! False is returned for other causes too, so the kernel's own counter decides.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::{
    Compared, Verdict,
    tally::{limit, queue},
};

use crate::{
    kernel::{Object, Slots, offset, slot},
    mib, sock, verdict,
};

#[fentry]
pub(crate) fn mptcp_options_enter(ctx: FEntryContext) -> i32 {
    enters(&ctx);
    0
}

#[fexit]
pub(crate) fn mptcp_options_exit(ctx: FExitContext) -> i32 {
    left(&ctx);
    0
}

#[inline(always)]
pub(crate) fn enters(ctx: &impl Slots) {
    // Whatever rose before is no work of this call.
    let _ = mib::risen(slot!(ctx, 0) as Object, offset!(mib_rcvq_drop));
}

#[inline(always)]
pub(crate) fn left(ctx: &impl Slots) {
    let sk = slot!(ctx, 0) as Object;
    if slot!(ctx, 2) as u8 != 0 || mib::risen(sk, offset!(mib_rcvq_drop)) == 0 {
        return;
    }
    let skb = slot!(ctx, 1) as Object;
    let verdict = Verdict {
        // SAFETY: the helper has no precondition.
        failed_ns: unsafe { bpf_ktime_get_ns() },
        skb: skb as u64,
        stall_ns: 0,
        compared: Compared::NOTHING,
        limit: limit::RCVBUF as u32,
        skb_len: sock::skb_len(skb),
        skb_truesize: verdict::truesize(skb),
        collapsed: 0,
        ofo_pruned: 0,
        pruned: 0,
        rcv_nxt: 0,
        queue: queue::RCV as u32,
    };
    verdict::record(sk, &verdict);
}
