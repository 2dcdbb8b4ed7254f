//! The self-check: single calls against the kernel's own counters.

use crate::sums::SaturatingSum as _;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::selfcheck::{CALLS, COMPARED, COUNT, COUNTERS, WRONG};

/// Every call of `tcp_try_rmem_schedule` within the window, judged by us and compared with the kernel's
/// own counters before and after that call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Selfcheck {
    /// Calls that began.
    pub calls: u64,
    /// Calls that could be compared: no other was live meanwhile.
    pub compared: u64,
    /// Calls in which a counter of the kernel rose by another amount than ours, by counter.
    pub disagreements: BTreeMap<String, u64>,
}

impl From<[u64; COUNT as usize]> for Selfcheck {
    fn from(cells: [u64; COUNT as usize]) -> Self {
        let wrong = cells.iter().skip(WRONG as usize);
        Self {
            calls: cells[CALLS as usize],
            compared: cells[COMPARED as usize],
            disagreements: COUNTERS
                .iter()
                .zip(wrong)
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }
}

impl Selfcheck {
    /// Disagreements over all counters.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.disagreements.values().saturating_sum()
    }

    /// In a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = format!(
            "{} of {} calls compared with the kernel's own counters, {} disagreements",
            self.compared,
            self.calls,
            self.wrong()
        );
        for (counter, count) in self.disagreements.iter().filter(|(_, count)| **count > 0) {
            words.push_str(&format!("; {counter} {count}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_names() {
        let check = Selfcheck::from([100, 90, 1, 0, 0, 2]);
        assert_eq!((check.calls, check.compared, check.wrong()), (100, 90, 3));
        assert_eq!(check.disagreements["PruneCalled"], 1);
        assert_eq!(check.disagreements["TCPRcvCollapsed"], 2);
        assert_eq!(
            check.words(),
            "90 of 100 calls compared with the kernel's own counters, 3 disagreements; \
             PruneCalled 1; TCPRcvCollapsed 2"
        );
    }
}
