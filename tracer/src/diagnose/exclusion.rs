//! What a verdict is not, and why not, so that nobody has to walk these side paths. Nothing is ruled out by counts that are not
//! exact.

use super::{case::Case, culprit, kind::Decision, words};
use crate::{
    aggregate::Group,
    output::size,
    report::{Kind, Limit, RuledOut, context::Ruling},
};

/// Every cause that the facts speak against.
#[must_use]
pub fn ruled_out(case: &Case<'_>, decision: &Decision) -> Vec<RuledOut> {
    let mut list = Vec::new();
    if case.traced && case.blemishes.is_empty() {
        list.extend(limits(case, decision));
        list.extend(besides(case, decision));
    }
    list.extend(orphans(case, decision));
    list.extend(leak(case, decision));
    list.extend(waits(case, decision));
    list
}

fn rule(what: &str, why: String) -> RuledOut {
    RuledOut {
        what: what.to_owned(),
        why,
    }
}

/// Limits that refused nothing.
fn limits(case: &Case<'_>, decision: &Decision) -> Vec<RuledOut> {
    let refused = |limit: Limit| {
        let mut findings = case.findings.iter();
        findings.any(|it| it.limit == limit && it.refusals > 0)
    };
    let window = size::nanos(case.window_ns);
    [
        (Limit::TcpMem, "TCP memory of the node"),
        (Limit::Memcg, "memory of a cgroup"),
        (Limit::Rcvbuf, "receive buffers"),
    ]
    .into_iter()
    .filter(|(limit, _)| !refused(*limit) && !is_about(decision.kind, *limit))
    .map(|(limit, what)| {
        let fill = match (limit, case.memory.fill) {
            (Limit::TcpMem, Some(fill)) => format!(", and it is {} full", size::percent(fill)),
            _ => String::new(),
        };
        rule(what, format!("refused nothing in {window}{fill}"))
    })
    .collect()
}

/// Whether a kind is about a limit, so that it is not ruled out although it refused nothing.
fn is_about(kind: Kind, limit: Limit) -> bool {
    match limit {
        Limit::TcpMem => matches!(
            kind,
            Kind::TcpMemLeak | Kind::TcpMemUndersized | Kind::OomAborts | Kind::OrphanFlood
        ),
        Limit::Memcg => kind == Kind::MemcgLimit,
        Limit::Rcvbuf => matches!(kind, Kind::RcvbufSmall | Kind::SlowReader | Kind::OfoGrowth),
        Limit::Unknown => true,
    }
}

/// Losses besides refusals that there were none of.
fn besides(case: &Case<'_>, decision: &Decision) -> Vec<RuledOut> {
    let [_, backlog, aborts, _] = case.besides();
    let window = size::nanos(case.window_ns);
    let mut list = Vec::new();
    if backlog == 0 && decision.kind != Kind::Backlog {
        list.push(rule(
            "busy sockets",
            format!("no segment met a full backlog in {window}"),
        ));
    }
    if aborts == 0 && !matches!(decision.kind, Kind::OomAborts | Kind::OrphanFlood) {
        list.push(rule(
            "connections ended for want of memory",
            format!("none in {window}"),
        ));
    }
    list
}

fn orphans(case: &Case<'_>, decision: &Decision) -> Option<RuledOut> {
    let (orphans, max) = case.memory.orphans.zip(case.memory.orphans_max)?;
    (decision.kind != Kind::OrphanFlood && orphans < max / 2).then(|| {
        let (orphans, max) = (size::grouped(orphans), size::grouped(max));
        rule(
            "an orphan flood",
            format!("{orphans} orphans of at most {max}"),
        )
    })
}

/// A leak, where the node is full without one.
fn leak(case: &Case<'_>, decision: &Decision) -> Option<RuledOut> {
    let accounts = case.accounts?.iter();
    let leaked = accounts
        .map(culprit::Account::leaked)
        .fold(0, u64::saturating_add);
    (decision.kind == Kind::TcpMemUndersized).then(|| {
        let part = culprit::ratio(leaked, case.whole().max(leaked));
        rule(
            "a leak",
            format!(
                "sockets that nobody reads, accepts or closes hold {}, {} of what TCP takes",
                size::bytes(leaked),
                size::percent(part)
            ),
        )
    })
}

/// What the victim that the verdict is about, or the worst one that nobody accuses, does not wait for.
fn waits(case: &Case<'_>, decision: &Decision) -> Vec<RuledOut> {
    let is_accused = |group: &Group| decision.accused.iter().any(|it| it.account.group == *group);
    let about = decision.about.and_then(|at| case.victims.get(at));
    let innocent = || case.victims.iter().find(|it| !is_accused(&it.group));
    let Some(victim) = about.or_else(innocent) else {
        return Vec::new();
    };
    let Some(context) = case.contexts.get(&victim.group) else {
        return Vec::new();
    };
    let who = words::name(&victim.victim.owner);
    [
        ("waiting for IO", context.io.finding, &context.io.words),
        ("waiting for CPU", context.cpu.finding, &context.cpu.words),
        (
            "waiting for locks",
            context.locks.finding,
            &context.locks.words,
        ),
        (
            "waiting for memory",
            context.memory.finding,
            &context.memory.words,
        ),
        (
            "loss on the network",
            context.network.finding,
            &context.network.words,
        ),
    ]
    .into_iter()
    .filter(|(_, finding, _)| *finding == Ruling::RuledOut)
    .map(|(what, _, words)| rule(what, format!("{who}: {words}")))
    .collect()
}
