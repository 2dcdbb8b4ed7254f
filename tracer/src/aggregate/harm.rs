//! What an owner suffered: tallies summed over the keys and network namespaces of one group.

use std::collections::{BTreeMap, BTreeSet};

use tracer_common::{
    TallyKey, TallyValue,
    tally::{OVERFLOW_ID, count, limit, queue, slot, stall},
};

use super::{Delta, Group};
use crate::attribute::{Owner, OwnerKind};

/// Counts of one group within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// The owners that were summed.
    pub owners: BTreeSet<Owner>,
    /// Inode numbers of the network namespaces that they were seen in.
    pub netns: BTreeSet<u32>,
    /// Segments whose admission failed, by queue and limit.
    pub verdicts: [[u64; limit::COUNT]; queue::COUNT],
    /// Calls of the prune path, by limit.
    pub prunes: [u64; limit::COUNT],
    /// What else happened, by [`count`].
    pub counts: [u64; count::COUNT],
    /// Prunes that gave up.
    pub rcv_pruned: u64,
    /// Calls that threw away out-of-order skbs.
    pub ofo_pruned: u64,
    /// Skbs merged.
    pub collapsed: u64,
    /// Admissions that failed before the prune path counted anything.
    pub early_exits: u64,
    /// Time that prunes kept the CPU, in nanoseconds.
    pub stall_ns: u64,
    /// How many prunes kept it how long, by [`stall`].
    pub stalls: [u64; stall::BUCKETS],
    /// The part of that time that `tcp_collapse` took, in nanoseconds.
    pub collapse_ns: u64,
    /// How many of these prunes spent how much of it there, by [`stall`].
    pub collapses: [u64; stall::BUCKETS],
    /// Evidence held back.
    pub suppressed: u64,
}

impl Default for Harm {
    fn default() -> Self {
        Self {
            owners: BTreeSet::new(),
            netns: BTreeSet::new(),
            verdicts: [[0; limit::COUNT]; queue::COUNT],
            prunes: [0; limit::COUNT],
            counts: [0; count::COUNT],
            rcv_pruned: 0,
            ofo_pruned: 0,
            collapsed: 0,
            early_exits: 0,
            stall_ns: 0,
            stalls: [0; stall::BUCKETS],
            collapse_ns: 0,
            collapses: [0; stall::BUCKETS],
            suppressed: 0,
        }
    }
}

impl Harm {
    /// Adds the difference of one tally.
    pub fn add(&mut self, value: &TallyValue) {
        for (q, by_limit) in self.verdicts.iter_mut().enumerate() {
            for (l, count) in by_limit.iter_mut().enumerate() {
                *count = count.saturating_add(value.verdicts[slot(q, l)]);
            }
        }
        let prunes = self.prunes.iter_mut().zip(value.prunes);
        let counts = self.counts.iter_mut().zip(value.counts);
        let stalls = self.stalls.iter_mut().zip(value.stalls);
        let collapses = self.collapses.iter_mut().zip(value.collapses);
        for (count, more) in prunes.chain(counts).chain(stalls).chain(collapses) {
            *count = count.saturating_add(more);
        }
        for (count, more) in [
            (&mut self.rcv_pruned, value.rcv_pruned),
            (&mut self.ofo_pruned, value.ofo_pruned),
            (&mut self.collapsed, value.rcv_collapsed),
            (&mut self.early_exits, value.early_exits),
            (&mut self.stall_ns, value.stall_ns),
            (&mut self.collapse_ns, value.collapse_ns),
            (&mut self.suppressed, value.suppressed),
        ] {
            *count = count.saturating_add(more);
        }
    }

    /// Refusals by limit, over the three queues that drop.
    #[must_use]
    pub fn refusals(&self) -> [u64; limit::COUNT] {
        let mut sum = [0; limit::COUNT];
        for q in [queue::RCV, queue::OFO, queue::SEND_RCVQ] {
            add_to(&mut sum, &self.verdicts[q]);
        }
        sum
    }

    /// Prunes and verdicts by a memory cgroup, of either hierarchy.
    #[must_use]
    pub fn by_memcg(&self) -> u64 {
        let refusals = self.refusals();
        [limit::MEMCG_V2, limit::MEMCG_V1_TCPMEM]
            .into_iter()
            .flat_map(|limit| [refusals[limit], self.prunes[limit]])
            .fold(0, u64::saturating_add)
    }

    /// Whether anything happened to this owner.
    #[must_use]
    pub fn any(&self) -> bool {
        self.verdicts
            .iter()
            .flatten()
            .chain(&self.prunes)
            .chain(&self.counts[..count::PER_SOCKET])
            .any(|count| *count > 0)
            || self.rcv_pruned > 0
            || self.ofo_pruned > 0
            || self.collapsed > 0
            || self.early_exits > 0
            || self.stall_ns > 0
    }
}

/// Adds counts by limit to others.
pub fn add_to(sum: &mut [u64; limit::COUNT], more: &[u64; limit::COUNT]) {
    for (count, more) in sum.iter_mut().zip(more) {
        *count = count.saturating_add(*more);
    }
}

/// The owner of a key: an overflow bucket has none, whatever a lookup would say.
pub fn owner_of(key: &TallyKey, lookup: &dyn Fn(&TallyKey) -> Owner) -> Owner {
    if key.cgroup_id == OVERFLOW_ID {
        Owner::of_kind(OwnerKind::Unattributed)
    } else {
        lookup(key)
    }
}

/// Sums tallies by group.
#[must_use]
pub fn by_group(deltas: &[Delta], lookup: &dyn Fn(&TallyKey) -> Owner) -> BTreeMap<Group, Harm> {
    let mut groups: BTreeMap<Group, Harm> = BTreeMap::new();
    for delta in deltas {
        let owner = owner_of(&delta.key, lookup);
        let harm = groups.entry(Group::of(&owner)).or_default();
        harm.add(&delta.value);
        harm.owners.insert(owner);
        // 0 is of no namespace: a sum over several.
        harm.netns
            .extend(Some(delta.key.netns_inum).filter(|inum| *inum != 0));
    }
    groups
}
