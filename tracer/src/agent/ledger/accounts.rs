//! Who has counters of its own. There is room for so many owners; the first that something happens to take it. Whoever has been
//! quiet for the grace period gives its room up to a newcomer when there is no other, the one that has been quiet longest first.
//! Where nobody has, the newcomer counts under `other` until there is room. So every count is in exactly one account, and an owner
//! that comes back goes on where it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Counts, OwnerLabels};

/// Most owners without room whose counts are remembered, so that they go on where they were: about 2 MiB.
pub const MAX_REMEMBERED: usize = 4096;

/// Counters by owner.
#[derive(Debug)]
pub(super) struct Accounts {
    room: usize,
    grace: Duration,
    shown: BTreeMap<Arc<OwnerLabels>, Account>,
    remembered: BTreeMap<Arc<OwnerLabels>, Account>,
    other: Counts,
    /// Times that a count found no room and went to `other`.
    pub(super) crowded: u64,
    /// Owners whose counts were forgotten.
    pub(super) forgotten: u64,
}

#[derive(Clone, Debug)]
struct Account {
    counts: Counts,
    /// When it last counted, since the agent began.
    counted: Duration,
    /// Since when nothing of it is seen any more.
    gone: Option<Duration>,
}

impl Accounts {
    pub(super) fn new(room: usize, grace: Duration) -> Self {
        Self {
            room,
            grace,
            shown: BTreeMap::new(),
            remembered: BTreeMap::new(),
            other: Counts::default(),
            crowded: 0,
            forgotten: 0,
        }
    }

    /// Takes other bounds. Where there is less room, those that were quiet longest give theirs up.
    pub(super) fn bound(&mut self, room: usize, grace: Duration) {
        (self.room, self.grace) = (room, grace);
        while self.shown.len() > room {
            self.hide(&self.quietest());
        }
    }

    /// Adds what happened to an owner.
    pub(super) fn add(&mut self, now: Duration, labels: OwnerLabels, by: impl Fn(&mut Counts)) {
        if !self.shown.contains_key(&labels) && !self.make_room(now) {
            by(&mut self.other);
            self.crowded += 1;
            return;
        }
        let (labels, known) = self.remembered.remove_entry(&labels).map_or_else(
            || (Arc::new(labels), None),
            |(key, known)| (key, Some(known)),
        );
        let account = self.shown.entry(labels).or_insert_with(|| {
            known.unwrap_or_else(|| Account {
                counts: Counts::default(),
                counted: now,
                gone: None,
            })
        });
        by(&mut account.counts);
        (account.counted, account.gone) = (now, None);
    }

    /// Whether there is room for one more, after somebody quiet has given way.
    fn make_room(&mut self, now: Duration) -> bool {
        if self.shown.len() < self.room {
            return true;
        }
        let quietest = self.quietest();
        let quiet = quietest
            .as_ref()
            .and_then(|labels| self.shown.get(labels))
            .is_some_and(|account| now.saturating_sub(account.counted) >= self.grace);
        if quiet {
            self.hide(&quietest);
        }
        quiet
    }

    fn quietest(&self) -> Option<Arc<OwnerLabels>> {
        let all = self.shown.iter();
        let quietest = all.min_by_key(|(_, account)| account.counted);
        quietest.map(|(labels, _)| Arc::clone(labels))
    }

    /// Takes the room of an owner away and remembers its counts.
    fn hide(&mut self, labels: &Option<Arc<OwnerLabels>>) {
        let hidden = labels.as_ref().and_then(|it| self.shown.remove_entry(it));
        self.remembered.extend(hidden);
        if self.remembered.len() > MAX_REMEMBERED {
            let all = self.remembered.iter();
            let oldest = all.min_by_key(|(_, account)| account.counted);
            let oldest = oldest.map(|(labels, _)| Arc::clone(labels));
            oldest.and_then(|labels| self.remembered.remove(&labels));
            self.forgotten += 1;
        }
    }

    /// Hears who lives. Whoever has been gone and quiet for the grace period is shown no more.
    pub(super) fn living(&mut self, now: Duration, living: &BTreeSet<OwnerLabels>) {
        for (labels, account) in &mut self.shown {
            account.gone = match labels.is_lasting() || living.contains(&**labels) {
                true => None,
                false => account.gone.or(Some(now)),
            };
        }
        // A count ends being gone, so whoever has been gone for so long has been quiet for so long.
        let past = |since: Duration| now.saturating_sub(since) >= self.grace;
        let all = self.shown.iter();
        let dropped = all.filter(|(_, account)| account.gone.is_some_and(past));
        let dropped: Vec<_> = dropped.map(|(labels, _)| Arc::clone(labels)).collect();
        for labels in dropped {
            self.hide(&Some(labels));
        }
    }

    /// The counters of everybody with room, and those of the rest if there are any.
    pub(super) fn all(&self) -> Vec<(Arc<OwnerLabels>, Counts)> {
        let shown = self.shown.iter();
        let shown = shown.map(|(labels, account)| (Arc::clone(labels), account.counts.clone()));
        let other = (!self.other.is_zero()).then(|| self.other.clone());
        let other = other.map(|counts| (Arc::new(OwnerLabels::other()), counts));
        shown.chain(other).collect()
    }

    /// How many owners are kept, with room or without.
    #[cfg(test)]
    pub(super) fn len(&self) -> [usize; 2] {
        [self.shown.len(), self.remembered.len()]
    }
}
