//! Parts of sentences that several verdicts share.

use super::{
    case::Case, culprit::Accused, kind::Decision, limit::Finding, reader::Buffer,
    sufferer::Sufferer,
};
use crate::sums::SaturatingSum as _;
use crate::{
    aggregate::Group,
    output::{
        size,
        text::{self, NAME_MAX},
    },
    report::{LOSSES_BESIDES, Limit, MemcgPressure, Owner, TcpMemory},
};

/// Longest note of the plan within a sentence, in characters.
const MAX_NOTE: usize = 200;

/// An owner's name within a sentence.
pub(super) fn name(owner: &Owner) -> String {
    text::clean(&owner.name, NAME_MAX)
}

/// A note of the plan, behind something that could not be seen.
pub(super) fn noted(note: &str) -> String {
    let note = text::clean(note.trim_end_matches('.'), MAX_NOTE);
    format!(" (the plan notes: {note})")
}

/// Why a victim's own reader is named.
pub(super) fn does_not_read(victim: &Sufferer, buffer: &Buffer) -> String {
    let (refused, pruned) = victim.by_limit(Limit::Rcvbuf);
    let did = if refused > 0 {
        format!("refused {}", size::count(refused, "segment"))
    } else {
        format!("were pruned {}", size::count(pruned, "time"))
    };
    format!(
        "the receive buffers of its own sockets {did}: {}.",
        unread(buffer)
    )
}

/// What a full receive buffer says of its reader.
pub(super) fn unread(buffer: &Buffer) -> String {
    match buffer.figures() {
        none if none.is_empty() => "its application does not read fast enough".to_owned(),
        figures => format!("its application does not read fast enough ({figures})"),
    }
}

/// Why a victim of full backlogs is named.
pub(super) fn is_busy(victim: &Sufferer) -> String {
    format!(
        "its own sockets were in use for so long that {} found the queue before them full.",
        size::count(victim.victim.backlog_drops.unwrap_or(0), "segment")
    )
}

/// Why a victim of aborted orphans is named.
pub(super) fn closes_too_many(victim: &Sufferer) -> String {
    format!(
        "it closed connections whose peers did not take the rest, and the kernel ended {} of them.",
        size::grouped(victim.victim.aborts_on_memory.unwrap_or(0))
    )
}

/// What all owners lost besides refused segments, and who lost most; nothing when nothing was.
pub(super) fn lost_besides(victims: &[Sufferer]) -> Option<String> {
    let mut sums = [0; LOSSES_BESIDES.len()];
    for victim in victims {
        for (sum, lost) in sums.iter_mut().zip(victim.victim.besides()) {
            *sum = lost.saturating_add(*sum);
        }
    }
    let parts: Vec<String> = sums
        .iter()
        .zip(LOSSES_BESIDES)
        .filter(|(sum, _)| **sum > 0)
        .map(|(sum, (one, how))| format!("{} {how}", size::count(*sum, one)))
        .collect();
    let lost_by = |victim: &&Sufferer| victim.victim.besides().iter().saturating_sum();
    let worst = victims.iter().max_by_key(lost_by)?;
    let most = match worst.is_one() {
        true => format!("most of it by {}", name(&worst.victim.owner)),
        false => "by many, none of them much".to_owned(),
    };
    (!parts.is_empty()).then(|| format!("but {} ({most})", parts.join(", ")))
}

/// The memory cgroup whose sockets are held back although nothing is refused; nothing when there is none.
pub(super) fn pressed(memcgs: &[MemcgPressure]) -> Option<String> {
    let held_back = |it: &&MemcgPressure| {
        it.sock_bytes.is_some_and(|bytes| bytes > 0)
            && (it.max_events > Some(0) || it.sock_throttled > Some(0))
    };
    let worst = memcgs.iter().find(held_back)?;
    let others = memcgs.iter().filter(held_back).count() as u64 - 1;
    let more = match others {
        0 => String::new(),
        n => format!(", and that of {n} more"),
    };
    let held = match worst.windows_clamped {
        Some(0) => "no window of its sockets is held small yet".to_owned(),
        Some(n) => format!(
            "the kernel holds {} of its sockets small",
            size::count(n, "window")
        ),
        None => "the kernel may hold the windows of its sockets small".to_owned(),
    };
    Some(format!(
        "the memory cgroup of {} met its limit {}{more}: {held}",
        name(&worst.owner),
        size::count(
            worst.max_events.max(worst.sock_throttled).unwrap_or(0),
            "time"
        ),
    ))
}

