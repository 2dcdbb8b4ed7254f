//! `tcp_check_oom(sk, shift)` (`net/ipv4/tcp.c`): true for each connection that is ended because there are
//! too many orphans or because TCP memory is over its hard limit; `TCPAbortOnMemory` rises with it.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use tracer_common::{event::timeline::ABORT_ON_MEMORY, tally::count};

use crate::{
    kernel::{Object, Slots, slot},
    sock, tally, timeline,
};

#[fexit]
pub(crate) fn check_oom_exit(ctx: FExitContext) -> i32 {
    checked(&ctx);
    0
}

#[inline(always)]
pub(crate) fn checked(ctx: &impl Slots) {
    if slot!(ctx, 2) as u8 != 0 {
        let sk = slot!(ctx, 0) as Object;
        let cookie = sock::cookie(sk);
        tally::count(sk, cookie, count::ABORTS_ON_MEMORY, 1);
        timeline::send(sk, cookie, ABORT_ON_MEMORY, 0);
    }
}
