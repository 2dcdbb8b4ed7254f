//! Waiting for disks.

use super::{Ruled, STALLED, held_up, looked, of_threads, say, stalled};
use crate::{
    output::size,
    report::context::{Io, Psi, Ruling, Threads, Wait},
};

/// Below this part of the time stalled, whoever sleeps uninterruptibly sleeps for something else.
const CALM: f64 = 0.01;

/// Whether uninterruptible sleep is none for a disk: the kernel does not tell where, and counts next to no stall of the cgroup
/// for IO. So sleeps on old kernels who is over `memory.high`.
fn sleeps_elsewhere(io: &Io, threads: &Threads) -> bool {
    let mut disks = threads.waits.iter().filter(|wait| wait.kind == Wait::Disk);
    let own = io.psi.as_ref().and_then(Psi::some);
    disks.all(|wait| wait.wait_channel.is_none()) && own.is_some_and(|share| share < CALM)
}

pub(super) fn rule(io: &Io, threads: &Threads) -> Ruled {
    let stall = stalled(io.psi.as_ref(), io.node_psi.as_ref());
    let blocked = held_up(threads, Wait::Disk) && !sleeps_elsewhere(io, threads);
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
