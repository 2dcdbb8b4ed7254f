//! What is the matter, and who is accused of it. Each rule says what it takes; where nothing fits, nothing is said.

use super::{
    case::Case,
    culprit::{self, Accused},
    limit,
    reader::{self, Buffer, Filling},
    sufferer::Sufferer,
    words,
};
use crate::{
    output::size,
    report::{Kind, Leak, Limit, MemcgPressure, context::Reader},
};

/// Below this explained part of the node's TCP memory nobody is accused of it: somebody unseen may hold the rest.
pub const MIN_EXPLAINED: f64 = 0.7;
/// Sockets forgotten (or orphaned) that take less than this of the node's TCP memory do not explain that it is full.
const MATTERS: f64 = 0.2;
/// Sockets forgotten that take this much of it do, whatever the rest does.
const MOST: f64 = 0.5;
/// Above this part of `net.ipv4.tcp_max_orphans` the kernel is close to ending orphans.
const MANY_ORPHANS: f64 = 0.5;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is the matter.
    pub kind: Kind,
    /// How most of what leaks is forgotten.
    pub leak: Option<Leak>,
    /// Why the worst reader does not read.
    pub reader: Option<Reader>,
    /// Who is accused, most guilty first.
    pub accused: Vec<Accused>,
    /// The victim that the kind is about; its place in the case's list.
    pub about: Option<usize>,
    /// Why nothing can be said, where nothing can.
    pub lacks: Option<String>,
}

impl Decision {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    fn lacking(why: String) -> Self {
        Self {
            lacks: Some(why),
            ..Self::of(Kind::Inconclusive)
        }
    }
}

/// Decides.
#[must_use]
pub fn decide(case: &Case<'_>) -> Decision {
    let finding = case.findings.first();
    // Prunes alone tidy queues; where nothing was refused, what else was lost goes first.
    let refused = finding.filter(|finding| finding.refusals > 0);
    match refused.map(|finding| finding.limit) {
        Some(Limit::TcpMem) => node(case),
        Some(Limit::Memcg) => memcg(case),
        Some(Limit::Rcvbuf) => rcvbuf(case),
        Some(Limit::Unknown) => unknown(case),
        None => unrefused(case),
    }
}

/// TCP memory of the node is full, or was.
fn node(case: &Case<'_>) -> Decision {
    let Some(accounts) = case.accounts else {
        return Decision::lacking(
            "who holds TCP memory is not known: sockets could not be read".to_owned(),
        );
    };
    let whole = case.whole();
    if let Some(explained) =
        limit::explained_with_reserve(case.memory).filter(|it| *it < MIN_EXPLAINED)
    {
        return Decision::lacking(format!(
            "only {} of the node's TCP memory is explained by sockets that were found, less than the {} that an accusation takes",
            size::percent(explained),
            size::percent(MIN_EXPLAINED)
        ));
    }
    let leakers = culprit::leakers(accounts, whole);
    let orphaners = culprit::orphaners(accounts, whole);
    let sum =
        |of: fn(&culprit::Account) -> u64| accounts.iter().map(of).fold(0, u64::saturating_add);
    let (leaked, orphaned) = (
        sum(culprit::Account::leaked),
        sum(culprit::Account::orphaned),
    );
    if orphaned > leaked && explains(case, orphaned, whole) {
        return Decision {
            accused: orphaners,
            ..Decision::of(Kind::OrphanFlood)
        };
    }
    if explains(case, leaked, whole) {
        let first = leakers.first();
        let leak = first.and_then(|first| first.leak);
        let not_reading = leak == Some(Leak::NotReading);
        let reader = first.and_then(|it| case.contexts.get(&it.account.group)?.reader);
        return Decision {
            leak,
            reader: not_reading.then_some(reader).flatten(),
            accused: leakers,
            ..Decision::of(Kind::TcpMemLeak)
        };
    }
    Decision::of(Kind::TcpMemUndersized)
}

/// Whether so many bytes explain that TCP memory is full: they are much of it, and without them it would be below the line
/// where pressure begins, or they are most of it.
fn explains(case: &Case<'_>, bytes: u64, whole: u64) -> bool {
    let part = culprit::ratio(bytes, whole);
    let below = case
        .memory
        .tcp_mem_bytes
        .is_none_or(|marks| whole.saturating_sub(bytes) <= marks.pressure);
    part >= MOST || (part >= MATTERS && below)
}

/// The memory of a cgroup is full: it refuses, or keeps its sockets small without refusing anything.
fn memcg(case: &Case<'_>) -> Decision {
    Decision {
        accused: culprit::within(case.within),
        ..Decision::of(Kind::MemcgLimit)
    }
}

