//! The verdict in words: who suffers, who holds what, what to do first; read at night by somebody who
//! has never heard of any of this.

use super::{
    culprit::{self, Account, Accused},
    leak::Habit,
    limit::{self, Finding},
    sufferer::Sufferer,
    words,
};
use crate::{
    output::{size, text},
    report::{Detail, Limit, MemcgPressure, TcpMemory},
};

/// Longest note of the plan within a summary, in characters.
const MAX_NOTE: usize = 200;

/// All facts that a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Length of the window in nanoseconds; 0 for a snapshot.
    pub window_ns: u64,
    /// Whether kernel programs counted.
    pub traced: bool,
    /// Whether anything at all could tell of refusals: programs, or the kernel's counters.
    pub watched: bool,
    /// Limits that refused or pruned, the dominating one first.
    pub findings: &'a [Finding],
    /// Segments queued although admission failed.
    pub forced: u64,
    /// Who suffered, worst first.
    pub victims: &'a [Sufferer],
    /// Who is accused, by held bytes.
    pub accused: &'a [Accused],
    /// All holders, most bytes first; `None` when no scan was made.
    pub accounts: Option<&'a [Account]>,
    /// TCP memory of the node.
    pub memory: &'a TcpMemory,
    /// The memory cgroups that refused, in words.
    pub scope: Option<&'a str>,
    /// Memory cgroups under pressure, the worst first.
    pub memcgs: &'a [MemcgPressure],
    /// What the plan says about what it does not see.
    pub blind: &'a [String],
    /// What makes the counts less than exact.
    pub blemishes: &'a [String],
}

