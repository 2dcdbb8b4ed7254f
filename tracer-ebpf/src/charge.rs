//! Charging a memory cgroup for a socket (`mm/memcontrol.c`): it may refuse before `tcp_mem` is asked.
//! From 6.18 on the function knows the socket; before, only the memory cgroup, so the last failure on
//! this CPU is remembered and compared with the socket's own. These programs label, they do not count.

use aya_ebpf::{macros::fexit, programs::FExitContext};

use crate::{
    frame,
    kernel::{Object, Slots, offset, read, slot},
    maps::FAILED_CHARGE,
};

/// `mem_cgroup_sk_charge(sk, nr_pages, gfp_mask)`, 6.18 and later.
#[fexit]
pub(crate) fn sk_charge_exit(ctx: FExitContext) -> i32 {
    sk_charged(&ctx);
    0
}

#[inline(always)]
pub(crate) fn sk_charged(ctx: &impl Slots) {
    let refused = slot!(ctx, 3) as u8 == 0;
    if !refused && !frame::any_open() {
        return;
    }
    let sk = slot!(ctx, 0);
    match frame::get(sk) {
        Some(frame) => frame.charge_failed = u32::from(refused),
        None => remember(if refused { memcg_of(sk as Object) } else { 0 }),
    }
}

/// `mem_cgroup_charge_skmem(memcg, nr_pages, gfp_mask)`, up to 6.17.
#[fexit]
pub(crate) fn charge_skmem_exit(ctx: FExitContext) -> i32 {
    charged_3(&ctx);
    0
}

/// `mem_cgroup_charge_skmem(memcg, nr_pages)`, 5.10.
#[fexit]
pub(crate) fn charge_skmem_exit_short(ctx: FExitContext) -> i32 {
    charged_2(&ctx);
    0
}

#[inline(always)]
pub(crate) fn charged_2(ctx: &impl Slots) {
    charged(slot!(ctx, 0), slot!(ctx, 2) as u8 == 0);
}

#[inline(always)]
pub(crate) fn charged_3(ctx: &impl Slots) {
    charged(slot!(ctx, 0), slot!(ctx, 3) as u8 == 0);
}

#[inline(always)]
fn charged(memcg: u64, refused: bool) {
    remember(if refused { memcg } else { 0 });
}

#[inline(always)]
fn remember(memcg: u64) {
    if let Some(slot) = FAILED_CHARGE.get_ptr_mut(0) {
        // SAFETY: a per-CPU word.
        unsafe { *slot = memcg };
    }
}

/// Whether the last charge on this CPU failed, and was for this socket's memory cgroup.
#[inline(always)]
pub(crate) fn failed_for(sk: Object) -> bool {
    let memcg = memcg_of(sk);
    memcg != 0 && FAILED_CHARGE.get(0).copied() == Some(memcg)
}

#[inline(always)]
fn memcg_of(sk: Object) -> u64 {
    read(sk, offset!(sock_memcg))
}
