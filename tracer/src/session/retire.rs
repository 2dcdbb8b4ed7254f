//! Tallies of the dead. Whose cgroups or whose network namespace are gone counts no more; in a long row of windows its entry must make room
//! for others.
//!
//! An entry is taken out of the map after its owner has been gone, and nothing has been added, for a while. A window tells what was added
//! since the last one, so what had been counted stays counted; should a late socket of the dead come to count again, its entry begins anew,
//! and that is what it has counted since. Only a program that found the entry in the instant before it was taken out, and adds to it after,
//! is not seen: after so long a time nobody does.
//!
//! The state of a socket goes with the socket, as soon as the window in which that ended has told it: nothing adds to it any more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use tracer_common::{SocketState, TallyKey, tally::OVERFLOW_ID};

use super::Watch;
use crate::aggregate::Tallies;

/// How long an owner must have been gone, and have counted nothing.
const GRACE: Duration = Duration::from_secs(600);
/// Entries of the dead that are watched.
const MAX_WATCHED: usize = 16 * 1024;

/// Entries whose owner is gone, each with the time since when nothing has been added.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    quiet: BTreeMap<TallyKey, Instant>,
}

impl Retiring {
    /// Which entries may go. `before` and `after` are two readings, `is_gone` says whose owner is.
    fn due(
        &mut self,
        before: &Tallies,
        after: &Tallies,
        is_gone: impl Fn(&TallyKey) -> bool,
        now: Instant,
    ) -> Vec<TallyKey> {
        let rests = |key: &TallyKey| {
            let shared = key.cgroup_id == OVERFLOW_ID || key.netns_inum == 0;
            !shared && before.get(key) == after.get(key) && is_gone(key)
        };
        self.quiet
            .retain(|key, _| after.contains_key(key) && rests(key));
        for key in after.keys().filter(|key| rests(key)) {
            if self.quiet.len() < MAX_WATCHED {
                self.quiet.entry(*key).or_insert(now);
            }
        }
        let due = |since: &Instant| now.saturating_duration_since(*since) >= GRACE;
        let due = self.quiet.iter().filter(|(_, since)| due(since));
        due.map(|(key, _)| *key).collect()
    }
}

impl Watch {
    /// Takes entries of the dead out of the map; how many. `before` are the tallies at the start of the window that has just ended.
    pub(super) fn retire(
        &mut self,
        before: &Tallies,
        namespaces: &BTreeMap<u32, Option<u64>>,
    ) -> usize {
        let Some(after) = self.base.counts.tallies.clone() else {
            return 0;
        };
        let living: BTreeSet<u64> = self.attributor.cgroups.living().map(|it| it.0).collect();
        let is_gone = |key: &TallyKey| is_gone(key, &living, namespaces);
        let due = self.retiring.due(before, &after, is_gone, Instant::now());
        let mut retired = 0;
        for key in due {
            if self.tracer.forget(&key, &after[&key]) {
                self.base.counts.tallies.iter_mut().for_each(|all| {
                    all.remove(&key);
                });
                self.ticked.remove(&key);
                self.retiring.quiet.remove(&key);
                retired += 1;
            }
        }
        retired
    }
}

/// Whether nobody is left who could count under a key: its network namespace is not there any more, or its cgroups are not. `living` are
/// cgroups, `namespaces` the numbers of network namespaces with the cookies that are known: a number is given anew.
fn is_gone(
    key: &TallyKey,
    living: &BTreeSet<u64>,
    namespaces: &BTreeMap<u32, Option<u64>>,
) -> bool {
    let another = |cookie: Option<u64>| {
        let cookie = cookie.unwrap_or(0);
        cookie != 0 && key.netns_cookie != 0 && cookie != key.netns_cookie
    };
    let namespace = namespaces.get(&key.netns_inum);
    if namespace.is_none_or(|cookie| another(*cookie)) {
        return true;
    }
    // The kernel's own sockets have no cgroup.
    let mut ids = [key.cgroup_id, key.memcg_id]
        .into_iter()
        .filter(|id| *id != 0)
        .peekable();
    ids.peek().is_some() && ids.all(|id| !living.contains(&id))
}

