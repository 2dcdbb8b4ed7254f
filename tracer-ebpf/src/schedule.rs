//! `__sk_mem_schedule(sk, size, kind)` (`net/core/sock.c`): asks for pages; and the tracepoint
//! `sock:sock_exceed_buf_limit`, which tells the very numbers that were compared.

use tracer_common::{Frame, compared::NOT_SEEN, tally::limit};

use crate::{
    charge,
    double::{Twin, doubled},
    frame::{self, HAD_ROOM, NO_LIMIT},
    kernel::{Object, Slots, follow, offset, read, slot},
    sock, trouble,
};

/// `SK_MEM_RECV`.
const SK_MEM_RECV: i32 = 1;

doubled!(fexit, FExitContext, schedule_exit_a, schedule_exit_b, exit);
doubled!(
    btf_tracepoint,
    BtfTracePointContext,
    exceed_buf_limit_a,
    exceed_buf_limit_b,
    exceeded
);

#[inline(always)]
pub(crate) fn exit(ctx: &impl Slots, twin: Twin) {
    let passed = slot!(ctx, 3) as i32 != 0;
    if passed && !frame::any_open() {
        return;
    }
    let sk = slot!(ctx, 0) as Object;
    if slot!(ctx, 2) as i32 != SK_MEM_RECV {
        if !passed {
            let _ = charge::take_failed(sk);
        }
        return;
    }
    if passed {
        if let Some(frame) = frame::get(sk as u64) {
            frame::count(&mut frame.passed, twin);
        }
    } else if let Some(frame) = open_or_get(sk) {
        trouble::seen();
        // Of two twins the first one labels: it takes what it labels by.
        if frame::count_first(&mut frame.failed, twin) {
            let limit = limit_of(sk, frame);
            if frame.first_limit == NO_LIMIT {
                frame.first_limit = limit;
            }
            frame.last_limit = limit;
        }
    }
}

#[inline(always)]
fn open_or_get(sk: Object) -> Option<&'static mut Frame> {
    if let Some(frame) = frame::get(sk as u64) {
        return Some(frame);
    }
    // Other protocols schedule receive memory too, but never close a frame.
    if sock::is_tcp(sk) {
        frame::open(sk, HAD_ROOM)
    } else {
        None
    }
}

/// Why this schedule failed: the order of tests in `__sk_mem_raise_allocated`. Up to its low mark `tcp_mem`
/// refuses nothing, and then it was the memory cgroup, even where its charge was not seen.
#[inline(always)]
fn limit_of(sk: Object, frame: &mut Frame) -> u32 {
    let told = frame.tcp_mem_compared != 0;
    frame.tcp_mem_compared = 0;
    let allocated = frame.compared.allocated_pages;
    let [low, _, max] = frame.compared.tcp_mem_pages;
    if charge::take_failed(sk) || (told && allocated <= low && low != NOT_SEEN) {
        charge::refused_by(sk, &mut frame.compared)
    } else if !told || max == NOT_SEEN {
        limit::UNKNOWN as u32
    } else if allocated > max {
        limit::TCP_MEM_HARD as u32
    } else {
        limit::TCP_MEM_FAIR_SHARE as u32
    }
}

/// `sock:sock_exceed_buf_limit(sk, proto, allocated, kind)`.
#[inline(always)]
fn exceeded(ctx: &impl Slots, _twin: Twin) {
    if slot!(ctx, 3) as i32 != SK_MEM_RECV {
        return;
    }
    let sk = slot!(ctx, 0) as Object;
    let Some(frame) = open_or_get(sk) else {
        return;
    };
    frame.tcp_mem_compared = 1;
    frame.compared.allocated_pages = slot!(ctx, 2);
    let tcp_mem = follow(slot!(ctx, 1) as Object, offset!(proto_sysctl_mem));
    if tcp_mem.is_null() {
        return;
    }
    for (index, pages) in (0u32..).zip(&mut frame.compared.tcp_mem_pages) {
        *pages = read(tcp_mem, index * size_of::<u64>() as u32);
    }
}
