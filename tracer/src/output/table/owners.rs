//! Sections of the table on owners: victims, culprits, holders.

use super::{ABSENT, context, heading, number};
use crate::{
    output::{columns::Columns, size, text},
    report::{Culprit, Holder, LOSSES_BESIDES, TopSocket, Uncounted, Victim},
};

/// States under one holder.
const MAX_STATES: usize = 3;

/// Who suffered.
pub(super) fn victims(out: &mut String, victims: &[Victim], culprits: &[Culprit]) {
    heading(out, "VICTIMS");
    if victims.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&[
        "OWNER",
        "REFUSED",
        "RCV",
        "OFO",
        "REPAIR",
        "PRUNES",
        "GAVE UP",
        "OFO PRUNES",
        "MERGED",
        "STALL",
    ]);
    for victim in victims {
        let refusals = &victim.refusals;
        let contact = victim.owner.contact_words();
        table.row_with(
            contact.as_deref(),
            &[
                victim.owner.name.clone(),
                victim.refused().to_string(),
                number(refusals.rcv),
                number(refusals.ofo),
                number(refusals.send_rcvq),
                number(victim.prunes),
                number(victim.rcv_pruned),
                number(victim.ofo_prunes),
                number(victim.collapsed_skbs),
                victim
                    .stall_ns
                    .map_or_else(|| ABSENT.to_owned(), size::nanos),
            ],
        );
        let mut note = limits(victim);
        for (lost, (one, how)) in victim.besides().into_iter().zip(LOSSES_BESIDES) {
            if lost > 0 {
                note.push(format!("{} {how}", size::count(lost, one)));
            }
        }
        if let Some(skbs) = victim.ofo_pruned_skbs.filter(|n| *n > 0) {
            note.push(format!(
                "{} ({}) thrown out of the out-of-order queue",
                size::count(skbs, "received skb"),
                size::bytes(victim.ofo_pruned_bytes.unwrap_or(0))
            ));
        }
        note.extend(uncounted(victim.uncounted.as_ref()));
        if let Some(forced) = victim.forced_admissions.filter(|n| *n > 0) {
            note.push(size::count(forced, "forced admission"));
        }
        if let Some(early) = victim.early_exits.filter(|n| *n > 0) {
            note.push(size::count(early, "early exit"));
        }
        note.extend(stalls(victim));
        if let Some(worst) = victim.sockets.first() {
            note.push(format!(
                "worst socket {} → {} ({} refused)",
                worst.local.as_deref().unwrap_or(ABSENT),
                worst.remote.as_deref().unwrap_or(ABSENT),
                worst.refusals
            ));
        }
        table.note(&note.join("; "));
        // Of a culprit it stands there.
        let accused = |culprit: &Culprit| culprit.holder.owner == victim.owner;
        let context = victim.context.as_ref();
        if let Some(context) = context.filter(|_| !culprits.iter().any(accused)) {
            table.note(&context::words(context));
        }
    }
    table.write(out);
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

const HOLDER_HEAD: [&str; 8] = [
    "OWNER", "HELD", "SHARE", "GROWTH", "SOCKETS", "RECEIVE", "SEND", "UNREAD",
];

fn holder_row(table: &mut Columns, holder: &Holder) {
    let contact = holder.owner.contact_words();
    table.row_with(
        contact.as_deref(),
        &[
            holder.owner.name.clone(),
            size::bytes(holder.held_bytes),
            holder
                .share
                .map_or_else(|| ABSENT.to_owned(), size::percent),
            holder
                .growth_bytes
                .map_or_else(|| ABSENT.to_owned(), size::change),
            holder.sockets.to_string(),
            size::bytes(holder.receive_bytes),
            size::bytes(holder.send_bytes),
            size::bytes(holder.unread_bytes),
        ],
    );
    let states: Vec<String> = holder
        .states
        .iter()
        .take(MAX_STATES)
        .map(|state| {
            format!(
                "{} {} in {}",
                state.state,
                size::bytes(state.held_bytes),
                size::count(state.sockets, "socket")
            )
        })
        .collect();
    table.note(&states.join("; "));
    table.note(&more(holder).join("; "));
}

/// What stands out among its sockets, a second witness, and the largest of them.
fn more(holder: &Holder) -> Vec<String> {
    let mut said = Vec::new();
    for (sockets, bytes, what) in [
        (
            holder.unlisted_sockets,
            holder.unlisted_bytes,
            "in no table (not even ss lists them)",
        ),
        (
            holder.not_accepted_sockets,
            holder.not_accepted_bytes,
            "not accepted yet",
        ),
    ] {
        if sockets > 0 {
            let verb = if sockets == 1 { "holds" } else { "hold" };
            said.push(format!(
                "{} {what} {verb} {}",
                size::count(sockets, "socket"),
                size::bytes(bytes)
            ));
        }
    }
    if let Some(bytes) = holder.memory_stat_sock_bytes {
        said.push(format!("memory.stat says {}", size::bytes(bytes)));
    }
    if let Some(largest) = holder.top_sockets.first() {
        said.push(format!("largest socket {}", top_socket(largest)));
    }
    said
}

/// Ends, state, bytes, and whose descriptor.
fn top_socket(socket: &TopSocket) -> String {
    let remote = socket.remote.as_ref();
    let mut said = format!(
        "{}{} {} {}",
        socket.local.as_deref().unwrap_or(ABSENT),
        remote.map_or_else(String::new, |remote| format!(" → {remote}")),
        socket.state,
        size::bytes(socket.held_bytes)
    );
    if let Some(ms) = socket.idle_ms {
        said.push_str(&format!(
            ", nothing received for {}",
            size::nanos(ms.saturating_mul(1_000_000))
        ));
    }
    if let (Some(pid), Some(fd)) = (socket.pid, socket.fd) {
        let command = text::name(socket.command.as_deref().unwrap_or(ABSENT));
        said.push_str(&format!(" ({command}[{pid}], descriptor {fd})"));
    }
    said
}

/// Who is accused, and why.
pub(super) fn culprits(out: &mut String, culprits: &[Culprit]) {
    heading(out, "CULPRITS");
    if culprits.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for culprit in culprits {
        holder_row(&mut table, &culprit.holder);
        table.note(&culprit.why);
        if let Some(context) = &culprit.context {
            table.note(&context::words(context));
        }
    }
    table.write(out);
}

/// Who holds memory, where nobody is accused.
pub(super) fn holders(out: &mut String, holders: &[Holder]) {
    heading(out, "HOLDERS (a fact, not an accusation)");
    if holders.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for holder in holders {
        holder_row(&mut table, holder);
    }
    table.write(out);
}