/// Sockets that are no more.
fn ended(sockets: &HashMap<u64, SocketState>) -> Vec<(u64, SocketState)> {
    let ended = sockets.iter().filter(|(_, state)| state.closed_ns != 0);
    ended.map(|(key, state)| (*key, *state)).collect()
}

impl Watch {
    /// Takes the states of sockets that are no more out of the map. The window that has just ended has told them.
    pub(super) fn retire_sockets(&mut self) {
        for (key, state) in ended(&self.base.state.sockets) {
            if self.tracer.forget_socket(key, &state) {
                self.base.state.sockets.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::TallyValue;

    use super::*;

    fn key(cgroup_id: u64) -> TallyKey {
        TallyKey {
            cgroup_id,
            netns_inum: 5,
            ..TallyKey::default()
        }
    }

    fn value(rcv_pruned: u64) -> TallyValue {
        TallyValue {
            rcv_pruned,
            ..TallyValue::ZERO
        }
    }

    #[test]
    fn only_the_dead_go_and_only_after_they_have_rested() {
        let overflow = key(0).overflow();
        let tallies = |late| {
            Tallies::from([
                (key(1), value(1)),
                (key(2), value(2)),
                (key(3), value(late)),
                (overflow, value(4)),
            ])
        };
        let is_gone = |key: &TallyKey| key.cgroup_id != 1;
        let begun = Instant::now();
        let mut retiring = Retiring::default();
        let mut due = |before, after, at: Duration| {
            retiring.due(&tallies(before), &tallies(after), is_gone, begun + at)
        };
        assert_eq!(due(3, 3, Duration::ZERO), []);
        assert_eq!(due(3, 3, GRACE - Duration::from_secs(1)), []);
        // A late count of the third, just before.
        assert_eq!(due(3, 4, GRACE), [key(2)]);
        assert_eq!(due(4, 4, GRACE + Duration::from_secs(1)), [key(2)]);
        assert_eq!(
            due(4, 4, GRACE * 2 + Duration::from_secs(1)),
            [key(2), key(3)]
        );
    }

    #[test]
    fn gone_is_whose_namespace_or_whose_cgroups_are() {
        let living = BTreeSet::from([1, 2]);
        let namespaces = BTreeMap::from([(5, Some(50)), (6, None)]);
        // (cgroup, memory cgroup, number and cookie of the namespace; is it gone?)
        for (cgroup_id, memcg_id, netns_inum, netns_cookie, gone) in [
            (1, 2, 5, 50, false),
            (1, 0, 5, 50, false),
            (0, 0, 5, 50, false),
            (3, 2, 5, 50, false),
            (3, 4, 5, 50, true),
            (3, 0, 5, 50, true),
            (0, 4, 5, 50, true),
            // Whoever lives does not count in a namespace that is gone, as on hosts with cgroup v1, where all have the same one.
            (1, 2, 7, 70, true),
            (0, 0, 7, 0, true),
            // Its number was given anew.
            (1, 2, 5, 51, true),
            // One of the two cookies is not known.
            (1, 2, 5, 0, false),
            (1, 2, 6, 60, false),
        ] {
            let key = TallyKey {
                cgroup_id,
                memcg_id,
                netns_cookie,
                netns_inum,
                reserved: 0,
            };
            assert_eq!(is_gone(&key, &living, &namespaces), gone, "{key:?}");
        }
    }

    #[test]
    fn sockets_go_when_they_have_ended() {
        let state = |closed_ns| SocketState {
            closed_ns,
            ..SocketState::ZERO
        };
        let sockets = HashMap::from([(1, state(0)), (2, state(7))]);
        assert_eq!(ended(&sockets), [(2, state(7))]);
    }

    #[test]
    fn one_that_is_found_to_live_begins_anew() {
        let tallies = Tallies::from([(key(2), value(2))]);
        let begun = Instant::now();
        let mut retiring = Retiring::default();
        let mut due = |gone, at| retiring.due(&tallies, &tallies, |_| gone, begun + at);
        assert_eq!(due(true, Duration::ZERO), []);
        assert_eq!(due(false, GRACE), []);
        assert_eq!(due(true, GRACE * 3 / 2), []);
        assert_eq!(due(true, GRACE * 2), []);
        assert_eq!(due(true, GRACE * 5 / 2), [key(2)]);
    }
}
