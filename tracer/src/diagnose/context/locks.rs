//! Waiting for another thread.

use super::{Ruled, channel, looked, of_threads, say};
use crate::sums::SaturatingSum as _;
use crate::{
    output::size,
    report::context::{Locks, Ruling, Threads, Wait},
};

/// What a thread may do for another reason than that all wait for each other.
const OTHERWISE: [Wait; 7] = [
    Wait::Running,
    Wait::Receive,
    Wait::Send,
    Wait::Disk,
    Wait::Memory,
    Wait::Sleep,
    Wait::Stopped,
];

pub(super) fn rule(locks: &Locks, threads: &Threads) -> Ruled {
    if !looked(threads) {
        let why = "its threads were not looked at often enough".to_owned();
        return say(Ruling::NotKnown, "locks", &[why]);
    }
    let (stuck, receiving) = (
        locks.stuck_threads.unwrap_or(0),
        threads.mostly(Wait::Receive),
    );
    if stuck > 0 {
        let kind = match threads.mostly(Wait::Lock) {
            0 => Wait::KernelLock,
            _ => Wait::Lock,
        };
        let figure = format!(
            "{} at one and the same lock{}, time after time",
            of_threads(stuck, threads),
            channel(threads, kind)
        );
        if receiving == 0 {
            return say(Ruling::Confirmed, "locks", &[figure]);
        }
        let others = format!("and {receiving} ready to receive: which of them reads is not known");
        return say(Ruling::NotKnown, "locks", &[figure, others]);
    }
    // A thread that did no thing half of the time is not stuck either.
    let settled = |kinds: &[Wait]| {
        kinds
            .iter()
            .map(|kind| threads.mostly(*kind))
            .saturating_sum()
    };
    let still = settled(&[Wait::Futex, Wait::Join]);
    if threads.mostly(Wait::Futex) > 0 && settled(&OTHERWISE) == 0 && still == threads.threads {
        let figure = format!(
            "all of its {} threads in futexes{}, for a lock or a condition that does not come",
            threads.threads,
            channel(threads, Wait::Futex)
        );
        return say(Ruling::Confirmed, "locks", &[figure]);
    }
    let figure = format!(
        "at one in {} of {} looks at {}",
        locks.lock_samples.unwrap_or(0),
        threads.samples,
        size::count(threads.threads, "thread")
    );
    say(Ruling::RuledOut, "locks", &[figure])
}
