//! What the kernel has allocated to TCP against what sockets were found to hold, and why the two differ.

use super::holders::{self, Census};
use crate::{
    aggregate::holding::Part,
    output::size,
    report::{Explained, Inputs},
};

/// The account at the scan that speaks for the window; `None` when the kernel did not tell it.
pub(super) fn explained(inputs: &Inputs<'_>, census: &Census<'_>) -> Option<Explained> {
    let memory = census.memory;
    let bytes = |pages: u64| pages.saturating_mul(memory.page_size);
    let around = census.scan.around.map(|sockstat| sockstat.mem);
    let (before, after) = match around {
        [Some(before), Some(after)] => (before, after),
        _ => (memory.sockstat_pages?, memory.sockstat_pages?),
    };
    let total = &census.total;
    let mut explained = Explained {
        allocated_bytes: bytes(before.midpoint(after)),
        listed_bytes: total.held - total.unlisted_held,
        unlisted_bytes: total.unlisted_held,
        reserve_bytes: memory
            .reserve_pages
            .or(inputs.memory_start.reserve_pages)
            .map(bytes),
        unseen_sockets: unseen(census),
        ..Explained::default()
    };
    explained.share = holders::part(total.held, explained.allocated_bytes);
    explained.reasons = reasons(&explained, total, bytes(before.abs_diff(after)));
    Some(explained)
}

/// Sockets that are allocated and were not found.
fn unseen(census: &Census<'_>) -> Option<u64> {
    let around = census.scan.around.iter();
    let allocated = around.filter_map(|sockstat| sockstat.alloc).min();
    Some(
        allocated
            .or(census.memory.alloc)?
            .saturating_sub(census.total.full),
    )
}

/// Why what was found is not what is allocated, the surest reason first.
fn reasons(explained: &Explained, total: &Part, moved: u64) -> Vec<String> {
    let found = explained
        .listed_bytes
        .saturating_add(explained.unlisted_bytes);
    let off = explained.allocated_bytes.abs_diff(found);
    let mut reasons = Vec::new();
    if off == 0 {
        return reasons;
    }
    match explained.reserve_bytes {
        Some(0) => {}
        Some(reserve) => reasons.push(format!(
            "each CPU keeps a part of the account to itself: the kernel's figure may be off by {} either way",
            size::bytes(reserve)
        )),
        None => reasons.push(
            "how much of the account each CPU keeps to itself is not known on this kernel".to_owned(),
        ),
    }
    if moved > 0 {
        reasons.push(format!(
            "it changed by {} while sockets were read",
            size::bytes(moved)
        ));
    }
    if total.unmeasured > 0 {
        reasons.push(format!(
            "the memory of {} was not told, and their payload is less",
            size::count(total.unmeasured, "socket")
        ));
    }
    let within = off <= explained.reserve_bytes.unwrap_or(0).saturating_add(moved);
    if found > explained.allocated_bytes {
        if !within {
            reasons.push(
                "sockets that are exempt from tcp_mem (net.core.bypass_prot_mem) hold memory all the same, or some changed hands while they were read"
                    .to_owned(),
            );
        }
        return reasons;
    }
    // A connection that is reset while it waits leaves every table and has no descriptor yet.
    let reset = total.waiting.saturating_sub(total.not_accepted);
    if reset > 0 {
        reasons.push(format!(
            "{} in no table any more: reset by the peer before anybody accepted them, they keep what they received",
            match reset {
                1 => "1 connection waits at a listener and is".to_owned(),
                n => format!("{n} connections wait at listeners and are"),
            }
        ));
    }
    if let Some(unseen) = explained.unseen_sockets.filter(|unseen| *unseen > reset) {
        reasons.push(format!(
            "{} allocated and seen neither in a table nor by a descriptor: made and not used yet, on the way between processes, held by io_uring, or closed in a network namespace that nobody lives in any more",
            match unseen - reset {
                1 => "1 socket is".to_owned(),
                n => format!("{n} sockets are"),
            }
        ));
    }
    if !within {
        reasons.push(
            "Multipath TCP, kernel TLS and sockmaps keep some in queues of their own, which no figure of a TCP socket has"
                .to_owned(),
        );
    }
    reasons
}
