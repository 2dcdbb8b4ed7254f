//! The facts that speak for a verdict, each with its figures.

use super::{case::Case, culprit, kind::Decision, limit, reader::Buffer, words};
use crate::sums::SaturatingSum as _;
use crate::{
    output::size,
    report::{Kind, Leak, Limit, Owner, OwnerKind},
};

/// Most accused that lines are spent on.
const MAX_ACCUSED: usize = 3;

/// The lines.
#[must_use]
pub fn evidence(case: &Case<'_>, decision: &Decision) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in case.findings {
        let limit = match finding.limit {
            _ if !case.traced => "a limit that counters do not tell",
            Limit::TcpMem => "tcp_mem",
            Limit::Memcg => "memory of cgroups",
            Limit::Rcvbuf => "receive buffers",
            Limit::Unknown => "a limit that was not seen",
        };
        lines.push(format!(
            "{limit} refused {} and made the kernel prune {}",
            size::count(finding.refusals, "segment"),
            size::count(finding.prunes, "time")
        ));
    }
    lines.extend(
        words::lost_besides(case.victims).map(|it| it.trim_start_matches("but ").to_owned()),
    );
    lines.push(words::fill(case.memory));
    if let Some((explained, found)) = limit::explained(case.memory).zip(case.memory.found_bytes) {
        lines.push(format!(
            "sockets that were found hold {}, {} of what TCP takes",
            size::bytes(found),
            size::percent(explained)
        ));
    }
    lines.extend(unknown(case));
    if let Some((orphans, max)) = case.memory.orphans.zip(case.memory.orphans_max) {
        let matters = matches!(decision.kind, Kind::OrphanFlood | Kind::OomAborts);
        if matters {
            lines.push(format!(
                "{} orphans of at most {}",
                size::grouped(orphans),
                size::grouped(max)
            ));
        }
    }
    for accused in decision.accused.iter().take(MAX_ACCUSED) {
        let why = accused.why.trim_end_matches('.');
        lines.push(format!("{} {why}", words::name(&accused.account.owner)));
        lines.extend(reads(accused));
        let context = case.contexts.get(&accused.account.group);
        let waits = context.filter(|it| it.reader.is_some());
        lines.extend(waits.map(|it| {
            format!(
                "{}: {}",
                words::name(&accused.account.owner),
                it.reader_words
            )
        }));
    }
    if let Some(victim) = decision.about.and_then(|at| case.victims.get(at)) {
        let figures = Buffer::of(victim, case.evidence, case.scan).figures();
        let is_buffer = matches!(
            decision.kind,
            Kind::RcvbufSmall | Kind::SlowReader | Kind::OfoGrowth
        );
        if is_buffer && !figures.is_empty() {
            lines.push(format!(
                "a socket of {} when it refused: {figures}",
                words::name(&victim.victim.owner)
            ));
        }
    }
    if case.freed {
        lines.push("most of that memory had been freed by the end of the window".to_owned());
    }
    lines
}

/// What owners hold that nothing on the node names.
fn unknown(case: &Case<'_>) -> Option<String> {
    let is_unknown =
        |owner: &Owner| matches!(owner.kind, OwnerKind::Unknown | OwnerKind::Unattributed);
    let accounts = case.accounts?.iter();
    let held: u64 = accounts
        .filter(|account| is_unknown(&account.owner))
        .map(culprit::Account::held)
        .saturating_sum();
    let refused: u64 = case
        .victims
        .iter()
        .filter(|it| is_unknown(&it.victim.owner))
        .map(|it| it.victim.refused())
        .saturating_sum();
    (held > 0 || refused > 0).then(|| {
        format!(
            "owners that nothing names hold {}, {} of what TCP takes, and were refused {}",
            size::bytes(held),
            size::percent(culprit::ratio(held, case.whole().max(held))),
            size::count(refused, "segment")
        )
    })
}

/// How much of what was seen twice nobody read.
fn reads(accused: &culprit::Accused) -> Option<String> {
    let movement = accused.account.movement?;
    if accused.leak != Some(Leak::NotReading) {
        return None;
    }
    let part = movement.stuck_part()?;
    Some(format!(
        "of {} in its open connections that were seen twice, {} had as much or more unread the second time",
        size::bytes(movement.stuck.saturating_add(movement.moving)),
        size::percent(part)
    ))
}
