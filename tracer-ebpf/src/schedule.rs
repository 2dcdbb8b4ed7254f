//! `__sk_mem_schedule(sk, size, kind)` (`net/core/sock.c`): asks for pages; and the tracepoint
//! `sock:sock_exceed_buf_limit`, which tells the very numbers that were compared.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{Frame, tally::limit};

use crate::{
    charge,
    double::{Twin, doubled},
    frame::{self, HAD_ROOM, NO_LIMIT, NOT_SEEN},
    kernel::{Object, Slots, follow, offset, read, slot},
    sock,
};

/// `SK_MEM_RECV`.
const SK_MEM_RECV: i32 = 1;

doubled!(fexit, FExitContext, schedule_exit_a, schedule_exit_b, exit);

#[inline(always)]
pub(crate) fn exit(ctx: &impl Slots, twin: Twin) {
    let passed = slot!(ctx, 3) as i32 != 0;
    if passed && !frame::any_open() {
        return;
    }
    if slot!(ctx, 2) as i32 != SK_MEM_RECV {
        return;
    }
    let sk = slot!(ctx, 0) as Object;
    if passed {
        if let Some(frame) = frame::get(sk as u64) {
            frame::count(&mut frame.passed, twin);
        }
    } else if let Some(frame) = open_or_get(sk) {
        let limit = limit_of(sk, frame);
        if frame.first_limit == NO_LIMIT {
            frame.first_limit = limit;
        }
        frame.last_limit = limit;
        frame::count(&mut frame.failed, twin);
    }
}

#[inline(always)]
fn open_or_get(sk: Object) -> Option<&'static mut Frame> {
    if let Some(frame) = frame::get(sk as u64) {
        return Some(frame);
    }
    // Other protocols schedule receive memory too, but never close a frame.
    if sock::is_tcp(sk) {
        frame::open(sk as u64, HAD_ROOM)
    } else {
        None
    }
}

/// Why this schedule failed: the order of tests in `__sk_mem_raise_allocated`.
#[inline(always)]
fn limit_of(sk: Object, frame: &Frame) -> u32 {
    if frame.charge_failed != 0 || charge::failed_for(sk) {
        limit::MEMCG as u32
    } else if frame.allocated_pages == NOT_SEEN {
        limit::UNKNOWN as u32
    } else if frame.allocated_pages > frame.tcp_mem_max_pages {
        limit::TCP_MEM_HARD as u32
    } else {
        limit::TCP_MEM_FAIR_SHARE as u32
    }
}

/// `sock:sock_exceed_buf_limit(sk, proto, allocated, kind)`.
#[btf_tracepoint]
pub(crate) fn exceed_buf_limit(ctx: BtfTracePointContext) -> i32 {
    if slot!(&ctx, 3) as i32 != SK_MEM_RECV {
        return 0;
    }
    let sk = slot!(&ctx, 0) as Object;
    let Some(frame) = open_or_get(sk) else {
        return 0;
    };
    frame.allocated_pages = slot!(&ctx, 2);
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        &ctx,
        "a limit was exceeded: {} pages",
        frame.allocated_pages
    );
    let proto = slot!(&ctx, 1) as Object;
    let tcp_mem = follow(proto, offset!(proto_sysctl_mem));
    let max: u64 = read(tcp_mem, 2 * size_of::<u64>() as u32);
    frame.tcp_mem_max_pages = if max == 0 { NOT_SEEN } else { max };
    0
}
