//! The last samples, as many as must agree.

use std::{collections::VecDeque, time::Duration};

use super::Sample;
use crate::sums::SaturatingSum as _;

/// Samples of the last while.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    hold: Duration,
    samples: VecDeque<Sample>,
    /// When the sample before the first of them was taken: since then they tell all.
    since: Option<Duration>,
}

impl Recent {
    pub(super) fn new(hold: Duration) -> Self {
        Self {
            hold,
            samples: VecDeque::new(),
            since: None,
        }
    }

    pub(super) fn hold(&mut self, hold: Duration) {
        self.hold = hold;
    }

    pub(super) fn push(&mut self, sample: &Sample) {
        self.samples.push_back(*sample);
        // What is left still reaches back for as long as must be held.
        while let Some(first) = self.samples.front().map(|first| first.at) {
            if self.samples.len() == 1 || sample.at.saturating_sub(first) < self.hold {
                break;
            }
            self.since = Some(first);
            self.samples.pop_front();
        }
    }

    /// Over the whole while: a burst that is as large as a rate that lasts counts as much.
    pub(super) fn refusals_per_second(&self) -> f64 {
        let refused = self
            .samples
            .iter()
            .map(|sample| sample.refused)
            .saturating_sum();
        refused as f64 / self.hold.as_secs_f64().max(1.0)
    }

    pub(super) fn aborts(&self) -> u64 {
        self.samples
            .iter()
            .map(|sample| sample.aborts)
            .saturating_sum()
    }

    pub(super) fn stalls(&self) -> [u64; 2] {
        [0, 1].map(|at| {
            self.samples
                .iter()
                .map(|sample| sample.stalls[at])
                .saturating_sum()
        })
    }

    /// Whether the node came under pressure in the while, or is under it now.
    pub(super) fn pressure(&self) -> bool {
        let now = self.samples.back().and_then(|sample| sample.pressure);
        now == Some(true) || self.samples.iter().any(|sample| sample.pressures > 0)
    }

    /// The least fill of the while if it is known for all of it; the last one alone where any moment is enough.
    pub(super) fn least_fill(&self, any: bool) -> Option<f64> {
        if any {
            return self.samples.back()?.fill;
        }
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let begun = self.since.unwrap_or(first.at);
        if last.at.saturating_sub(begun) < self.hold {
            return None;
        }
        let fills = self.samples.iter().map(|sample| sample.fill);
        fills.reduce(|a, b| Some(a?.min(b?)))?
    }
}
