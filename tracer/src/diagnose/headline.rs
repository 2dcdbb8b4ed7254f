//! The verdict in one line: what, who, how much, how sure.

use super::{case::Case, culprit, kind::Decision, limit, reader::Buffer, words};
use crate::sums::SaturatingSum as _;
use crate::{
    output::{size, text},
    report::{Confidence, Kind, Limit, Owner, TcpMemory, context::Reader},
};

/// From this fill on the node's TCP memory is called full.
const FULL: f64 = 0.995;
/// Nanoseconds of a minute.
const MINUTE: f64 = 60e9;

/// The headline.
#[must_use]
pub fn headline(case: &Case<'_>, decision: &Decision, confidence: Confidence) -> String {
    let mut parts = vec![what(case, decision)];
    let of_node = matches!(
        decision.kind,
        Kind::TcpMemLeak | Kind::TcpMemUndersized | Kind::OrphanFlood | Kind::OomAborts
    );
    if of_node && let Some(explained) = limit::explained(case.memory) {
        parts.push(format!("explained {}", short(explained)));
    }
    parts.push(format!("confidence {}", confidence.name()));
    parts.join("; ")
}

fn what(case: &Case<'_>, decision: &Decision) -> String {
    let victim = decision.about.and_then(|at| case.victims.get(at));
    let about = victim.map_or_else(
        || "an owner that is not known".to_owned(),
        |it| who(&it.victim.owner),
    );
    let refused = size::count(case.refused(), "segment");
    match decision.kind {
        Kind::TcpMemLeak | Kind::OrphanFlood if !decision.accused.is_empty() => {
            format!("{}: {}", fill(case), accused(case, decision))
        }
        Kind::TcpMemLeak | Kind::OrphanFlood => fill(case),
        Kind::TcpMemUndersized => {
            let accounts = case.accounts.unwrap_or_default();
            let sockets: u64 = accounts
                .iter()
                .map(|it| it.holding.total().sockets)
                .saturating_sum();
            let largest = accounts.first().map_or_else(String::new, |top| {
                format!(
                    ", the largest {} with {}",
                    who(&top.owner),
                    size::bytes(top.held())
                )
            });
            format!(
                "{}: too small for {} sockets of {} that are in use{largest}",
                fill(case),
                size::grouped(sockets),
                size::count(accounts.len() as u64, "owner"),
            )
        }
        Kind::RcvbufSmall => format!(
            "rcvbuf too small: {about} keeps up, yet {refused} refused{}",
            buffer(case, decision)
        ),
        Kind::SlowReader => {
            let why = match decision.reader {
                Some(Reader::Io) => " (waits for IO)",
                Some(Reader::Cpu) => " (waits for CPU)",
                Some(Reader::Locks) => " (waits for a lock)",
                Some(Reader::Memory) => " (waits for memory)",
                Some(Reader::Idle) => " (sleeps or does something else)",
                Some(Reader::Unknown) | None => "",
            };
            format!(
                "rcvbuf full: {about} does not read fast enough{why}: {refused} refused{}",
                buffer(case, decision)
            )
        }
        Kind::MemcgLimit => memcg(case, decision),
        Kind::OfoGrowth => format!(
            "loss or reordering on the way to {about}: {refused} refused and {} thrown away again out of order",
            size::count(
                victim.and_then(|it| it.victim.ofo_pruned_skbs).unwrap_or(0),
                "skb"
            )
        ),
        Kind::Backlog => format!(
            "busy sockets of {about}: {} dropped at a full backlog",
            size::count(case.besides()[1], "segment")
        ),
        Kind::OomAborts => format!(
            "{}: {} ended for want of memory, first of {about}",
            fill(case),
            size::count(case.besides()[2], "connection")
        ),
        Kind::Healthy => format!(
            "healthy: nothing refused in {}, {}",
            size::nanos(case.window_ns),
            fill(case)
        ),
        Kind::Inconclusive => format!(
            "not enough evidence: {}",
            decision
                .lacks
                .as_deref()
                .unwrap_or("nothing fits what was seen")
        ),
    }
}

