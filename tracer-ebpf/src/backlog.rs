//! `tcp_add_backlog` (`net/ipv4/tcp_ipv4.c`): a segment for a socket that a task is using waits, unless too
//! much waits already.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_func_arg, macros::fexit, programs::FExitContext,
};
use tracer_common::{layout::ABSENT, tally::count};

use crate::{
    kernel::{Object, Slots, offset, read, slot},
    sock, tally,
};

#[inline(always)]
fn dropped(sk: Object) {
    tally::count(sk, sock::cookie(sk), count::BACKLOG_DROPS, 1);
}

#[fexit]
pub(crate) fn backlog_exit_2(ctx: FExitContext) -> i32 {
    added_2(&ctx);
    0
}

#[fexit]
pub(crate) fn backlog_exit_3(ctx: FExitContext) -> i32 {
    let mut reason = 0u64;
    // SAFETY: the function has three arguments; the verifier refuses a direct read of this one, for it
    // points to what is no struct.
    unsafe { bpf_get_func_arg(ctx.as_ptr(), 2, &raw mut reason) };
    added_3(&ctx, reason);
    0
}

/// `tcp_add_backlog(sk, skb)`: returns a reason (7.1 and later), or true for a full backlog and for a bad
/// checksum (5.10). A bad checksum is found by computing it, which leaves its mark on the skb.
#[inline(always)]
pub(crate) fn added_2(ctx: &impl Slots) {
    let result = slot!(ctx, 2);
    let full = if offset!(reason_backlog) == ABSENT {
        result as u8 != 0 && !checksum_was_bad(slot!(ctx, 1) as Object)
    } else {
        result as u32 == offset!(reason_backlog)
    };
    if full {
        dropped(slot!(ctx, 0) as Object);
    }
}

/// `tcp_add_backlog(sk, skb, reason)`: true, and why in `*reason` (5.18 to 7.0).
#[inline(always)]
pub(crate) fn added_3(ctx: &impl Slots, reason: u64) {
    if slot!(ctx, 3) as u8 != 0 && read::<u32>(reason as Object, 0) == offset!(reason_backlog) {
        dropped(slot!(ctx, 0) as Object);
    }
}

/// `__skb_checksum_complete` (`net/core/skbuff.c`) sets both bits after it computed the sum.
#[inline(always)]
fn checksum_was_bad(skb: Object) -> bool {
    let computed = u32::from(read::<u8>(skb, offset!(skb_csum_complete_sw)));
    let valid = u32::from(read::<u8>(skb, offset!(skb_csum_valid)));
    computed & offset!(skb_csum_complete_sw_mask) != 0 && valid & offset!(skb_csum_valid_mask) == 0
}
