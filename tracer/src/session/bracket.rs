//! Reads the kernel's counters and ours so that they can be compared. No instant exists at which both
//! stand still, so ours are read before and after the kernel's: a namespace whose tallies did not move in
//! between, with no call in flight, is settled; the others are read again, and what never settles
//! carries how far it may be off.

use std::{collections::BTreeSet, path::Path, thread, time::Duration};

use aya::maps::MapError;
use tracer_common::TallyKey;

use super::survey::snapshot;
use crate::{
    aggregate::{self, Tallies},
    indicators::{
        Counter,
        netns::{self, Netns},
        readings,
        rows::{Snapshot, TOGETHER},
    },
    probe::{Reading, Tracer},
};

/// The kernel's counters and ours, as near to one instant as can be.
#[derive(Clone, Debug, Default)]
pub struct Bracket {
    /// The kernel's.
    pub counts: Snapshot,
    /// Ours, each namespace's as of the moment when it settled.
    pub tallies: Tallies,
    /// The network namespaces that were read, each with its cookie where that is known.
    pub namespaces: Vec<(Netns, Option<u64>)>,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
}

/// Readings at either end of a run, where what does not settle is told with a bound.
pub(super) const PATIENT: u32 = 25;
/// Readings between two windows, where the next one makes up for what has not settled.
pub(super) const BRIEF: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads until every namespace has settled, or as often as it may.
///
/// # Errors
/// When the kernel refuses to have a map read.
pub fn bracket(tracer: &Tracer, proc: &Path, attempts: u32) -> Result<Bracket, MapError> {
    let mut settled = Bracket::default();
    let mut before = tracer.read()?;
    for attempt in 1..=attempts {
        let listing = netns::list(proc);
        let open = listing.namespaces.iter();
        let open = open.filter(|netns| !settled.counts.contains_key(&netns.inum));
        let read = readings::read(proc, &open.cloned().collect::<Vec<_>>());
        let after = tracer.read()?;
        let listed = listing.namespaces.iter().map(|netns| netns.inum).collect();
        settled.gaps = listing.gaps;
        settled.gaps.extend(read.gaps);
        let now = Ours {
            before: &before,
            after: &after,
        };
        if settled.take(read.readings, &listed, &now, attempt == attempts) {
            break;
        }
        before = after;
        thread::sleep(PAUSE);
    }
    Ok(settled)
}

/// Our counts before and after the kernel's were read.
struct Ours<'a> {
    before: &'a Reading,
    after: &'a Reading,
}

impl Bracket {
    /// Takes what has settled, or everything at last; whether nothing is left to be read again. `listed` are the namespaces that
    /// there are, also those that had settled before.
    fn take(
        &mut self,
        read: Vec<readings::NetnsReading>,
        listed: &BTreeSet<u32>,
        ours: &Ours<'_>,
        last: bool,
    ) -> bool {
        let mut moving = false;
        for reading in read {
            let inum = reading.netns.inum;
            let quiet = ours.after.in_flight == 0 && ours.same(inum);
            if !quiet && !last {
                moving = true;
                continue;
            }
            self.namespaces
                .push((reading.netns.clone(), reading.cookie));
            let mut counts = snapshot(vec![reading]);
            if let Some(counts) = counts.get_mut(&inum).filter(|_| !quiet) {
                counts.bounds = ours.bounds(inum);
            }
            self.counts.append(&mut counts);
            self.tallies.extend(of_netns(&ours.after.tallies, inum));
        }
        // Whoever counts and was not listed may have been born after the listing: its own counters are not read yet.
        let unseen: Vec<TallyKey> = ours
            .after
            .tallies
            .keys()
            .filter(|key| !self.counts.contains_key(&key.netns_inum))
            .copied()
            .collect();
        let newborn = |key: &TallyKey| {
            let inum = key.netns_inum;
            inum != TOGETHER && !listed.contains(&inum) && !ours.same(inum)
        };
        if !last && (moving || unseen.iter().any(newborn)) {
            return false;
        }
        // What belongs to no namespace that can be seen: gone, or the last bucket.
        let of_nobody = unseen
            .into_iter()
            .map(|key| (key, ours.after.tallies[&key]));
        self.tallies.extend(of_nobody);
        true
    }
}

impl Ours<'_> {
    fn same(&self, inum: u32) -> bool {
        of_netns(&self.before.tallies, inum) == of_netns(&self.after.tallies, inum)
    }

    /// How far ours moved while the kernel's were read, and one for each call in flight.
    fn bounds(&self, inum: u32) -> [u64; Counter::ALL.len()] {
        let moved = aggregate::deltas(
            &of_netns(&self.before.tallies, inum),
            &of_netns(&self.after.tallies, inum),
        );
        Counter::ALL.map(|counter| {
            let sum: u64 = moved
                .iter()
                .map(|delta| aggregate::attributed(&delta.value, counter))
                .sum();
            sum + self.after.in_flight
        })
    }
}

