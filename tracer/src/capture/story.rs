//! The story of an incident: windows in a row. It may last for days, and pods may come and go all the while: what is kept singly has a bound, and
//! whoever goes beyond it goes into a sum.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use tracer_common::{TallyKey, TallyValue, tally::OVERFLOW_ID};

use super::{Capture, Keep, join::sums};
use crate::{
    aggregate::steps,
    attribute::{Owner, OwnerKind},
    indicators::{Row, RowState, memcg::Pressed, rows::TOGETHER},
};

/// Most keys of owners that suffer, most memory cgroups under pressure, and most network namespaces that are gone.
const MOST: usize = 64;
/// No cgroup has this id (they are counted up from 1), and no owner is lost that has it.
const OTHERS_ID: u64 = OVERFLOW_ID - 1;
/// The key of the sum of all others.
pub(super) const OTHERS: TallyKey = TallyKey {
    cgroup_id: OTHERS_ID,
    memcg_id: OTHERS_ID,
    netns_cookie: 0,
    netns_inum: TOGETHER,
    reserved: 0,
};

impl Capture {
    /// Goes on with the window that comes next. However many come, what is kept singly is what one incident may take.
    pub fn extend(&mut self, mut window: Capture) {
        let now = Now::of(&window);
        window.trim(&Keep::SECONDS);
        self.join(window);
        self.sum_others(&now);
        self.leave_rows(&now);
        self.leave_memcgs(&now);
        self.trim(&Keep::INCIDENT);
    }

    /// Makes one sum of the counts of those that there is no room for.
    fn sum_others(&mut self, now: &Now) {
        let counted = self.tallies.iter().filter(|delta| delta.key != OTHERS);
        let weights = counted.map(|delta| (delta.key, weight(&delta.value)));
        let (singly, others) = chosen(weights, &now.keys);
        if others == 0 {
            return;
        }
        let left = &mut self.header.left_out;
        left.owners = left.owners.saturating_add(others);
        let number = self.number_of(Owner::of_kind(OwnerKind::Other));
        self.names.insert(OTHERS, number);
        for key in self.keys_mut().filter(|key| !singly.contains(key)) {
            *key = match key.cgroup_id {
                // Whose owner is lost is no other: that is told apart.
                OVERFLOW_ID => TallyKey {
                    netns_cookie: 0,
                    netns_inum: TOGETHER,
                    ..*key
                },
                _ => OTHERS,
            };
        }
        self.tallies = sums::tallies(std::mem::take(&mut self.tallies), Vec::new());
        for step in &mut self.steps {
            step.sum_equal();
        }
    }

    /// Leaves out rows of network namespaces that are gone. One whose counts and the kernel's differ stays.
    fn leave_rows(&mut self, now: &Now) {
        // Where no counter was read, it is not known who is gone.
        if now.netns.is_empty() {
            return;
        }
        let mut moved: BTreeMap<u32, u64> = BTreeMap::new();
        for row in &self.rows {
            let sum = moved.entry(row.netns_inum).or_default();
            *sum = sum.saturating_add(row.kernel.max(row.attributed).unwrap_or(0));
        }
        moved.retain(|inum, _| *inum != TOGETHER && !now.netns.contains(inum));
        let (singly, _) = chosen(moved.clone().into_iter(), &BTreeSet::new());
        let goes = |row: &Row| {
            let gone = moved.contains_key(&row.netns_inum) && !singly.contains(&row.netns_inum);
            gone && row.residual().is_none_or(|residual| residual == 0)
        };
        let (at_rest, left) = (&mut self.header.at_rest, &mut self.header.left_out);
        self.rows.retain(|row| {
            if !goes(row) {
                return true;
            }
            left.rows = left.rows.saturating_add(1);
            if row.residual().is_none() {
                at_rest.unknown = at_rest.unknown.saturating_add(1);
            }
            false
        });
    }

    /// Leaves out memory cgroups that were less under pressure.
    fn leave_memcgs(&mut self, now: &Now) {
        let weights = self
            .memcgs
            .iter()
            .map(|pressed| (pressed.id, told(pressed)));
        let (singly, others) = chosen(weights, &now.memcgs);
        self.memcgs.retain(|pressed| singly.contains(&pressed.id));
        let left = &mut self.header.left_out;
        left.memcgs = left.memcgs.saturating_add(others);
    }
}

/// Whom the window told of that came last.
struct Now {
    keys: BTreeSet<TallyKey>,
    memcgs: BTreeSet<u64>,
    /// Network namespaces that were there at its end.
    netns: BTreeSet<u32>,
}

impl Now {
    fn of(window: &Capture) -> Self {
        let living = window.rows.iter().filter(|row| row.state != RowState::Gone);
        Self {
            keys: window.tallies.iter().map(|delta| delta.key).collect(),
            memcgs: window.memcgs.iter().map(|pressed| pressed.id).collect(),
            netns: living.map(|row| row.netns_inum).collect(),
        }
    }
}

/// Whom there is room for, and how many there are beside them. One half of the room is for those who weigh most; in the other one those of now come
/// first, or whoever came late would never be among them.
fn chosen<T: Copy + Ord>(
    weights: impl Iterator<Item = (T, u64)>,
    now: &BTreeSet<T>,
) -> (BTreeSet<T>, u64) {
    let mut all: Vec<(T, u64)> = weights.collect();
    all.sort_by_key(|(one, weight)| (Reverse(*weight), *one));
    let half = all.len().min(MOST / 2);
    all[half..].sort_by_key(|(one, weight)| (!now.contains(one), Reverse(*weight), *one));
    let others = all.len().saturating_sub(MOST) as u64;
    let singly = all.into_iter().take(MOST).map(|(one, _)| one);
    (singly.collect(), others)
}

/// How much an owner suffered: what was refused, and prunes.
pub(super) fn weight(value: &TallyValue) -> u64 {
    let prunes = value.prunes.iter().copied();
    prunes.fold(steps::refused(value), u64::saturating_add)
}

/// How often a memory cgroup met a limit.
fn told(pressed: &Pressed) -> u64 {
    let events = pressed.events;
    let all = [
        events.high,
        events.max,
        events.oom,
        events.oom_kill,
        events.sock_throttled,
    ];
    let all = all.into_iter().flatten();
    all.fold(0, u64::saturating_add)
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
