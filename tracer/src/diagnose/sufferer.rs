//! A victim with what rules need to know of it besides its line in the report.

use crate::sums::SaturatingSum as _;
use std::cmp::Reverse;

use tracer_common::tally::limit;

use crate::{
    aggregate::{Group, Harm},
    report::{Limit, Victim},
};

/// A victim.
#[derive(Clone, Debug, PartialEq)]
pub struct Sufferer {
    /// Its group.
    pub group: Group,
    /// Its line in the report.
    pub victim: Victim,
    /// Its counts by limit; `None` where only counters are known.
    pub harm: Option<Harm>,
}

impl Sufferer {
    /// Whether it is one owner: of a sum of several nothing can be said but how much it is.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.group != Group::Other
    }

    /// Refusals and prunes by one limit; without probes all are by an unknown one.
    #[must_use]
    pub fn by_limit(&self, wanted: Limit) -> (u64, u64) {
        let Some(harm) = &self.harm else {
            return if wanted == Limit::Unknown {
                self.all()
            } else {
                (0, 0)
            };
        };
        let refusals = harm.refusals();
        let numbers = || (0..limit::COUNT).filter(|n| Limit::from_number(*n) == wanted);
        (
            numbers().map(|n| refusals[n]).saturating_sum(),
            numbers().map(|n| harm.prunes[n]).saturating_sum(),
        )
    }

    /// Refusals and prunes by any limit.
    #[must_use]
    pub fn all(&self) -> (u64, u64) {
        (self.victim.refused(), self.victim.prunes.unwrap_or(0))
    }
}

/// Worst first: by refusals, then prunes, then what else was lost, then the time that prunes took. All others as one are last.
pub fn sort(victims: &mut [Sufferer]) {
    victims.sort_by(|a, b| {
        let besides = |s: &Sufferer| s.victim.besides().iter().saturating_sum();
        let weight = |s: &Sufferer| Reverse((s.all(), besides(s), s.victim.stall_ns));
        (b.is_one().cmp(&a.is_one()))
            .then_with(|| weight(a).cmp(&weight(b)))
            .then_with(|| a.group.cmp(&b.group))
    });
}
