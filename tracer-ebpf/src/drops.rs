//! Skbs that are thrown away inside `tcp_data_queue` and the prune path, by the kernel's own reason
//! (`include/net/dropreason-core.h`). Where a kernel gives none (before 5.18), by its own test.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use tracer_common::{lost, tally::count};

use crate::{
    double::{Twin, doubled},
    frame,
    kernel::{Object, Slots, offset, read, slot},
    maps::{ZERO_WINDOW, add, lose},
    sock, tally, verdict,
};

/// Entries of [`ZERO_WINDOW`].
#[unsafe(no_mangle)]
static mut DROPS_WAITING: u64 = 0;

doubled!(
    btf_tracepoint,
    BtfTracePointContext,
    kfree_skb_a,
    kfree_skb_b,
    kfree_skb
);
doubled!(
    fentry,
    FEntryContext,
    data_queue_enter_a,
    data_queue_enter_b,
    data_queue_enter
);

/// `skb:kfree_skb(skb, location, reason)`: the skb of a drop on this path has no socket, but one that
/// was queued is charged to it.
#[inline(always)]
fn kfree_skb(ctx: &impl Slots, twin: Twin) {
    let reason = slot!(ctx, 2) as u32;
    let skb = slot!(ctx, 0);
    if reason == offset!(reason_zero_window) {
        wait(skb);
    } else if reason == offset!(reason_ofo_prune) {
        let sk: u64 = read(skb as Object, offset!(skb_sk));
        if let Some(frame) = frame::get(sk) {
            let bytes = verdict::truesize(skb as Object);
            frame::count_by(&mut frame.ofo_skbs, twin, 1);
            frame::count_by(&mut frame.ofo_bytes, twin, bytes);
        }
    } else if reason == offset!(reason_ofo_covered) && matches!(twin, Twin::A) {
        let sk = read::<u64>(skb as Object, offset!(skb_sk)) as Object;
        if !sk.is_null() {
            tally::count(sk, sock::known_cookie(sk), count::OFO_COVERED_SKBS, 1);
        }
    }
}

/// The tests of `tcp_data_queue` (`net/ipv4/tcp_input.c`, v5.10) that lead to `TCPZeroWindowDrop`.
#[inline(always)]
pub(crate) fn data_queue_enter(ctx: &impl Slots, _twin: Twin) {
    /// Offset of `end_seq` in `tcp_skb_cb`.
    const END_SEQ: u32 = 4;
    let sk = slot!(ctx, 0) as Object;
    let rcv_nxt = sock::rcv_nxt(sk);
    let edge =
        read::<u32>(sk, offset!(tcp_rcv_wup)).wrapping_add(read::<u32>(sk, offset!(tcp_rcv_wnd)));
    if edge.wrapping_sub(rcv_nxt) as i32 > 0 {
        return;
    }
    let skb = slot!(ctx, 1);
    let seq = read::<u32>(skb as Object, offset!(skb_cb));
    let end_seq = read::<u32>(skb as Object, offset!(skb_cb) + END_SEQ);
    let begins = seq.wrapping_sub(rcv_nxt) as i32;
    let ends = end_seq.wrapping_sub(rcv_nxt) as i32;
    if seq != end_seq && (begins == 0 || (begins < 0 && ends > 0)) {
        wait(skb);
    }
}

/// Leaves the drop to the end of `tcp_data_queue`, which knows the socket.
#[inline(always)]
fn wait(skb: u64) {
    if ZERO_WINDOW
        .insert(skb, now(), u64::from(BPF_NOEXIST))
        .is_ok()
    {
        add(&raw mut DROPS_WAITING, 1);
    // SAFETY: only the presence of the entry matters.
    } else if unsafe { ZERO_WINDOW.get(skb) }.is_none() {
        lose(lost::PENDING_FULL);
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// At the end of `tcp_data_queue`: its segment may have met a window of 0.
#[inline(always)]
pub(crate) fn settle(sk: Object, skb: u64) {
    // SAFETY: a word in a map; all writers add atomically.
    if unsafe { core::ptr::read_volatile(&raw const DROPS_WAITING) } == 0 {
        return;
    }
    // Of two twins only the first finds it.
    if ZERO_WINDOW.remove(skb).is_ok() {
        add(&raw mut DROPS_WAITING, 1u64.wrapping_neg());
        tally::count(sk, sock::cookie(sk), count::ZERO_WINDOW_DROPS, 1);
    }
}
