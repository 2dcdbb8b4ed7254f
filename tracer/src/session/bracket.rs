//! Reads the kernel's counters and ours so that they can be compared. No instant exists at which both
//! stand still, so ours are read before and after the kernel's: a namespace whose tallies did not move in
//! between, with no call in flight, is settled; the others are read again, and what never settles
//! carries how far it may be off.

use std::{path::Path, thread, time::Duration};

use aya::maps::MapError;
use tracer_common::TallyKey;

use super::survey::snapshot;
use crate::{
    aggregate::{self, Tallies},
    indicators::{Counter, readings, rows::Snapshot},
    probe::{Reading, Tracer},
};

/// The kernel's counters and ours, as near to one instant as can be.
#[derive(Clone, Debug, Default)]
pub struct Bracket {
    /// The kernel's.
    pub counts: Snapshot,
    /// Ours, each namespace's as of the moment when it settled.
    pub tallies: Tallies,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
}

const ATTEMPTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads until every namespace has settled, or patience ends.
///
/// # Errors
/// When the kernel refuses to have a map read.
pub fn bracket(tracer: &Tracer, proc: &Path) -> Result<Bracket, MapError> {
    let mut settled = Bracket::default();
    let mut before = tracer.read()?;
    for attempt in 1..=ATTEMPTS {
        let read = readings::read_all(proc);
        let after = tracer.read()?;
        let mut moving = false;
        for reading in read.readings {
            let inum = reading.netns.inum;
            if settled.counts.contains_key(&inum) {
                continue;
            }
            let quiet = after.in_flight == 0 && same(&before, &after, inum);
            if quiet || attempt == ATTEMPTS {
                let mut counts = snapshot(vec![reading]);
                if let Some(counts) = counts.get_mut(&inum).filter(|_| !quiet) {
                    counts.bounds = bounds(&before, &after, inum);
                }
                settled.counts.append(&mut counts);
                settled.tallies.extend(of_netns(&after.tallies, inum));
            } else {
                moving = true;
            }
        }
        settled.gaps = read.gaps;
        if !moving {
            // What belongs to no namespace that can be seen: gone, or the last bucket.
            let unseen = after
                .tallies
                .iter()
                .filter(|(key, _)| !settled.counts.contains_key(&key.netns_inum));
            settled
                .tallies
                .extend(unseen.map(|(&key, &value)| (key, value)));
            break;
        }
        before = after;
        thread::sleep(PAUSE);
    }
    Ok(settled)
}

fn of_netns(tallies: &Tallies, inum: u32) -> Tallies {
    let own = |key: &TallyKey| key.netns_inum == inum;
    tallies
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(&key, &value)| (key, value))
        .collect()
}

fn same(before: &Reading, after: &Reading, inum: u32) -> bool {
    of_netns(&before.tallies, inum) == of_netns(&after.tallies, inum)
}

/// How far ours moved while the kernel's were read, and one for each call in flight.
fn bounds(before: &Reading, after: &Reading, inum: u32) -> [u64; Counter::ALL.len()] {
    let moved = aggregate::deltas(
        &of_netns(&before.tallies, inum),
        &of_netns(&after.tallies, inum),
    );
    Counter::ALL.map(|counter| {
        let sum: u64 = moved
            .iter()
            .map(|delta| aggregate::attributed(&delta.value, counter))
            .sum();
        sum + after.in_flight
    })
}