/// What a limit did: `refused 7 segments`, or `pruned 3 times and refused nothing`.
pub(super) fn did(finding: &Finding) -> String {
    if finding.refusals > 0 {
        format!("refused {}", size::count(finding.refusals, "segment"))
    } else {
        format!(
            "made the kernel prune {} and refused nothing",
            size::count(finding.prunes, "time")
        )
    }
}

/// Who suffers by a limit. Those who are not accused themselves come first: they are who calls at night.
pub(super) fn suffering(case: &Case<'_>, decision: &Decision, limit: Limit) -> String {
    let weight = |v: &&Sufferer| {
        if v.harm.is_some() {
            v.by_limit(limit)
        } else {
            v.all()
        }
    };
    let touched: Vec<&Sufferer> = case
        .victims
        .iter()
        .filter(|v| weight(v) != (0, 0))
        .collect();
    let is_accused = |v: &&&Sufferer| decision.accused.iter().any(|a| a.account.group == v.group);
    let is_named = |v: &&&Sufferer| v.is_one() && v.group != Group::Unattributed;
    let worst = |filter: &dyn Fn(&&&Sufferer) -> bool| {
        touched
            .iter()
            .filter(filter)
            .max_by_key(|v| (weight(v), std::cmp::Reverse(&v.group)))
            .copied()
    };
    let innocent = worst(&|v| !is_accused(v) && is_named(v));
    let Some(first) = innocent
        .or_else(|| worst(&|v| is_named(v)))
        .or_else(|| worst(&|_| true))
    else {
        return "who suffers is not known".to_owned();
    };
    let (refused, pruned) = weight(&first);
    let how_much = if refused > 0 {
        format!("{} refused", size::count(refused, "segment"))
    } else {
        size::count(pruned, "prune")
    };
    let who = name(&first.victim.owner);
    let others = touched
        .iter()
        .filter(|v| v.group != first.group && !is_accused(v))
        .count() as u64;
    if innocent.is_none() && is_accused(&&first) {
        return format!("only {who} itself suffers ({how_much})");
    }
    match others {
        0 => format!("{who} suffers ({how_much})"),
        n if touched.iter().all(|v| v.is_one()) => {
            format!("{who} ({how_much}) and {n} more suffer")
        }
        n => format!("{who} ({how_much}) and at least {n} more suffer"),
    }
}

/// What one of the accused holds, as a part of all that its scope takes.
pub(super) fn holds(accused: &Accused, whole: u64, scope: &str) -> String {
    let total = accused.account.holding.total();
    let mut words = format!(
        "{} holds {}, {} of the TCP memory{scope}",
        name(&accused.account.owner),
        size::bytes(total.held),
        size::percent(super::culprit::ratio(total.held, whole.max(total.held)))
    );
    if let Some(face) = accused.face {
        words.push_str(&format!(
            " ({} of {} in {}: {})",
            size::grouped(face.sockets),
            size::count(total.sockets, "socket"),
            face.state_name(),
            face.words
        ));
    }
    words
}

/// Fill of the node in words; how full is never guessed.
///
/// Where sockstat lags behind what sockets were found to hold, both are told.
pub(super) fn fill(memory: &TcpMemory) -> String {
    let lags = match (memory.allocated_bytes, memory.found_bytes) {
        (Some(allocated), Some(found)) if found > allocated => {
            format!(", yet sockets were found to hold {}", size::bytes(found))
        }
        _ => String::new(),
    };
    fill_alone(memory) + &lags
}

fn fill_alone(memory: &TcpMemory) -> String {
    match (memory.fill, memory.allocated_bytes, memory.tcp_mem_bytes) {
        (Some(fill), Some(allocated), Some(marks)) => format!(
            "TCP memory of the node is {} full ({} of {})",
            size::percent(fill),
            size::bytes(allocated),
            size::bytes(marks.max)
        ),
        (_, Some(allocated), None) => {
            format!(
                "TCP memory of the node is {}, its limit is not known",
                size::bytes(allocated)
            )
        }
        _ => "how full TCP memory of the node is could not be read".to_owned(),
    }
}

/// The other limits that refused, without naming anybody.
pub(super) fn besides(others: &[Finding]) -> Option<String> {
    let words: Vec<String> = others
        .iter()
        .map(|other| {
            let count = if other.refusals > 0 {
                size::count(other.refusals, "segment")
            } else {
                size::count(other.prunes, "prune")
            };
            let limit = match other.limit {
                Limit::Rcvbuf => "receive buffers",
                Limit::TcpMem => "tcp_mem",
                Limit::Memcg => "memory of cgroups",
                Limit::Unknown => "a limit that was not seen",
            };
            format!("{limit} ({count})")
        })
        .collect();
    (!words.is_empty()).then(|| format!("other limits struck too: {}", words.join(", ")))
}
