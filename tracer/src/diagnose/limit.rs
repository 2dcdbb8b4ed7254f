//! Which limit refused.

use tracer_common::tally::limit;

use crate::{
    aggregate::{Harm, harm::add_to},
    report::{Detail, Limit, TcpMemory},
};

/// Counts of the whole node, by limit as the kernel programs number them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Segments thrown away.
    pub refusals: [u64; limit::COUNT],
    /// Calls of the prune path.
    pub prunes: [u64; limit::COUNT],
    /// Segments queued although admission failed.
    pub forced: [u64; limit::COUNT],
}

/// One limit and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub limit: Limit,
    /// How, where that was seen.
    pub detail: Option<Detail>,
    /// Segments thrown away.
    pub refusals: u64,
    /// Calls of the prune path.
    pub prunes: u64,
}

impl Tallied {
    /// The sum of all owners.
    #[must_use]
    pub fn sum<'a>(harms: impl IntoIterator<Item = &'a Harm>) -> Self {
        let mut tallied = Self::default();
        for harm in harms {
            add_to(&mut tallied.refusals, &harm.refusals());
            add_to(&mut tallied.prunes, &harm.prunes);
            add_to(
                &mut tallied.forced,
                &harm.verdicts[tracer_common::tally::queue::FORCED],
            );
        }
        tallied
    }

    /// Every limit that refused or pruned, the one with most refusals first. Prunes break ties, then a
    /// limit that was seen goes before one that was not.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Limit::ALL
            .iter()
            .map(|limit| self.finding(*limit))
            .filter(|finding| finding.refusals > 0 || finding.prunes > 0)
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse((finding.refusals, finding.prunes)));
        findings
    }

    fn finding(&self, limit: Limit) -> Finding {
        let numbers = || (0..limit::COUNT).filter(|n| Limit::from_number(*n) == limit);
        let detail = numbers()
            .rev()
            .max_by_key(|n| (self.refusals[*n], self.prunes[*n]))
            .and_then(Detail::from_number);
        Finding {
            limit,
            detail,
            refusals: numbers()
                .map(|n| self.refusals[n])
                .fold(0, u64::saturating_add),
            prunes: numbers()
                .map(|n| self.prunes[n])
                .fold(0, u64::saturating_add),
        }
    }

    /// Segments queued although admission failed, over all limits.
    #[must_use]
    pub fn forced_admissions(&self) -> u64 {
        self.forced.iter().copied().fold(0, u64::saturating_add)
    }
}

/// Allocated TCP memory as far as anything tells: sockstat lags by per-CPU reserves and may read 0, so
/// what was found in sockets counts when it is more.
#[must_use]
pub fn used(memory: &TcpMemory) -> Option<u64> {
    memory.allocated_bytes.max(memory.found_bytes)
}

/// The part of the node's TCP memory that sockets which were found explain, 0 to 1; `None` where it is not known.
#[must_use]
pub fn explained(memory: &TcpMemory) -> Option<f64> {
    // The account itself may read 0 for the reserves of CPUs; then what was compared at a refusal stands for it.
    let share = memory.explained.as_ref().and_then(|it| it.share);
    let compared = || {
        let (found, used) = (memory.found_bytes?, used(memory)?);
        (used > 0).then(|| super::culprit::ratio(found, used))
    };
    share.or_else(compared).map(|share| share.min(1.0))
}

/// The same, with what no socket has because each CPU keeps it to itself.
#[must_use]
pub fn explained_with_reserve(memory: &TcpMemory) -> Option<f64> {
    let reserve = memory.explained.as_ref().and_then(|it| {
        let reserve = it.reserve_bytes?;
        Some(super::culprit::ratio(reserve, it.allocated_bytes))
    });
    Some((explained(memory)? + reserve.unwrap_or(0.0)).min(1.0))
}

/// Whether node-wide memory is under pressure or above the line where pressure begins; `None` when
/// neither can be told.
#[must_use]
pub fn is_pressed(memory: &TcpMemory) -> Option<bool> {
    let above = used(memory)
        .zip(memory.tcp_mem_bytes)
        .map(|(used, marks)| used > marks.pressure);
    match (memory.pressure, above) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, None) => None,
        _ => Some(false),
    }
}

/// The limit when nothing but counters is known: they moved, and node-wide memory was pressed. Which
/// limit refused a single segment cannot be told this way.
#[must_use]
pub fn by_counters(refusals: u64, prunes: u64, memory: &TcpMemory) -> Option<Finding> {
    if refusals == 0 && prunes == 0 {
        return None;
    }
    let limit = if is_pressed(memory) == Some(true) {
        Limit::TcpMem
    } else {
        Limit::Unknown
    };
    Some(Finding {
        limit,
        detail: None,
        refusals,
        prunes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TcpMemBytes;

    fn tallied(refusals: [u64; limit::COUNT], prunes: [u64; limit::COUNT]) -> Tallied {
        Tallied {
            refusals,
            prunes,
            forced: [0; limit::COUNT],
        }
    }

    #[test]
    fn most_refusals_win_and_hard_and_fair_share_are_one_limit() {
        // rcvbuf 10, hard 4, fair share 7: tcp_mem has 11.
        let findings = tallied([10, 4, 7, 0, 0, 0], [100, 1, 1, 0, 0, 0]).findings();
        assert_eq!(findings[0].limit, Limit::TcpMem);
        assert_eq!(findings[0].refusals, 11);
        assert_eq!(findings[0].detail, Some(Detail::FairShare));
        assert_eq!(
            (findings[1].limit, findings[1].refusals),
            (Limit::Rcvbuf, 10)
        );
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn prunes_break_ties_and_stand_alone() {
        let findings = tallied([5, 0, 0, 5, 0, 0], [1, 0, 0, 2, 0, 0]).findings();
        assert_eq!(findings[0].limit, Limit::Memcg);
        let findings = tallied([0; limit::COUNT], [0, 0, 0, 0, 0, 3]).findings();
        assert_eq!((findings[0].limit, findings[0].prunes), (Limit::Unknown, 3));
        assert!(
            tallied([0; limit::COUNT], [0; limit::COUNT])
                .findings()
                .is_empty()
        );
    }

    #[test]
    fn an_even_split_is_called_hard() {
        let findings = tallied([0, 2, 2, 0, 0, 0], [0; limit::COUNT]).findings();
        assert_eq!(findings[0].detail, Some(Detail::Hard));
    }

    #[test]
    fn counters_blame_tcp_mem_only_when_it_is_pressed() {
        let marks = TcpMemBytes {
            low: 50,
            pressure: 80,
            max: 100,
        };
        let memory = |allocated, found, pressure| TcpMemory {
            allocated_bytes: allocated,
            found_bytes: found,
            pressure,
            tcp_mem_bytes: Some(marks),
            ..TcpMemory::default()
        };
        let limit = |memory| by_counters(1, 0, &memory).map(|finding| finding.limit);
        assert_eq!(limit(memory(Some(81), None, None)), Some(Limit::TcpMem));
        assert_eq!(
            limit(memory(Some(80), None, Some(false))),
            Some(Limit::Unknown)
        );
        assert_eq!(
            limit(memory(Some(0), Some(90), None)),
            Some(Limit::TcpMem),
            "sockstat lags"
        );
        assert_eq!(limit(memory(None, None, Some(true))), Some(Limit::TcpMem));
        assert_eq!(limit(memory(None, None, None)), Some(Limit::Unknown));
        assert_eq!(by_counters(0, 0, &memory(Some(99), None, Some(true))), None);
        assert_eq!(is_pressed(&memory(None, None, None)), None);
    }
}
