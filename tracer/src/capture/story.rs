//! The story of an incident: windows in a row. It may last for days, and pods may come and go all the while: what is kept singly has a bound, and
//! whoever goes beyond it goes into a sum.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    mem,
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

/// Most keys of which it is remembered that they are in the sum of all others, so that each is told once. Where there are as many, there may be more.
pub(super) const REMEMBERED: u64 = 4096;

/// The windows of an incident as one.
#[derive(Clone, Debug)]
pub struct Story {
    capture: Capture,
    /// Whose counts, or a part of them, are in the sum of all others.
    summed: BTreeSet<TallyKey>,
}

impl Story {
    /// Begins with the time before, up to the first window.
    #[must_use]
    pub fn begin(before: Capture) -> Self {
        let now = Now::of(&before);
        let mut story = Self {
            capture: before,
            summed: BTreeSet::new(),
        };
        story.bound(&now);
        story
    }

    /// Goes on with the window that comes next.
    pub fn extend(&mut self, mut window: Capture) {
        let now = Now::of(&window);
        window.trim(&Keep::SECONDS);
        self.capture.join(window);
        self.bound(&now);
    }

    /// All of it so far.
    #[must_use]
    pub const fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Owners whose counts, or a part of them, are in the sum of all others.
    #[must_use]
    pub fn summed(&self) -> u64 {
        self.summed.len() as u64
    }

    /// However many windows there were, what is kept singly is what one incident may take.
    fn bound(&mut self, now: &Now) {
        self.sum_others(now);
        self.leave_rows(now);
        self.leave_memcgs(now);
        self.capture.trim(&Keep::INCIDENT);
    }

    /// Makes one sum of the counts of those that there is no room for.
    fn sum_others(&mut self, now: &Now) {
        let capture = &mut self.capture;
        let counted = capture.tallies.iter();
        let counted = counted.filter(|delta| delta.key != sum_of(&delta.key));
        let weights = counted.map(|delta| (delta.key, weight(&delta.value)));
        let (singly, others) = chosen(weights, &now.keys);
        if others.is_empty() {
            return;
        }
        let number = capture.number_of(Owner::of_kind(OwnerKind::Other));
        capture.names.insert(OTHERS, number);
        for key in capture.keys_mut().filter(|key| !singly.contains(key)) {
            *key = sum_of(key);
        }
        capture.tallies = sums::tallies(mem::take(&mut capture.tallies), Vec::new());
        for step in &mut capture.steps {
            step.sum_equal();
        }
        for key in others.into_iter().filter(|key| sum_of(key) == OTHERS) {
            if self.summed() < REMEMBERED {
                self.summed.insert(key);
            }
        }
        self.capture.header.left_out.owners = self.summed();
    }

    /// Leaves out rows of network namespaces that are gone. One whose counts and the kernel's differ stays.
    fn leave_rows(&mut self, now: &Now) {
        // Where no counter was read, it is not known who is gone.
        if now.netns.is_empty() {
            return;
        }
        let capture = &mut self.capture;
        let mut gone: BTreeMap<u32, u64> = BTreeMap::new();
        for row in &capture.rows {
            let moved = gone.entry(row.netns_inum).or_default();
            *moved = moved.saturating_add(row.kernel.max(row.attributed).unwrap_or(0));
        }
        gone.retain(|inum, _| *inum != TOGETHER && !now.netns.contains(inum));
        let (_, others) = chosen(gone.into_iter(), &BTreeSet::new());
        let goes = |row: &Row| {
            let agrees = row.residual().is_none_or(|residual| residual == 0);
            agrees && others.contains(&row.netns_inum)
        };
        let (at_rest, left) = (&mut capture.header.at_rest, &mut capture.header.left_out);
        for row in capture.rows.extract_if(.., |row| goes(row)) {
            left.rows = left.rows.saturating_add(1);
            let unknown = u64::from(row.residual().is_none());
            at_rest.unknown = at_rest.unknown.saturating_add(unknown);
        }
    }

    /// Leaves out memory cgroups that were less under pressure.
    fn leave_memcgs(&mut self, now: &Now) {
        let capture = &mut self.capture;
        let weights = capture.memcgs.iter();
        let weights = weights.map(|pressed| (pressed.id, told(pressed)));
        let (_, others) = chosen(weights, &now.memcgs);
        capture.memcgs.retain(|it| !others.contains(&it.id));
        let left = &mut capture.header.left_out;
        left.memcgs = left.memcgs.saturating_add(others.len() as u64);
    }
}

/// Where the counts of a key go that there is no room for. Whose owner is lost is no other: that is told apart.
const fn sum_of(key: &TallyKey) -> TallyKey {
    match key.cgroup_id {
        OVERFLOW_ID => TallyKey {
            netns_cookie: 0,
            netns_inum: TOGETHER,
            ..key.overflow()
        },
        _ => OTHERS,
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

/// Whom there is room for, and all others. One half of the room is for those who weigh most; in the other one those of now come first, or whoever
/// came late would never be among them.
fn chosen<T: Copy + Ord>(
    weights: impl Iterator<Item = (T, u64)>,
    now: &BTreeSet<T>,
) -> (BTreeSet<T>, BTreeSet<T>) {
    let mut all: Vec<(T, u64)> = weights.collect();
    all.sort_by_key(|(one, weight)| (Reverse(*weight), *one));
    let half = all.len().min(MOST / 2);
    all[half..].sort_by_key(|(one, weight)| (!now.contains(one), Reverse(*weight), *one));
    let others = all.split_off(all.len().min(MOST));
    let names = |of: Vec<(T, u64)>| of.into_iter().map(|(one, _)| one).collect();
    (names(all), names(others))
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
