//! The verdict in words: who suffers, who holds what, what to do first; read at night by somebody who
//! has never heard of any of this.

use super::{
    case::Case,
    culprit::Accused,
    kind::Decision,
    leak::Habit,
    limit::{self, Finding},
    reader::Buffer,
    words,
};
use crate::{
    output::size,
    report::{Detail, Kind, Leak, Limit, context::Reader},
};

/// The summary of a case.
#[must_use]
pub fn summary(case: &Case<'_>, decision: &Decision) -> String {
    let mut parts = match case.findings.first() {
        Some(finding) if !case.traced => by_counters(case, decision, finding),
        Some(finding) if finding.refusals > 0 => refused(case, decision, finding),
        finding => quiet(case, decision, finding),
    };
    parts.extend(words::besides(case.findings.get(1..).unwrap_or_default()));
    parts.extend(words::pressed(case.memcgs));
    let mut summary = parts.join("; ");
    summary.push('.');
    for blemish in case.blemishes {
        summary.push(' ');
        summary.push_str(blemish);
    }
    summary
}

fn window(case: &Case<'_>) -> String {
    size::nanos(case.window_ns)
}

/// A limit refused segments, and that was seen.
fn refused(case: &Case<'_>, decision: &Decision, finding: &Finding) -> Vec<String> {
    let what = match finding.limit {
        Limit::TcpMem => {
            let how = match finding.detail {
                Some(Detail::FairShare) => ", sockets over their fair share under pressure",
                Some(Detail::Hard) => ", over its hard limit",
                Some(Detail::V2 | Detail::V1Tcpmem) | None => "",
            };
            let fill = case
                .memory
                .fill
                .map_or_else(String::new, |f| format!(", {} full", size::percent(f)));
            let did = words::did(finding);
            format!(
                "Node-wide TCP memory (tcp_mem{fill}) {did} in {}{how}",
                window(case)
            )
        }
        Limit::Memcg => format!(
            "Memory of {} {} in {}",
            case.scope.unwrap_or("a cgroup that is gone"),
            words::did(finding),
            window(case)
        ),
        Limit::Rcvbuf => format!(
            "Receive buffers of single sockets {} in {}",
            words::did(finding),
            window(case)
        ),
        Limit::Unknown => format!(
            "A limit that could not be seen {} in {}",
            words::did(finding),
            window(case)
        ),
    };
    let mut parts = vec![what];
    if finding.limit != Limit::Rcvbuf {
        parts.push(words::suffering(case, decision, finding.limit));
    }
    parts.extend(because(case, decision));
    parts
}

/// Why, and what to do first.
fn because(case: &Case<'_>, decision: &Decision) -> Vec<String> {
    let mut parts = Vec::new();
    let first = decision.accused.first();
    match decision.kind {
        Kind::TcpMemLeak | Kind::OrphanFlood => {
            parts.extend(first.map(|it| words::holds(it, case.whole(), "")));
            parts.extend(more(&decision.accused));
            parts.extend(first.map(first_step));
        }
        Kind::TcpMemUndersized => {
            parts.push(in_use(case));
            parts.push("first move load away from this node, or give TCP more memory".to_owned());
        }
        Kind::OomAborts => {
            parts.push(in_use(case));
            parts.push("first move load away from this node".to_owned());
        }
        Kind::MemcgLimit => {
            parts.push(match first {
                Some(first) => words::holds(first, first.account.held(), " within it"),
                None => "no socket within it was found to hold TCP memory".to_owned(),
            });
            parts.push("memory of its processes counts against the same limit".to_owned());
            parts.push(
                "first compare memory.current with memory.max there, and do not lower memory.max"
                    .to_owned(),
            );
        }
        Kind::RcvbufSmall | Kind::SlowReader | Kind::OfoGrowth => {
            parts.extend(buffers(case, decision));
        }
        Kind::Backlog => parts.extend(first.map(|it| {
            format!(
                "{}: {}",
                words::name(&it.account.owner),
                it.why.trim_end_matches('.')
            )
        })),
        Kind::Healthy => {}
        Kind::Inconclusive => {
            parts.extend(decision.lacks.clone());
            parts.push("nobody is accused".to_owned());
        }
    }
    let is_of_the_node = matches!(
        decision.kind,
        Kind::TcpMemLeak | Kind::TcpMemUndersized | Kind::OrphanFlood | Kind::OomAborts
    );
    if is_of_the_node && let Some(used) = limit::used(case.memory) {
        parts.push(format!(
            "do not lower tcp_mem below present use ({})",
            size::bytes(used)
        ));
    }
    parts
}

/// The accused after the first.
fn more(accused: &[Accused]) -> Option<String> {
    let rest: Vec<String> = accused
        .iter()
        .skip(1)
        .map(|it| {
            format!(
                "{} {}",
                words::name(&it.account.owner),
                size::bytes(it.account.held())
            )
        })
        .collect();
    (!rest.is_empty()).then(|| format!("so do {}", rest.join(", ")))
}

/// That sockets are in use, and whose are the largest.
fn in_use(case: &Case<'_>) -> String {
    let accounts = case.accounts.unwrap_or_default();
    match accounts.first() {
        Some(top) => format!(
            "no sockets that somebody has forgotten explain it: {} share it, the largest is {} with {}, which is a fact and no accusation",
            size::count(accounts.len() as u64, "owner"),
            words::name(&top.owner),
            size::bytes(top.held()),
        ),
        None => "no socket holds much of it".to_owned(),
    }
}

