//! Makes one capture of two: of a window and one that follows. Counts are added up; what is of one moment is that of the later.

mod boots;
mod clock;
mod header;
mod rows;
mod sockets;
pub(super) mod sums;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
};

use tracer_common::TallyKey;

use super::{Capture, Moment, contents::kin, left_out::Rest};
use crate::{
    aggregate::steps::{self, Step, coarsen},
    attribute::{Owner, OwnerKind},
    holders::Scan,
    indicators::TcpMemory,
};

/// Most steps of a joined window: ten minutes, second by second.
pub(super) const MAX_STEPS: usize = 660;
/// Most sampled failures, and most sockets to which something happened.
const MAX_SAMPLES: usize = 4096;
/// Most changes of the node's state, and most readings of orphans.
const MAX_MOMENTS: usize = 4096;
/// Most gaps in words.
const MAX_GAPS: usize = 200;

impl Capture {
    /// Adds the window that follows, of this run of the machine or a later one. What was not watched in between is told, and so is
    /// where clocks were set.
    pub fn join(&mut self, mut later: Self) {
        let boots = (&self.header.node.boot_id, &later.header.node.boot_id);
        let anew = matches!(boots, (Some(one), Some(other)) if one != other);
        if anew {
            self.set_apart(&later);
        }
        let between = self.between(&later, anew);
        self.one_clock(&mut later);
        self.join_steps(&mut later, between);
        self.join_scans(&mut later);
        self.join_owners(&mut later);
        self.tallies = sums::tallies(mem::take(&mut self.tallies), mem::take(&mut later.tallies));
        rows::join(&mut self.rows, mem::take(&mut later.rows), anew);
        self.memcgs = sums::memcgs(mem::take(&mut self.memcgs), mem::take(&mut later.memcgs));
        self.memory_stats = mem::take(&mut later.memory_stats);
        self.contexts.append(&mut later.contexts);
        self.descriptors.append(&mut later.descriptors);
        let left = &mut self.header.left_out;
        left.add(later.header.left_out);
        append(
            &mut self.timeline,
            later.timeline,
            MAX_MOMENTS,
            &mut left.moments,
        );
        append(
            &mut self.orphans,
            later.orphans,
            MAX_MOMENTS,
            &mut left.orphans,
        );
        append(
            &mut self.events,
            later.events,
            MAX_SAMPLES,
            &mut left.events,
        );
        let lost = sockets::join(&mut self.socket_states, later.socket_states, MAX_SAMPLES);
        left.socket_states = left.socket_states.saturating_add(lost);
        let mut gaps = later.gaps;
        gaps.retain(|gap| !self.gaps.contains(gap));
        append(&mut self.gaps, gaps, MAX_GAPS, &mut left.gaps);
        self.damage = match (self.damage.take(), later.damage) {
            (Some(one), Some(other)) if one != other => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        self.header.join(later.header, between);
        self.header.records = self.count();
    }

    /// One course after the other. What no look within the earlier window saw belongs to its end.
    fn join_steps(&mut self, later: &mut Self, between: u64) {
        let end_ns = self.header.window.duration_ns;
        self.steps.retain(|step| step.end_ns < end_ns);
        let mut unseen: BTreeMap<TallyKey, u64> = BTreeMap::new();
        for delta in &self.tallies {
            let sum = unseen.entry(delta.key).or_default();
            *sum = sum.saturating_add(steps::refused(&delta.value));
        }
        for (key, seen) in self.steps.iter().flat_map(|step| &step.refused) {
            if let Some(sum) = unseen.get_mut(key) {
                *sum = sum.saturating_sub(*seen);
            }
        }
        unseen.retain(|_, count| *count > 0);
        let last = Step {
            end_ns,
            sockstat_pages: self.header.memory_end.sockstat_pages,
            refused: unseen.into_iter().collect(),
        };
        let ends = |back: usize| {
            let at = self.steps.len().checked_sub(back);
            at.and_then(|at| self.steps.get(at))
                .map_or(0, |step| step.end_ns)
        };
        // A sliver after the last look is no step of its own.
        let (before, looked) = (ends(2), ends(1));
        match self.steps.last_mut() {
            Some(step) if (end_ns - looked) * 2 < looked - before => step.join(last),
            _ if end_ns > 0 => self.steps.push(last),
            _ => {}
        }
        if between > 0 {
            self.steps.push(Step {
                end_ns: end_ns.saturating_add(between),
                ..Step::default()
            });
        }
        let since = end_ns.saturating_add(between);
        let within = later.header.window.duration_ns;
        let looks = mem::take(&mut later.steps).into_iter();
        let looks = looks.filter(|step| step.end_ns < within);
        self.steps.extend(looks.map(|step| Step {
            end_ns: since.saturating_add(step.end_ns),
            ..step
        }));
        let whole = since.saturating_add(within);
        let mut width = whole / MAX_STEPS as u64 + 1;
        while self.steps.len() > MAX_STEPS {
            width = width.saturating_mul(2);
            self.steps = coarsen(mem::take(&mut self.steps), width);
        }
    }

    /// The first look, the last one, and that of all between them which found most.
    fn join_scans(&mut self, later: &mut Self) {
        // What the numbers of sockets mean goes with them.
        self.renumber(later);
        let mut looks: Vec<(Scan, TcpMemory, Option<Rest>)> = Vec::new();
        let mut take = |capture: &mut Self, moment, memory: Option<TcpMemory>| {
            let scan = capture.scans.remove(&moment);
            let rest = capture.rests.remove(&moment);
            looks.extend(scan.zip(memory).map(|(scan, memory)| (scan, memory, rest)));
        };
        let peak = self.header.memory_peak;
        take(self, Moment::Peak, peak);
        let end = self.header.memory_end;
        take(self, Moment::End, Some(end));
        let (start, peak) = (later.header.memory_start, later.header.memory_peak);
        take(later, Moment::Start, Some(start));
        take(later, Moment::Peak, peak);
        let held = |look: &(Scan, TcpMemory, Option<Rest>)| look.0.total().held;
        // Of equal ones the later, which is nearer to the end.
        if let Some((scan, memory, rest)) = looks.into_iter().max_by_key(held) {
            self.scans.insert(Moment::Peak, scan);
            self.header.memory_peak = Some(memory);
            self.rests.extend(rest.map(|rest| (Moment::Peak, rest)));
        } else {
            self.header.memory_peak = None;
        }
        self.scans
            .extend(later.scans.remove(&Moment::End).map(|it| (Moment::End, it)));
        self.rests
            .extend(later.rests.remove(&Moment::End).map(|it| (Moment::End, it)));
    }

    /// Gives the owners of the later capture numbers of this one.
    fn renumber(&mut self, later: &mut Self) {
        let mut known: BTreeMap<Owner, u32> = BTreeMap::new();
        for (number, owner) in &self.owners {
            known.entry(owner.clone()).or_insert(*number);
        }
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        for (number, owner) in mem::take(&mut later.owners) {
            let to = *known.entry(owner.clone()).or_insert_with(|| {
                let next = free_number(&self.owners);
                self.owners.insert(next, owner);
                next
            });
            numbers.insert(number, to);
        }
        // A number whose owner is lost means nobody here either.
        let to = |number: u32| numbers.get(&number).copied().unwrap_or(u32::MAX);
        later
            .names
            .values_mut()
            .for_each(|number| *number = to(*number));
        let owners = later.socket_owners.values_mut();
        owners.for_each(|number| *number = to(*number));
        let residents = mem::take(&mut later.residents).into_iter();
        later.residents = residents.map(|(inum, number)| (inum, to(number))).collect();
    }

    /// Names of both; what one of them knows is known.
    fn join_owners(&mut self, later: &mut Self) {
        let nameless = |number: u32| {
            let owner = self.owners.get(&number);
            owner.is_none_or(|owner| owner.kind == OwnerKind::Unknown)
        };
        for (key, number) in mem::take(&mut later.names) {
            match self.names.entry(key) {
                Entry::Occupied(mut known) if !nameless(number) => drop(known.insert(number)),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => drop(place.insert(number)),
            }
        }
        for (kin, number) in mem::take(&mut later.socket_owners) {
            let known = self.socket_owners.entry(kin).or_insert(number);
            if !nameless(number) {
                *known = number;
            }
        }
        self.residents.append(&mut later.residents);
        // Those of looks that are not kept any more.
        let kept: std::collections::HashSet<_> = (self.scans.values())
            .flat_map(|scan| scan.examples().chain(scan.shown()))
            .map(kin)
            .collect();
        self.socket_owners.retain(|kin, _| kept.contains(kin));
    }
}

/// A number that no owner has.
pub(super) fn free_number(owners: &BTreeMap<u32, Owner>) -> u32 {
    let last = owners.last_key_value().map(|(last, _)| *last);
    last.map_or(Some(0), |last| last.checked_add(1))
        .or_else(|| (0..u32::MAX).find(|number| !owners.contains_key(number)))
        .unwrap_or(u32::MAX)
}

/// Appends as much as there is room for; what is left out is counted.
fn append<T>(to: &mut Vec<T>, from: Vec<T>, most: usize, left: &mut u64) {
    let room = most.saturating_sub(to.len());
    *left = left.saturating_add(from.len().saturating_sub(room) as u64);
    to.extend(from.into_iter().take(room));
}

#[cfg(test)]
mod tests;
