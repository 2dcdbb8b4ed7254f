//! Clocks that were set, and time that nobody watched.

use jiff::{SignedDuration, Timestamp};

use super::{Capture, MAX_GAPS};
use crate::{
    capture::Header,
    output::size,
    report::{CLOCK_SET, clock_set_words},
};

impl Header {
    /// The wall clock when `CLOCK_MONOTONIC` was 0, by what it said at the beginning and at the end.
    fn zeros(&self) -> [Timestamp; 2] {
        self.zeros.unwrap_or([self.monotonic_zero; 2])
    }
}

impl Capture {
    /// Time between the two windows by the monotonic clock, in nanoseconds; in words what lies there, among the gaps.
    pub(super) fn between(&mut self, later: &Self, anew: bool) -> u64 {
        let (one, other) = (&self.header, &later.header);
        let (end, start) = (one.window.end, other.window.start);
        let wall = start.duration_since(end);
        // Windows in a row share the moment between them; what the clock did since, the later one has told.
        let in_a_row = wall.is_zero();
        // By how much the clock was set, of which a machine that was started anew knows nothing.
        let set = match anew || in_a_row {
            true => SignedDuration::ZERO,
            false => other.zeros()[0].duration_since(one.zeros()[1]),
        };
        let time = |time: SignedDuration| size::nanos(nanos(time));
        let mut words = Vec::new();
        if anew {
            words.push(format!(
                "the machine was started anew between {end} and {start}"
            ));
        }
        if let Some(set) = clock_set_words(set, end, start) {
            words.push(set);
        } else if wall.is_negative() {
            words.push(format!("the clock went back from {end} to {start}"));
        }
        let unseen = wall.saturating_sub(set).max(SignedDuration::ZERO);
        if unseen >= CLOCK_SET {
            words.push(format!(
                "nothing was watched from {end} to {start} ({})",
                time(unseen)
            ));
        }
        if one.tcpress != other.tcpress {
            words.push(format!(
                "tcpress {} measured until {end}, {} from {start} on",
                crate::output::text::name(&one.tcpress),
                crate::output::text::name(&other.tcpress)
            ));
        }
        if one.node.kernel != other.node.kernel {
            words.push(format!(
                "the kernel was {} until {end}: node and plan are those of the later one",
                crate::output::text::name(&one.node.kernel)
            ));
        }
        if one.traced != other.traced {
            let (without, from, to) = match one.traced {
                true => (&other.window, start, other.window.end),
                false => (&one.window, one.window.start, end),
            };
            words.push(format!(
                "kernel programs did not count from {from} to {to} ({})",
                size::nanos(without.duration_ns)
            ));
        }
        let room = MAX_GAPS.saturating_sub(self.gaps.len());
        self.header.left_out.gaps += words.len().saturating_sub(room) as u64;
        words.truncate(room);
        self.gaps.extend(words);
        nanos(unseen)
    }

    /// Counts the time of kernel records from one zero, so that the wall clock of each stays what it was.
    pub(super) fn one_clock(&mut self, later: &mut Self) {
        let zeros = [self.header.zeros()[0], later.header.zeros()[1]];
        let zero = self.header.monotonic_zero.min(later.header.monotonic_zero);
        for capture in [&mut *self, later] {
            let by = nanos(capture.header.monotonic_zero.duration_since(zero));
            let shift = |at_ns: &mut u64| *at_ns = at_ns.saturating_add(by);
            capture.header.monotonic_zero = zero;
            capture
                .events
                .iter_mut()
                .for_each(|it| shift(&mut it.at_ns));
            capture
                .timeline
                .iter_mut()
                .for_each(|it| shift(&mut it.at_ns));
            for (_, state) in &mut capture.socket_states {
                // 0 is never.
                let times = [&mut state.last_ns, &mut state.closed_ns].into_iter();
                times.filter(|at_ns| **at_ns > 0).for_each(shift);
            }
        }
        self.header.zeros = (zeros != [zero; 2]).then_some(zeros);
    }
}

/// A time in nanoseconds; none that is negative.
fn nanos(time: SignedDuration) -> u64 {
    u64::try_from(time.as_nanos().max(0)).unwrap_or(u64::MAX)
}