/// Receive buffers refused: the worst of their owners decides.
fn rcvbuf(case: &Case<'_>) -> Decision {
    let accounts = case.by_group();
    let worst = case
        .victims
        .iter()
        .enumerate()
        .filter(|(_, victim)| victim.is_one() && victim.by_limit(Limit::Rcvbuf) != (0, 0))
        .max_by_key(|(at, victim)| (victim.by_limit(Limit::Rcvbuf), std::cmp::Reverse(*at)));
    let Some((about, worst)) = worst else {
        return Decision::lacking(
            "receive buffers refused, and whose they were is not known".to_owned(),
        );
    };
    let filling = |victim: &Sufferer| {
        let buffer = Buffer::of(victim, case.evidence, case.scan);
        let account = accounts.get(&victim.group).copied();
        reader::filling(victim, &buffer, account, case.contexts.get(&victim.group))
    };
    match filling(worst) {
        Filling::OutOfOrder => Decision {
            about: Some(about),
            ..Decision::of(Kind::OfoGrowth)
        },
        Filling::TooSmall => Decision {
            about: Some(about),
            ..Decision::of(Kind::RcvbufSmall)
        },
        Filling::Unread(reason) => {
            let mut accused: Vec<Accused> = case
                .victims
                .iter()
                .filter(|victim| victim.is_one())
                .filter(|victim| refused_by_rcvbuf(victim) > 0 || victim.group == worst.group)
                .filter(|victim| matches!(filling(victim), Filling::Unread(_)))
                .map(|victim| {
                    let buffer = Buffer::of(victim, case.evidence, case.scan);
                    let account = accounts.get(&victim.group).copied();
                    culprit::itself(victim, account, words::does_not_read(victim, &buffer))
                })
                .collect();
            accused.sort_by_key(|accused| std::cmp::Reverse(accused.account.group == worst.group));
            Decision {
                reader: Some(reason),
                about: Some(about),
                accused,
                ..Decision::of(Kind::SlowReader)
            }
        }
    }
}

fn refused_by_rcvbuf(victim: &Sufferer) -> u64 {
    victim.by_limit(Limit::Rcvbuf).0
}

/// A limit refused that was not seen.
fn unknown(case: &Case<'_>) -> Decision {
    Decision::lacking(if case.traced {
        let why = case
            .blind
            .first()
            .map_or_else(String::new, |note| words::noted(note));
        format!("the limit that refused could not be seen{why}")
    } else {
        match limit::is_pressed(case.memory) {
            Some(_) => "by counters alone it cannot be told which limit refused; TCP memory of the node is not under pressure, so a receive buffer or the memory of a cgroup did",
            None => "by counters alone it cannot be told which limit refused",
        }
        .to_owned()
    })
}

/// Nothing was refused.
fn unrefused(case: &Case<'_>) -> Decision {
    let [_, backlog, aborts, _] = case.besides();
    if aborts > 0 {
        return aborted(case, aborts);
    }
    if case.memcgs.iter().any(MemcgPressure::keeps_sockets_small) {
        return memcg(case);
    }
    if limit::is_pressed(case.memory) == Some(true) {
        return node(case);
    }
    if backlog > 0 {
        return busy(case);
    }
    // Data that had been received was thrown away again.
    if case.victims.iter().any(|it| it.victim.ofo_prunes > Some(0)) {
        return match case.findings.first().map(|finding| finding.limit) {
            Some(Limit::Memcg) => memcg(case),
            Some(Limit::Rcvbuf) => rcvbuf(case),
            _ => unknown(case),
        };
    }
    if case.window_ns == 0 {
        return Decision::lacking(
            "a snapshot: whether anything was refused was not watched".to_owned(),
        );
    }
    if !case.watched {
        return Decision::lacking(
            "whether anything was refused is not known: no counter could be read".to_owned(),
        );
    }
    if !case.blemishes.is_empty() {
        return Decision::lacking(
            "nothing was attributed, but the counts are not exact".to_owned(),
        );
    }
    Decision::of(Kind::Healthy)
}

/// The kernel ended connections for want of memory, or for too many orphans.
fn aborted(case: &Case<'_>, aborts: u64) -> Decision {
    let about = case
        .victims
        .iter()
        .position(|it| it.is_one() && it.victim.aborts_on_memory > Some(0));
    let accounts = case.accounts.unwrap_or_default();
    let orphaners = culprit::orphaners(accounts, case.whole());
    let many = case
        .memory
        .orphans
        .zip(case.memory.orphans_max)
        .is_some_and(|(orphans, max)| culprit::ratio(orphans, max) >= MANY_ORPHANS);
    // The kernel ends an orphan where there are too many of them, and it is counted as an abort; then few may be left.
    if many || (limit::is_pressed(case.memory) != Some(true) && aborts > 0) {
        let accused = if orphaners.is_empty() {
            about
                .and_then(|at| case.victims.get(at))
                .map(|victim| {
                    let account = case.by_group().get(&victim.group).copied();
                    culprit::itself(victim, account, words::closes_too_many(victim))
                })
                .into_iter()
                .collect()
        } else {
            orphaners
        };
        return Decision {
            accused,
            about,
            ..Decision::of(Kind::OrphanFlood)
        };
    }
    let decision = node(case);
    match decision.kind {
        Kind::TcpMemUndersized | Kind::Inconclusive => Decision {
            kind: Kind::OomAborts,
            about,
            ..decision
        },
        _ => Decision { about, ..decision },
    }
}

/// Segments found their sockets in use.
fn busy(case: &Case<'_>) -> Decision {
    let accounts = case.by_group();
    let worst = case
        .victims
        .iter()
        .enumerate()
        .filter(|(_, it)| it.is_one() && it.victim.backlog_drops > Some(0))
        .max_by_key(|(at, it)| (it.victim.backlog_drops, std::cmp::Reverse(*at)));
    let Some((about, victim)) = worst else {
        return Decision::of(Kind::Backlog);
    };
    let account = accounts.get(&victim.group).copied();
    Decision {
        about: Some(about),
        accused: vec![culprit::itself(victim, account, words::is_busy(victim))],
        ..Decision::of(Kind::Backlog)
    }
}