fn first_step(accused: &Accused) -> String {
    let who = words::name(&accused.account.owner);
    match accused.face.map(|face| face.habit) {
        Some(Habit::Leak(Leak::NotReading)) => {
            format!("first see why {who} does not read, and drain or restart it if it hangs")
        }
        Some(Habit::Leak(Leak::NotAccepted)) => {
            format!("first see why {who} does not accept, and drain or restart it if it hangs")
        }
        Some(Habit::Leak(_)) => format!("first drain or restart {who}"),
        Some(Habit::Orphans) => format!(
            "first look at the peers of {who}: the kernel drops such sockets by itself in time"
        ),
        Some(Habit::SlowPeer | Habit::Plain) | None => format!("first see what {who} is doing"),
    }
}

/// Receive buffers of single sockets.
fn buffers(case: &Case<'_>, decision: &Decision) -> Vec<String> {
    let Some(victim) = decision.about.and_then(|at| case.victims.get(at)) else {
        return vec!["whose sockets they were is not known".to_owned()];
    };
    let who = words::name(&victim.victim.owner);
    let others = case
        .victims
        .iter()
        .filter(|it| it.by_limit(Limit::Rcvbuf).0 > 0 && it.group != victim.group)
        .count();
    let more = match others {
        0 => String::new(),
        n => format!(" (and {n} more, each for itself)"),
    };
    let buffer = Buffer::of(victim, case.evidence, case.scan);
    let figures = match buffer.figures() {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    let (why, first) = match decision.kind {
        Kind::OfoGrowth => (
            format!(
                "segments out of order fill them while others are missing{figures}: they were lost or overtaken on the way"
            ),
            format!("first look for loss between {who} and its peers"),
        ),
        Kind::RcvbufSmall => (
            format!("they are too small for what arrives, its reader keeps up{figures}"),
            format!("first give the sockets of {who} a larger receive buffer"),
        ),
        _ => (
            words::unread(&buffer),
            format!(
                "first see why {who} does not keep up{}",
                reason(decision.reader)
            ),
        ),
    };
    vec![
        format!("{who}{more}: {why}"),
        first,
        "no other workload has a part in it".to_owned(),
    ]
}

/// Where to look for the reason of a slow reader.
fn reason(reader: Option<Reader>) -> &'static str {
    match reader {
        Some(Reader::Io) => ": it waits for IO",
        Some(Reader::Cpu) => ": it waits for a processor",
        Some(Reader::Locks) => ": it waits for a lock",
        Some(Reader::Memory) => ": it waits for memory",
        Some(Reader::Idle) => ": it sleeps or does something else",
        Some(Reader::Unknown) | None => " (CPU, locks, IO, a hang)",
    }
}

fn by_counters(case: &Case<'_>, decision: &Decision, finding: &Finding) -> Vec<String> {
    let mut parts = vec![
        format!(
            "By the kernel's counters, {} and {} in {}; without probes it cannot be told which limit refused a segment",
            size::count(finding.refusals, "refused segment"),
            size::count(finding.prunes, "prune"),
            window(case)
        ),
        words::fill(case.memory),
    ];
    if finding.limit == Limit::TcpMem {
        parts.push("it is under pressure, so tcp_mem is the likely limit".to_owned());
        parts.push(words::suffering(case, decision, finding.limit));
        parts.extend(because(case, decision));
        return parts;
    }
    parts.push(match limit::is_pressed(case.memory) {
        Some(_) => "it is not under pressure, so tcp_mem is unlikely: a receive buffer whose application does not read, or memory of a cgroup".to_owned(),
        None => "so a receive buffer, tcp_mem and memory of a cgroup are all possible".to_owned(),
    });
    parts.push(words::suffering(case, decision, finding.limit));
    parts.push(
        "first see whether the victim reads its sockets, and trace with probes if you can"
            .to_owned(),
    );
    parts
}

/// Nothing was refused.
fn quiet(case: &Case<'_>, decision: &Decision, pruned: Option<&Finding>) -> Vec<String> {
    let mut parts = vec![if case.window_ns == 0 {
        "A snapshot: refusals were not watched".to_owned()
    } else if !case.watched {
        format!(
            "Whether anything was refused in {} is not known: no counter could be read",
            window(case)
        )
    } else if !case.blemishes.is_empty() {
        format!(
            "No refusal was attributed in {}, but that is not exact",
            window(case)
        )
    } else if let Some(finding) = pruned {
        format!(
            "Nothing was refused in {}; the kernel pruned {} to make room",
            window(case),
            size::count(finding.prunes, "time")
        )
    } else {
        format!("Nothing was refused or pruned in {}", window(case))
    }];
    if case.forced > 0 {
        parts.push(format!(
            "{} queued although memory was short",
            if case.forced == 1 {
                "1 segment was".to_owned()
            } else {
                format!("{} segments were", case.forced)
            }
        ));
    }
    parts.extend(words::lost_besides(case.victims));
    parts.push(words::fill(case.memory));
    if limit::is_pressed(case.memory) == Some(true) {
        let line = case.memory.tcp_mem_bytes.map_or_else(String::new, |marks| {
            format!(" (the line is at {})", size::bytes(marks.pressure))
        });
        parts.push(format!(
            "WARNING: it is above the pressure line or under pressure{line}, so refusals may follow"
        ));
    }
    match decision.kind {
        Kind::Healthy | Kind::Inconclusive => {}
        _ => {
            parts.extend(because(case, decision));
            return parts;
        }
    }
    match case.accounts.map(|accounts| accounts.first()) {
        None => parts.push("who holds memory is not known: sockets were not read".to_owned()),
        Some(None) => parts.push("no socket holds TCP memory".to_owned()),
        Some(Some(top)) => parts.push(format!(
            "the largest holder is {} with {}{}, which is a fact and no accusation",
            words::name(&top.owner),
            size::bytes(top.held()),
            top.share.map_or_else(String::new, |s| format!(
                " ({} of what was found)",
                size::percent(s)
            )),
        )),
    }
    parts
}
