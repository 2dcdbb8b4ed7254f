//! Charging a memory cgroup for a socket (`mm/memcontrol.c`): it may refuse before `tcp_mem` is asked.
//! From 6.18 on the function knows the socket; before, only the memory cgroup, so a failure is kept for the
//! task and the memory cgroup until `__sk_mem_schedule` returns in it. Each schedule charges anew: what it
//! finds is of its own charge. These programs label, they do not count.

use aya_ebpf::{
    helpers::{bpf_get_current_task, bpf_ktime_get_ns},
    macros::{fexit, map},
    maps::LruHashMap,
    programs::FExitContext,
};
use tracer_common::{Compared, layout::ABSENT, tally::limit};

use crate::{
    kernel::{Object, Slots, follow, offset, read, slot},
    owner, trouble,
};

/// Whose charge it is: a softirq that interrupts a task charges another memory cgroup, as a rule.
#[repr(C)]
#[derive(Clone, Copy)]
struct ChargeKey {
    /// The socket, or the task where the function does not know it.
    of: u64,
    memcg: u64,
}

/// When a charge failed, in nanoseconds.
#[map]
static FAILED_CHARGES: LruHashMap<ChargeKey, u64> = LruHashMap::with_max_entries(1024, 0);

/// `mem_cgroup_sk_charge(sk, nr_pages, gfp_mask)`, 6.18 and later.
#[fexit]
pub(crate) fn sk_charge_exit(ctx: FExitContext) -> i32 {
    sk_charged(&ctx);
    0
}

#[inline(always)]
pub(crate) fn sk_charged(ctx: &impl Slots) {
    let sk = slot!(ctx, 0);
    let refused = slot!(ctx, 3) as u8 == 0;
    charged(sk, || memcg_of(sk as Object) as u64, refused);
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
    charged(task(), || slot!(ctx, 0), slot!(ctx, 2) as u8 == 0);
}

#[inline(always)]
pub(crate) fn charged_3(ctx: &impl Slots) {
    charged(task(), || slot!(ctx, 0), slot!(ctx, 3) as u8 == 0);
}

#[inline(always)]
fn task() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_get_current_task() }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// An ordinary charge costs one look at a word.
#[inline(always)]
fn charged(of: u64, memcg: impl FnOnce() -> u64, refused: bool) {
    let key = |memcg| ChargeKey { of, memcg };
    if refused {
        trouble::seen();
        let _ = FAILED_CHARGES.insert(key(memcg()), now(), 0);
    } else if trouble::is_near() {
        let _ = FAILED_CHARGES.remove(key(memcg()));
    }
}

/// Whether the charge of the schedule that returns failed. Taken once.
#[inline(always)]
pub(crate) fn take_failed(sk: Object) -> bool {
    /// A success is not noted for ever, so an old failure says nothing.
    const YOUNG_NS: u64 = 1_000_000_000;
    let memcg = memcg_of(sk) as u64;
    if memcg == 0 {
        return false;
    }
    for of in [sk as u64, task()] {
        let key = ChargeKey { of, memcg };
        // SAFETY: a copy is taken at once.
        if let Some(at_ns) = unsafe { FAILED_CHARGES.get(key) }.copied() {
            let _ = FAILED_CHARGES.remove(key);
            return now().wrapping_sub(at_ns) < YOUNG_NS;
        }
    }
    false
}

#[inline(always)]
fn memcg_of(sk: Object) -> Object {
    follow(sk, offset!(sock_memcg))
}

/// Which memory cgroup of those above the socket had no room, and its numbers; the label of its hierarchy.
#[inline(always)]
pub(crate) fn refused_by(sk: Object, compared: &mut Compared) -> u32 {
    let memcg = memcg_of(sk);
    if owner::hierarchy_of(follow(memcg, offset!(memcg_cgroup))) == 0
        || offset!(memcg_tcpmem_usage) == ABSENT
    {
        fullest(
            memcg,
            offset!(memcg_memory_usage),
            offset!(memcg_memory_max),
            offset!(memcg_memory_parent),
            compared,
        );
        limit::MEMCG_V2 as u32
    } else {
        fullest(
            memcg,
            offset!(memcg_tcpmem_usage),
            offset!(memcg_tcpmem_max),
            offset!(memcg_tcpmem_parent),
            compared,
        );
        limit::MEMCG_V1_TCPMEM as u32
    }
}

/// Of all levels from the memory cgroup up, the one with the least room.
#[inline(always)]
fn fullest(memcg: Object, usage_at: u32, max_at: u32, parent_at: u32, compared: &mut Compared) {
    /// Levels that are looked at; a pod's container lies five deep.
    const LEVELS: usize = 8;
    if usage_at == ABSENT || max_at == ABSENT {
        return;
    }
    let mut level = memcg;
    let mut least = u64::MAX;
    for _ in 0..LEVELS {
        let usage: u64 = read(level, usage_at);
        let max: u64 = read(level, max_at);
        let room = max.saturating_sub(usage);
        if room < least {
            least = room;
            compared.memcg_id = owner::cgroup_id(follow(level, offset!(memcg_cgroup)));
            compared.memcg_usage_pages = usage;
            compared.memcg_max_pages = max;
        }
        let counter = follow(level, parent_at);
        if counter.is_null() {
            return;
        }
        // The parent is known by its counter, which begins a little before the number that it keeps.
        level = counter.wrapping_sub((usage_at - offset!(page_counter_usage)) as usize);
    }
}