/// The summary of a case.
#[must_use]
pub fn summary(case: &Case<'_>) -> String {
    let mut parts = match case.findings.first() {
        None => quiet(case),
        Some(finding) if !case.traced => by_counters(case, finding),
        Some(finding) => match finding.limit {
            Limit::TcpMem => tcp_mem(case, finding),
            Limit::Memcg => memcg(case, finding),
            Limit::Rcvbuf => rcvbuf(case, finding),
            Limit::Unknown => unknown(case, finding),
        },
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

fn tcp_mem(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    let how = match finding.detail {
        Some(Detail::FairShare) => ", sockets over their fair share under pressure",
        Some(Detail::Hard) => ", over its hard limit",
        Some(Detail::V2 | Detail::V1Tcpmem) | None => "",
    };
    let fill = case
        .memory
        .fill
        .map_or_else(String::new, |f| format!(", {} full", size::percent(f)));
    let mut parts = vec![
        format!(
            "Node-wide TCP memory (tcp_mem{fill}) {} in {}{how}",
            words::did(finding),
            window(case)
        ),
        words::suffering(case, finding.limit),
    ];
    parts.extend(node_holders(case));
    parts
}

/// Who holds the node's memory, and what to do first.
fn node_holders(case: &Case<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    match case.accused.first() {
        Some(first) => parts.push(words::holds(first, "")),
        None if case.accounts.is_none() => {
            parts.push("who holds it is not known, because sockets could not be read".to_owned());
        }
        None => parts.push("no owner of sockets that can be listed holds much of it".to_owned()),
    }
    let unlisted = words::unlisted(case.memory);
    parts.push(match case.accused.first() {
        // Draining the largest that can be seen would not relieve the node.
        _ if unlisted.is_some() => "first find that process, then drain it".to_owned(),
        Some(first) if culprit::stands_out(case.accused) => first_step(first),
        Some(_) => "no single owner stands out, so first move load away from this node".to_owned(),
        None => "first find the holder, then drain it".to_owned(),
    });
    if let Some(unlisted) = unlisted {
        let at = parts.len().saturating_sub(1);
        parts.insert(at, unlisted);
    }
    if let Some(used) = limit::used(case.memory) {
        parts.push(format!(
            "do not lower tcp_mem below present use ({})",
            size::bytes(used)
        ));
    }
    parts
}

fn first_step(accused: &Accused) -> String {
    let who = words::name(&accused.account.owner);
    match accused.habit {
        Habit::Leak => format!("first drain or restart {who}"),
        Habit::NotReading => {
            format!("first see why {who} does not read, and drain or restart it if it hangs")
        }
        Habit::NotAccepting => {
            format!("first see why {who} does not accept, and drain or restart it if it hangs")
        }
        Habit::SlowPeer => format!("first look at the peers of {who} and the path to them"),
        Habit::Orphans => {
            format!(
                "first look at the peers of {who}: the kernel drops such sockets by itself in time"
            )
        }
        Habit::Plain => format!("first see what {who} is doing, and drain it to relieve the node"),
    }
}

fn memcg(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    let scope = case.scope.unwrap_or("a cgroup that is gone");
    let mut parts = vec![
        format!(
            "Memory of {scope} {} in {}",
            words::did(finding),
            window(case)
        ),
        words::suffering(case, finding.limit),
    ];
    match case.accused.first() {
        Some(first) => parts.push(words::holds(first, " within it")),
        None => parts.push("no socket within it was found to hold TCP memory".to_owned()),
    }
    parts.push("memory of its processes counts against the same limit".to_owned());
    parts.push(
        "first compare memory.current with memory.max there, and do not lower memory.max"
            .to_owned(),
    );
    parts
}

fn rcvbuf(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    // Whoever was refused most, of those that are accused: these are the victims themselves.
    let worst = case
        .victims
        .iter()
        .filter_map(|v| {
            let accused = case.accused.iter().find(|a| a.account.group == v.group)?;
            Some((v.by_limit(Limit::Rcvbuf), accused))
        })
        .max_by_key(|(weight, accused)| (*weight, std::cmp::Reverse(&accused.account.group)));
    let head = format!(
        "Receive buffers of single sockets {} in {}",
        words::did(finding),
        window(case)
    );
    let Some((_, accused)) = worst else {
        return vec![head, "whose sockets they were is not known".to_owned()];
    };
    let who = words::name(&accused.account.owner);
    let more = match case.accused.len().saturating_sub(1) {
        0 => String::new(),
        n => format!(" (and {n} more, each for itself)"),
    };
    vec![
        head,
        format!("{who}{more}: {}", accused.cause),
        format!("first see why {who} does not keep up (CPU, locks, IO, a hang)"),
        "no other workload has a part in it".to_owned(),
    ]
}

fn unknown(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    let why = match case.blind.first() {
        Some(note) => format!(
            " (the plan notes: {})",
            text::clean(note.trim_end_matches('.'), MAX_NOTE)
        ),
        None => String::new(),
    };
    vec![
        format!(
            "A limit that could not be seen{why} {} in {}",
            words::did(finding),
            window(case)
        ),
        words::suffering(case, finding.limit),
        words::fill(case.memory),
        "nobody is accused".to_owned(),
        "first see whether the victim reads its sockets".to_owned(),
    ]
}

fn by_counters(case: &Case<'_>, finding: &Finding) -> Vec<String> {
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
        parts.push(words::suffering(case, finding.limit));
        parts.extend(node_holders(case));
        return parts;
    }
    parts.push(match limit::is_pressed(case.memory) {
        Some(_) => "it is not under pressure, so tcp_mem is unlikely: a receive buffer whose application does not read, or memory of a cgroup".to_owned(),
        None => "so a receive buffer, tcp_mem and memory of a cgroup are all possible".to_owned(),
    });
    parts.push(words::suffering(case, finding.limit));
    parts.push(
        "first see whether the victim reads its sockets, and trace with probes if you can"
            .to_owned(),
    );
    parts
}

fn quiet(case: &Case<'_>) -> Vec<String> {
    let mut parts = vec![if case.window_ns == 0 {
        "A snapshot: refusals were not watched".to_owned()
    } else if !case.watched {
        format!(
            "Whether anything was refused in {} is not known: no counter could be read",
            window(case)
        )
    } else if !case.blemishes.is_empty() {
        format!(
            "No refusal or prune was attributed in {}, but that is not exact",
            window(case)
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
        parts.extend(words::unlisted(case.memory));
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
