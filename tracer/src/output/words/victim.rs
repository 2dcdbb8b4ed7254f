//! What an owner suffered.

use super::ABSENT;
use crate::{
    output::size,
    report::{LOSSES_BESIDES, Uncounted, Victim},
};

/// Limits, what was lost besides, how long prunes took, and the worst socket, each where there is something to say.
pub(in crate::output) fn sentences(victim: &Victim) -> Vec<String> {
    let mut said = limits(victim);
    for (lost, (one, how)) in victim.besides().into_iter().zip(LOSSES_BESIDES) {
        if lost > 0 {
            said.push(format!("{} {how}", size::count(lost, one)));
        }
    }
    if let Some(skbs) = victim.ofo_pruned_skbs.filter(|n| *n > 0) {
        said.push(format!(
            "{} ({}) thrown out of the out-of-order queue",
            size::count(skbs, "received skb"),
            size::bytes(victim.ofo_pruned_bytes.unwrap_or(0))
        ));
    }
    said.extend(uncounted(victim.uncounted.as_ref()));
    if let Some(forced) = victim.forced_admissions.filter(|n| *n > 0) {
        said.push(size::count(forced, "forced admission"));
    }
    if let Some(early) = victim.early_exits.filter(|n| *n > 0) {
        said.push(size::count(early, "early exit"));
    }
    said.extend(stalls(victim));
    if let Some(worst) = victim.sockets.first() {
        said.push(format!(
            "worst socket {} → {} ({} refused)",
            worst.local.as_deref().unwrap_or(ABSENT),
            worst.remote.as_deref().unwrap_or(ABSENT),
            worst.refusals
        ));
    }
    said
}

/// Which limits refused, how, and which made it prune.
fn limits(victim: &Victim) -> Vec<String> {
    let some = |counts: &[(&str, Option<u64>)]| -> Vec<String> {
        let counts = counts.iter();
        let counts = counts.filter_map(|(name, count)| Some((name, count.filter(|n| *n > 0)?)));
        counts.map(|(name, n)| format!("{name} {n}")).collect()
    };
    let how = |counts: &[(&str, Option<u64>)]| match some(counts) {
        details if details.is_empty() => String::new(),
        details => format!(" ({})", details.join(", ")),
    };
    let (by_limit, detail) = (&victim.refusals_by_limit, &victim.refusals_by_detail);
    let tcp_mem = how(&[("hard", detail.hard), ("fair share", detail.fair_share)]);
    let memcg = how(&[("v2", detail.v2), ("v1 tcpmem", detail.v1_tcpmem)]);
    let refused: Vec<String> = some(&[
        ("rcvbuf", by_limit.rcvbuf),
        ("tcp_mem", by_limit.tcp_mem),
        ("memcg", by_limit.memcg),
        ("unknown", by_limit.unknown),
    ])
    .into_iter()
    .map(|words| match words.split(' ').next() {
        Some("tcp_mem") => words + &tcp_mem,
        Some("memcg") => words + &memcg,
        _ => words,
    })
    .collect();
    let prunes = &victim.prunes_by_limit;
    let pruned = some(&[
        ("rcvbuf", prunes.rcvbuf),
        ("tcp_mem", prunes.tcp_mem),
        ("memcg", prunes.memcg),
        ("unknown", prunes.unknown),
    ]);
    let mut said = Vec::new();
    if !refused.is_empty() {
        said.push(format!("by limit: {}", refused.join(", ")));
    }
    // Where one limit did it all, its prunes stand in the line above.
    if !pruned.is_empty() && (refused.is_empty() || pruned.len() > 1) {
        said.push(format!("prunes by limit: {}", pruned.join(", ")));
    }
    said
}

/// How long prunes kept the CPU, and how much of that went into compacting queues.
fn stalls(victim: &Victim) -> Option<String> {
    let stall = victim.stall_percentiles.as_ref()?;
    let mut words = format!(
        "a prune kept the CPU {} (p50), {} (p99), {} (longest)",
        size::nanos(stall.p50_ns),
        size::nanos(stall.p99_ns),
        size::nanos(stall.max_ns)
    );
    if let Some(collapse) = victim.collapse_ns.filter(|ns| *ns > 0) {
        words.push_str(&format!(
            ", {} in all to compact queues",
            size::nanos(collapse)
        ));
    }
    Some(words)
}

/// What vanished without any counter of the kernel.
fn uncounted(uncounted: Option<&Uncounted>) -> Option<String> {
    let uncounted = uncounted?;
    let mut parts = Vec::new();
    if let Some(skbs) = uncounted.ofo_covered_skbs.filter(|n| *n > 0) {
        parts.push(format!(
            "{} covered by later data",
            size::count(skbs, "out-of-order skb")
        ));
    }
    if let Some(bytes) = uncounted.destroyed_bytes.filter(|n| *n > 0) {
        parts.push(format!(
            "{} thrown away with dead sockets",
            size::bytes(bytes)
        ));
    }
    (!parts.is_empty()).then(|| format!("in no counter of the kernel: {}", parts.join(", ")))
}