pub(super) fn of_netns(tallies: &Tallies, inum: u32) -> Tallies {
    let own = |key: &TallyKey| key.netns_inum == inum;
    tallies
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(&key, &value)| (key, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use tracer_common::TallyValue;

    use super::*;
    use crate::indicators::{Netstat, readings::NetnsReading};

    fn reading(inum: u32, prunes: u64) -> NetnsReading {
        NetnsReading {
            netns: Netns {
                inum,
                name: None,
                pid: Some(1),
                paths: Vec::new(),
            },
            cookie: Some(u64::from(inum)),
            netstat: Netstat::parse(&format!("TcpExt: PruneCalled\nTcpExt: {prunes}\n")),
        }
    }

    fn ours(counts: &[(u32, u64)], in_flight: u64) -> Reading {
        let tally = |&(inum, prunes): &(u32, u64)| {
            let key = TallyKey {
                netns_inum: inum,
                netns_cookie: u64::from(inum),
                ..TallyKey::default()
            };
            let value = TallyValue {
                prunes: [prunes, 0, 0, 0, 0, 0],
                ..TallyValue::ZERO
            };
            (key, value)
        };
        Reading {
            tallies: counts.iter().map(tally).collect(),
            in_flight,
        }
    }

    fn take(
        bracket: &mut Bracket,
        read: &[(u32, u64)],
        listed: &[u32],
        (before, after): (&Reading, &Reading),
        last: bool,
    ) -> bool {
        let read = read.iter().map(|&(inum, prunes)| reading(inum, prunes));
        let listed = listed.iter().copied().collect();
        bracket.take(read.collect(), &listed, &Ours { before, after }, last)
    }

    fn prunes(bracket: &Bracket, inum: u32) -> (Option<u64>, u64, u64) {
        let counts = bracket.counts.get(&inum);
        let kernel = counts.and_then(|it| it.netstat.counter(Counter::PruneCalled));
        let index = Counter::ALL
            .iter()
            .position(|it| *it == Counter::PruneCalled);
        let of = of_netns(&bracket.tallies, inum);
        (
            kernel,
            of.values().map(|value| value.prunes[0]).sum(),
            counts.map_or(0, |it| it.bounds[index.unwrap()]),
        )
    }

    #[test]
    fn each_namespace_is_taken_when_it_has_settled() {
        let mut bracket = Bracket::default();
        let (first, second) = (ours(&[(5, 1), (6, 1)], 0), ours(&[(5, 1), (6, 3)], 0));
        let read = [(5, 1), (6, 2)];
        assert!(!take(
            &mut bracket,
            &read,
            &[5, 6],
            (&first, &second),
            false
        ));
        assert_eq!(prunes(&bracket, 5), (Some(1), 1, 0));
        assert_eq!(prunes(&bracket, 6), (None, 0, 0));
        // What the settled one counts from now on is of the next window.
        let third = ours(&[(5, 9), (6, 3)], 0);
        assert!(take(
            &mut bracket,
            &[(6, 3)],
            &[5, 6],
            (&third, &third),
            false
        ));
        assert_eq!(prunes(&bracket, 5), (Some(1), 1, 0));
        assert_eq!(prunes(&bracket, 6), (Some(3), 3, 0));
        assert_eq!(bracket.namespaces.len(), 2);
    }

    #[test]
    fn what_never_settles_carries_how_far_it_may_be_off() {
        let mut bracket = Bracket::default();
        let (before, after) = (ours(&[(5, 1)], 0), ours(&[(5, 4)], 2));
        assert!(take(&mut bracket, &[(5, 3)], &[5], (&before, &after), true));
        assert_eq!(prunes(&bracket, 5), (Some(3), 4, 3 + 2));
    }

    #[test]
    fn one_born_after_the_listing_is_waited_for_and_the_dead_are_not() {
        let mut bracket = Bracket::default();
        let (before, after) = (ours(&[(7, 3)], 0), ours(&[(7, 3), (8, 2)], 0));
        assert!(!take(&mut bracket, &[], &[], (&before, &after), false));
        assert!(take(&mut bracket, &[(8, 2)], &[8], (&after, &after), false));
        assert_eq!(prunes(&bracket, 8), (Some(2), 2, 0));
        assert_eq!(prunes(&bracket, 7), (None, 3, 0));
        // The last bucket is of no namespace, so no listing will show it.
        let (before, after) = (ours(&[(TOGETHER, 1)], 0), ours(&[(TOGETHER, 2)], 0));
        let mut bracket = Bracket::default();
        assert!(take(&mut bracket, &[], &[], (&before, &after), false));
        assert_eq!(prunes(&bracket, TOGETHER).1, 2);
    }
}