/// `tcp_mem FULL 48.0/48.0 GiB`.
fn fill(case: &Case<'_>) -> String {
    let memory: &TcpMemory = case.memory;
    let Some((used, marks)) = limit::used(memory).zip(memory.tcp_mem_bytes) else {
        return "tcp_mem of unknown fill".to_owned();
    };
    let full = memory
        .fill
        .unwrap_or(0.0)
        .max(culprit::ratio(used, marks.max));
    let refused = case
        .findings
        .first()
        .is_some_and(|it| it.limit == Limit::TcpMem && it.refusals > 0);
    let word = if full >= FULL || (refused && case.traced) {
        "FULL".to_owned()
    } else {
        short(full)
    };
    let was = if case.freed { " (freed since)" } else { "" };
    format!("tcp_mem {word} {}{was}", size::of(used, marks.max))
}

fn accused(case: &Case<'_>, decision: &Decision) -> String {
    let mut words: Vec<String> = Vec::new();
    for accused in &decision.accused {
        let account = &accused.account;
        let mut said = format!(
            "{} holds {}, {}",
            who(&account.owner),
            size::bytes(account.held()),
            short(culprit::ratio(
                account.held(),
                case.whole().max(account.held())
            ))
        );
        if let Some(face) = accused.face {
            said.push_str(&format!(
                ", in {} {} sockets",
                size::grouped(face.sockets),
                face.state_name()
            ));
        }
        if let Some(growth) = account.growth.filter(|it| *it != 0)
            && case.window_ns > 0
        {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "one decimal is shown"
            )]
            let a_minute = (growth as f64 / case.window_ns as f64 * MINUTE) as i64;
            said.push_str(&format!(", {}/min", size::change(a_minute)));
        }
        words.push(said);
    }
    words.join("; ")
}

fn memcg(case: &Case<'_>, decision: &Decision) -> String {
    let scope = match case.memcgs.iter().find(|it| it.keeps_sockets_small()) {
        Some(memcg) => {
            let of = memcg
                .usage_bytes
                .zip(memcg.max_bytes)
                .map_or_else(String::new, |(usage, max)| {
                    format!(" {}", size::of(usage, max))
                });
            format!("memory of {} FULL{of}", who(&memcg.owner))
        }
        None => format!(
            "memory of {} FULL",
            case.scope
                .unwrap_or("a cgroup that is gone")
                .trim_end_matches(',')
        ),
    };
    let held_back = || {
        let full = case.memcgs.iter().find(|it| it.keeps_sockets_small());
        let by = match full {
            Some(it) if it.windows_clamped == Some(0) && it.is_over() => {
                "what its sockets received was charged over it"
            }
            Some(it) if it.windows_clamped == Some(0) => "nothing in it could be reclaimed",
            _ => "windows of its sockets held small",
        };
        format!("nothing refused, {by}")
    };
    let did = case.findings.first().map_or_else(held_back, words::did);
    let holder = decision.accused.first().map_or_else(String::new, |it| {
        format!(
            ", {} holds {} in sockets",
            who(&it.account.owner),
            size::bytes(it.account.held())
        )
    });
    format!("{scope}: {did}{holder}")
}

fn buffer(case: &Case<'_>, decision: &Decision) -> String {
    let victim = decision.about.and_then(|at| case.victims.get(at));
    let figures = victim.map(|it| Buffer::of(it, case.evidence, case.scan).figures());
    match figures {
        Some(figures) if !figures.is_empty() => format!(" ({figures})"),
        _ => String::new(),
    }
}

/// A whole percentage, as a headline has room for.
fn short(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// An owner, and whom to call: `payments/api-7f9c (team payments)`.
fn who(owner: &Owner) -> String {
    text::clean(&owner.title(), 2 * text::NAME_MAX)
}
