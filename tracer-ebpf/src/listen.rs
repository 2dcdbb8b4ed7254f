//! Drops at a listener: `tcp_listendrop` (`include/net/tcp.h`) is inlined wherever a request or a new
//! connection is thrown away, so the functions around all these places are watched.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::tally::count;

use crate::{
    kernel::{Object, Slots, follow, offset, slot},
    mib, sock, tally,
};

#[inline(always)]
fn attribute(sk: Object, cookie: u64) {
    let rise = mib::risen(sk, offset!(mib_listen_drops));
    if rise != 0 {
        tally::count(sk, cookie, count::LISTEN_DROPS, rise);
    }
}

/// Defines the two programs around a function whose first argument is the listener.
macro_rules! watched {
    ($enter:ident, $exit:ident) => {
        #[fentry]
        pub(crate) fn $enter(ctx: FEntryContext) -> i32 {
            of_listener(&ctx);
            0
        }

        #[fexit]
        pub(crate) fn $exit(ctx: FExitContext) -> i32 {
            of_listener(&ctx);
            0
        }
    };
}

watched!(v4_request_enter, v4_request_exit);
watched!(v6_request_enter, v6_request_exit);
watched!(subflow_v4_request_enter, subflow_v4_request_exit);
watched!(subflow_v6_request_enter, subflow_v6_request_exit);
// Both call `tcp_v4_syn_recv_sock` and its kin, whose seven arguments some kernels do not let be traced.
watched!(check_req_enter, check_req_exit);
watched!(cookie_sock_enter, cookie_sock_exit);

/// `tcp_req_err(req, seq, abort)`: the argument is a request, which has no more of a socket than its
/// first members.
#[fentry]
pub(crate) fn req_err_enter(ctx: FEntryContext) -> i32 {
    of_request(&ctx);
    0
}

/// See [`req_err_enter`].
#[fexit]
pub(crate) fn req_err_exit(ctx: FExitContext) -> i32 {
    of_request(&ctx);
    0
}

#[inline(always)]
pub(crate) fn of_listener(ctx: &impl Slots) {
    let listener = slot!(ctx, 0) as Object;
    attribute(listener, sock::cookie(listener));
}

#[inline(always)]
pub(crate) fn of_request(ctx: &impl Slots) {
    let listener = follow(slot!(ctx, 0) as Object, offset!(request_listener));
    if !listener.is_null() {
        attribute(listener, sock::known_cookie(listener));
    }
}
