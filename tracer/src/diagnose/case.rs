//! The facts of a case, as plain data.

use crate::sums::SaturatingSum as _;
use std::collections::BTreeMap;

use super::{culprit::Account, limit::Finding, sufferer::Sufferer};
use crate::{
    aggregate::Group,
    holders::Scan,
    report::{Context, Evidence, MemcgPressure, Node, Refusals, TcpMemory},
};

/// All facts that a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Where it was measured.
    pub node: &'a Node,
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
    /// All holders, most bytes first; `None` when no scan was made.
    pub accounts: Option<&'a [Account]>,
    /// Whether the holders are those of an earlier time of the window, because most memory had been freed by its end.
    pub freed: bool,
    /// Holders within the memory cgroups that refused.
    pub within: &'a [Account],
    /// These memory cgroups, in words.
    pub scope: Option<&'a str>,
    /// TCP memory of the node.
    pub memory: &'a TcpMemory,
    /// Memory cgroups under pressure, the worst first.
    pub memcgs: &'a [MemcgPressure],
    /// What victims and holders waited for.
    pub contexts: &'a BTreeMap<Group, Context>,
    /// Sampled failures by owner.
    pub evidence: &'a [(Group, Evidence)],
    /// The scan that speaks for sockets of victims.
    pub scan: Option<&'a Scan>,
    /// What the plan says about what it does not see.
    pub blind: &'a [String],
    /// What makes the counts less than exact.
    pub blemishes: &'a [String],
}

impl Case<'_> {
    /// What of the window's counts is not refusals: dropped at a window of 0, at a full backlog, ended for want of memory,
    /// dropped at a listener; in the order of [`crate::report::LOSSES_BESIDES`].
    #[must_use]
    pub fn besides(&self) -> [u64; 4] {
        let mut sums = [0_u64; 4];
        for victim in self.victims {
            for (sum, lost) in sums.iter_mut().zip(victim.victim.besides()) {
                *sum = sum.saturating_add(lost);
            }
        }
        sums
    }

    /// Segments thrown away, over all victims and limits.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let refused = self.victims.iter().map(|it| it.victim.refused());
        refused.fold(0, u64::saturating_add)
    }

    /// Holders by group.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<&Group, &Account> {
        let accounts = self.accounts.unwrap_or_default().iter();
        accounts.map(|account| (&account.group, account)).collect()
    }

    /// All that TCP takes on the node: what the kernel says, or what sockets were found to hold where that is more.
    #[must_use]
    pub fn whole(&self) -> u64 {
        super::limit::used(self.memory).unwrap_or(0)
    }
}

/// Refusals out of order and in order of one victim.
#[must_use]
pub fn ofo_and_rcv(refusals: &Refusals) -> (u64, u64) {
    let rcv = [refusals.rcv, refusals.send_rcvq]
        .into_iter()
        .flatten()
        .saturating_sum();
    (refusals.ofo.unwrap_or(0), rcv)
}
