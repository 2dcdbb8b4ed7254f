//! Waiting for disks.

use super::{Ruled, STALLED, held_up, looked, of_threads, say, stalled};
use crate::{
    output::size,
    report::context::{Io, Ruling, Threads, Wait},
};

pub(super) fn rule(io: &Io, threads: &Threads) -> Ruled {
    let stall = stalled(io.psi.as_ref(), io.node_psi.as_ref());
    let blocked = held_up(threads, Wait::Disk);
    let share = stall.as_ref().map(|(share, _)| *share);
    let finding = match share {
        _ if blocked => Ruling::Confirmed,
        Some(share) if share >= STALLED => Ruling::Confirmed,
        Some(_) => Ruling::RuledOut,
        None => Ruling::NotKnown,
    };
    let mut figures: Vec<String> = stall.into_iter().map(|(_, words)| words).collect();
    if looked(threads) {
        figures.push(match threads.mostly(Wait::Disk) {
            0 => format!(
                "a disk in {} of {} looks at threads",
                threads.samples_of(Wait::Disk),
                threads.samples
            ),
            some => format!(
                "{} in uninterruptible sleep{}",
                of_threads(some, threads),
                super::channel(threads, Wait::Disk)
            ),
        });
    }
    if let Some(delay) = io.block_delay_ns.filter(|ns| *ns > 0) {
        figures.push(format!("{} on block devices", size::nanos(delay)));
    }
    say(finding, "IO", &figures)
}
