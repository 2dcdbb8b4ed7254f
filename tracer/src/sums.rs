//! Sums of figures that come from outside: they stop at the largest number instead of beginning anew at 0.

use std::borrow::Borrow;

/// Adds up what an iterator gives.
pub(crate) trait SaturatingSum {
    /// The sum, or the largest number where it is beyond.
    fn saturating_sum(self) -> u64;
}

impl<N: Borrow<u64>, I: Iterator<Item = N>> SaturatingSum for I {
    fn saturating_sum(self) -> u64 {
        self.fold(0, |sum, number| sum.saturating_add(*number.borrow()))
    }
}
