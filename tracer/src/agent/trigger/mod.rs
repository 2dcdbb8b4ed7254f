//! When an incident begins and when it is over. Fed once a second with what has happened; it reads no clock. Pure.
//!
//! What raises it must hold for a while, and what ends it must hold for longer and lie lower, so that a figure that trembles around a
//! line makes one incident. One that comes back soon after its end is the same one.

mod cause;
mod recent;

use std::{collections::BTreeSet, time::Duration};

pub use cause::Cause;
use recent::Recent;
use tracer_common::{TallyValue, tally::count};

use crate::{
    agent::config::Trigger as Lines,
    aggregate::{Delta, stall, steps},
    sums::SaturatingSum as _,
};

/// From this part of a line on downwards, what was above it counts as recovered.
const RELEASE: f64 = 0.8;

impl Lines {
    /// Whether this can raise an incident at all: a line of 0 is none.
    fn watch(&self, cause: Cause) -> bool {
        match cause {
            Cause::Refusals => self.refusals_per_second > 0.0,
            Cause::Fill => self.fill > 0.0,
            Cause::Pressure => self.pressure,
            Cause::OutOfMemory => self.out_of_memory,
            Cause::Stalls => !self.stall_p99.is_zero(),
            Cause::Growth => self.growth_per_minute > 0,
        }
    }
}

/// What happened since the last sample, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When, from any fixed point on.
    pub at: Duration,
    /// When sockets were last listed, at the end of a window, from the same point on.
    pub listed: Duration,
    /// Segments refused since.
    pub refused: u64,
    /// Connections ended for want of memory since.
    pub aborts: u64,
    /// Calls that pruned since, and those of them that took at least `stall_p99`.
    pub stalls: [u64; 2],
    /// Times that the node came under pressure since.
    pub pressures: u64,
    /// Whether the node is under pressure; `None` where that is not known.
    pub pressure: Option<bool>,
    /// Allocated TCP memory over the pressure line; `None` where that is not known.
    pub fill: Option<f64>,
}

impl Sample {
    /// Takes over what each key did.
    pub fn count(&mut self, deltas: &[Delta], slow: Duration) {
        let sum = |of: &dyn Fn(&TallyValue) -> u64| -> u64 {
            deltas.iter().map(|delta| of(&delta.value)).saturating_sum()
        };
        self.refused = sum(&steps::refused);
        self.aborts = sum(&|value| value.counts[count::ABORTS_ON_MEMORY]);
        self.pressures = sum(&|value| value.counts[count::MEMORY_PRESSURES]);
        let slow = stall::first_bucket_from(slow);
        self.stalls = [
            sum(&|value| value.stalls.iter().saturating_sum()),
            sum(&|value| value.stalls[slow..].iter().saturating_sum()),
        ];
    }
}

/// What has become of incidents with a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Same,
    /// One has begun.
    Opened,
    /// The one that was over is not.
    Reopened,
    /// It goes on for another reason as well.
    Joined(Cause),
    /// It is over.
    Closed,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Quiet,
    /// With the time since when nothing is above its lower line.
    Open {
        calm_since: Option<Duration>,
    },
    /// Over since.
    Cooling(Duration),
}

/// The state of all triggers.
#[derive(Clone, Debug)]
pub struct Triggers {
    lines: Lines,
    recent: Recent,
    state: State,
    /// What raised the incident, and what joined.
    causes: BTreeSet<Cause>,
    /// Largest growth of one owner, from the last listing of sockets.
    growth_per_minute: u64,
}

impl Triggers {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self {
            recent: Recent::new(lines.hold),
            lines,
            state: State::Quiet,
            causes: BTreeSet::new(),
            growth_per_minute: 0,
        }
    }

    /// An incident is open that began before: it is over when nothing is above its lower line for long enough from the first sample on.
    pub const fn resume(&mut self) {
        self.state = State::Open { calm_since: None };
    }

    /// Other lines from now on; an incident that is open goes on.
    pub fn set(&mut self, lines: Lines) {
        self.recent.hold(lines.hold);
        self.lines = lines;
    }

    /// The lines.
    #[must_use]
    pub const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Takes over how fast the owner that grows fastest in forgotten sockets does, as the last listing of sockets told.
    pub const fn grow(&mut self, per_minute: u64) {
        self.growth_per_minute = per_minute;
    }

    /// Whether an incident is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether an incident is open, and something is still beyond its mark.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        matches!(self.state, State::Open { calm_since: None })
    }

    /// What raised the incident that is open or was last, and what joined.
    #[must_use]
    pub const fn causes(&self) -> &BTreeSet<Cause> {
        &self.causes
    }

    /// Takes a sample; samples come in the order of time.
    pub fn look(&mut self, sample: &Sample) -> Turn {
        self.recent.push(sample);
        let raised = self.above(1.0);
        match self.state {
            State::Quiet => self.raise(raised, Turn::Opened),
            State::Cooling(since) => {
                let soon = sample.at.saturating_sub(since) < self.lines.cool_down;
                if !soon {
                    self.state = State::Quiet;
                    self.causes.clear();
                }
                self.raise(raised, if soon { Turn::Reopened } else { Turn::Opened })
            }
            State::Open { calm_since } => {
                let calm = self.above(RELEASE).is_empty();
                let since = calm.then(|| calm_since.unwrap_or(sample.at));
                self.state = State::Open { calm_since: since };
                // The window that tells what has recovered holds nothing of the time before, nor begins with what owners held then.
                let over = since.is_some_and(|since| {
                    sample.at.saturating_sub(since) >= self.lines.recover && sample.listed >= since
                });
                if over {
                    self.state = State::Cooling(sample.at);
                    return Turn::Closed;
                }
                let new = raised.into_iter().find(|cause| self.causes.insert(*cause));
                new.map_or(Turn::Same, Turn::Joined)
            }
        }
    }

    fn raise(&mut self, raised: BTreeSet<Cause>, turn: Turn) -> Turn {
        if raised.is_empty() {
            return Turn::Same;
        }
        self.causes.extend(raised);
        self.state = State::Open { calm_since: None };
        turn
    }

    /// What is above this part of its line.
    fn above(&self, part: f64) -> BTreeSet<Cause> {
        let (lines, recent) = (&self.lines, &self.recent);
        // Of what happens by times it is not asked for how long; it is over when it was not seen for as long.
        let is = |cause: Cause| match cause {
            _ if !lines.watch(cause) => false,
            Cause::Refusals => recent.refusals_per_second() >= lines.refusals_per_second * part,
            Cause::Fill => recent
                .least_fill(part < 1.0)
                .is_some_and(|fill| fill >= lines.fill * part),
            Cause::Pressure => recent.pressure(),
            Cause::OutOfMemory => recent.aborts() > 0,
            Cause::Stalls => {
                let [all, slow] = recent.stalls();
                // One of a hundred at least: then the 99th percentile is as long.
                slow > 0 && slow.saturating_mul(100) >= all
            }
            Cause::Growth => self.growth_per_minute as f64 >= lines.growth_per_minute as f64 * part,
        };
        Cause::ALL.into_iter().filter(|cause| is(*cause)).collect()
    }
}

#[cfg(test)]
mod tests;
