//! Makes a capture small. Sums stay what they were; what is kept singly is bounded, and what is left out is counted.

mod scans;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
};

use tracer_common::{SocketState, TallyKey, tally::VERDICT_SLOTS};

use super::{Capture, Keep, join::free_number};
use crate::{
    aggregate::{Group, steps::coarsen},
    attribute::Owner,
    holders::{Scan, part::MAX_TOP},
    indicators::{Row, RowState},
    report::evidence,
};

impl Capture {
    /// Leaves out what there is no room for. Counts of owners, the sums of sockets and rows in which something moved stay.
    pub fn trim(&mut self, keep: &Keep) {
        self.trim_rows();
        self.trim_evidence(keep);
        self.steps = coarsen(std::mem::take(&mut self.steps), keep.step_ns);
        for delta in &mut self.tallies {
            // By which kernel programs held evidence back.
            delta.value.last_evidence_ns = [0; VERDICT_SLOTS];
        }
        let apart = self.trim_scans(keep);
        let owners = &self.owners;
        let suffered: BTreeSet<Group> = (self.tallies.iter())
            .filter_map(|delta| owners.get(self.names.get(&delta.key)?))
            .map(Group::of)
            .collect();
        let wanted = |group: &Group| apart.contains(group) || suffered.contains(group);
        self.contexts.retain(|group, _| wanted(group));
        self.memory_stats.retain(|group, _| apart.contains(group));
        let moved: BTreeSet<u32> = self.rows.iter().map(|row| row.netns_inum).collect();
        self.residents.retain(|(inum, _)| moved.contains(inum));
        self.forget();
        self.header.records = self.count();
    }

    /// Leaves out rows in which nothing moved.
    fn trim_rows(&mut self) {
        let mut left = self.header.at_rest;
        let still = |count: Option<u64>| count.is_none_or(|count| count == 0);
        let (mut agreed, mut unknown) = (0, 0);
        self.rows.retain(|row: &Row| {
            let seen = row.state != RowState::Gone && row.kernel.is_some();
            if !still(row.kernel) || !still(row.attributed) || row.bound.unwrap_or(0) > 0 {
                return true;
            }
            match (seen, row.state) {
                (true, _) => agreed += 1,
                (false, RowState::Gone) => unknown += 1,
                // A counter that the kernel did not tell is no counter at rest.
                (false, _) => return true,
            }
            false
        });
        left.agreed = left.agreed.max(agreed);
        left.unknown = left.unknown.saturating_add(unknown);
        self.header.at_rest = left;
    }

    fn trim_evidence(&mut self, keep: &Keep) {
        let left = &mut self.header.left_out;
        let mut dropped = |kept: usize, all: usize, to: fn(&mut super::LeftOut) -> &mut u64| {
            let to = to(left);
            *to = to.saturating_add(all.saturating_sub(kept) as u64);
        };
        let all = self.events.len();
        let sample: Vec<_> = evidence::sample(&self.events, keep.events)
            .into_iter()
            .copied()
            .collect();
        dropped(sample.len(), all, |left| &mut left.events);
        self.events = sample;

        let all = self.socket_states.len();
        let weight = |state: &SocketState| {
            let verdicts = state.verdicts.iter().chain(&state.counts).copied();
            verdicts.fold(state.prunes, u64::saturating_add)
        };
        self.socket_states
            .sort_by_key(|(cookie, state)| (Reverse(weight(state)), *cookie));
        let mut of_key: HashMap<TallyKey, usize> = HashMap::new();
        self.socket_states.retain(|(_, state)| {
            let of_key = of_key.entry(state.owner).or_default();
            *of_key += 1;
            *of_key <= MAX_TOP
        });
        self.socket_states.truncate(keep.socket_states);
        dropped(self.socket_states.len(), all, |left| {
            &mut left.socket_states
        });

        let all = self.timeline.len();
        self.timeline.truncate(keep.moments);
        dropped(self.timeline.len(), all, |left| &mut left.moments);

        let all = self.orphans.len();
        thin(&mut self.orphans, keep.moments);
        dropped(self.orphans.len(), all, |left| &mut left.orphans);
    }

    /// The number of an owner, a new one where it has none.
    pub(super) fn number_of(&mut self, owner: Owner) -> u32 {
        let known = self.owners.iter().find(|(_, known)| **known == owner);
        if let Some((number, _)) = known {
            return *number;
        }
        let next = free_number(&self.owners);
        self.owners.insert(next, owner);
        next
    }

    /// Forgets names, owners and descriptors that nothing means any more.
    fn forget(&mut self) {
        let mut ids: HashSet<u64> = self.memcgs.iter().map(|pressed| pressed.id).collect();
        ids.extend(self.keys().flat_map(|key| [key.cgroup_id, key.memcg_id]));
        ids.extend(self.events.iter().map(|event| event.compared.memcg_id));
        self.names
            .retain(|key, _| ids.contains(&key.cgroup_id) || ids.contains(&key.memcg_id));
        let mut used: HashSet<u32> = self.names.values().copied().collect();
        used.extend(self.residents.iter().map(|(_, number)| number));
        used.extend(self.socket_owners.values());
        self.owners.retain(|number, _| used.contains(number));
        let inodes: HashSet<u32> = (self.scans.values().flat_map(Scan::shown))
            .map(|socket| socket.inode)
            .collect();
        self.descriptors.retain(|inode, _| inodes.contains(inode));
    }
}

/// Keeps so many of a list at most, the last of them, and the others evenly spread.
fn thin<T>(list: &mut Vec<T>, most: usize) {
    let all = list.len();
    if all <= most {
        return;
    }
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        // The last one that falls into each of `most` equal parts.
        at * most / all > (at - 1) * most / all
    });
}

#[cfg(test)]
#[path = "trim_tests.rs"]
mod tests;
