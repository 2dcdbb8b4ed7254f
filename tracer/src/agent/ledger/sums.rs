//! Sums since the agent began of what each window tells of the whole node: the kernel's counters and ours, losses, and the run time of
//! the programs. What no window has told is absent.

use std::collections::BTreeMap;

use crate::{
    indicators::{Counter, Row, rows::TOGETHER},
    report::Losses,
};

/// One counter of the kernel since the agent began, over all network namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// How much the kernel's own counter rose, as far as it could be read.
    pub kernel: Option<u64>,
    /// How much of it was attributed.
    pub attributed: Option<u64>,
    /// The kernel's count minus ours, where both are known to the end.
    pub residual: Option<i64>,
    /// By how much residuals of single windows and namespaces were more than two readings can be apart, whatever their sign: 0 as long as every
    /// count is accounted for.
    pub excess: Option<u64>,
}

impl Reconciled {
    fn add(&mut self, row: &Row) {
        plus(&mut self.kernel, row.kernel);
        plus(&mut self.attributed, row.attributed);
        if let Some(residual) = row.residual() {
            let sum = self.residual.unwrap_or_default();
            self.residual = Some(sum.saturating_add(residual));
            let off = residual.unsigned_abs();
            let excess = off.saturating_sub(row.bound.unwrap_or_default());
            plus(&mut self.excess, Some(excess));
        }
    }
}

/// Adds what is known to what is known.
fn plus(sum: &mut Option<u64>, by: Option<u64>) {
    if let Some(by) = by {
        *sum = Some(sum.unwrap_or_default().saturating_add(by));
    }
}

/// Of one kernel program: how long and how often it ran since it was loaded. The kernel keeps it only where it is told to
/// (`kernel.bpf_stats_enabled`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramRuns {
    /// Its name in the kernel object.
    pub program: String,
    /// Nanoseconds.
    pub run_ns: u64,
    /// Runs.
    pub runs: u64,
}

/// All sums.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub(super) reconciled: [Reconciled; Counter::ALL.len()],
    pub(super) lost: BTreeMap<&'static str, u64>,
    programs: BTreeMap<String, Loaded>,
}

/// A program that may have been loaded more than once.
#[derive(Clone, Debug, Default)]
struct Loaded {
    before: ProgramRuns,
    now: ProgramRuns,
}

impl Sums {
    /// Adds the rows of one window. Where some counts of a counter belong to no single namespace, its row of all together has everything.
    pub(super) fn rows(&mut self, rows: &[Row]) {
        for (counter, sum) in Counter::ALL.into_iter().zip(&mut self.reconciled) {
            let of_counter = || rows.iter().filter(|row| row.counter == counter);
            let together = of_counter().find(|row| row.netns_inum == TOGETHER);
            match together {
                Some(row) => sum.add(row),
                None => of_counter().for_each(|row| sum.add(row)),
            }
        }
    }

    /// Adds what was lost within one window.
    pub(super) fn lost(&mut self, losses: &Losses) {
        for (place, lost) in losses.named() {
            if let Some(lost) = lost {
                let sum = self.lost.entry(place).or_default();
                *sum = sum.saturating_add(lost);
            }
        }
    }

    /// Takes a reading of all programs. One that fell is of a program that was loaded anew.
    pub(super) fn ran(&mut self, readings: &[ProgramRuns]) {
        for reading in readings {
            let loaded = self.programs.entry(reading.program.clone()).or_default();
            if reading.runs < loaded.now.runs || reading.run_ns < loaded.now.run_ns {
                loaded.before.runs += loaded.now.runs;
                loaded.before.run_ns += loaded.now.run_ns;
            }
            loaded.now = reading.clone();
        }
    }

    /// Programs with their sums.
    pub(super) fn programs(&self) -> Vec<ProgramRuns> {
        let all = self.programs.values();
        all.map(|Loaded { before, now }| ProgramRuns {
            program: now.program.clone(),
            run_ns: before.run_ns.saturating_add(now.run_ns),
            runs: before.runs.saturating_add(now.runs),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicators::RowState;

    fn row(netns_inum: u32, kernel: Option<u64>, attributed: Option<u64>) -> Row {
        Row {
            netns_inum,
            netns_cookie: None,
            counter: Counter::TCPOFODrop,
            kernel,
            attributed,
            bound: Some(0),
            state: RowState::Present,
        }
    }

    fn ofo(sums: &Sums) -> Reconciled {
        // The first in the order of reports.
        sums.reconciled[0]
    }

    #[test]
    fn windows_and_namespaces_add_up_and_what_died_has_no_residual() {
        let mut sums = Sums::default();
        sums.rows(&[row(1, Some(10), Some(10)), row(2, Some(5), Some(3))]);
        let gone = Row {
            state: RowState::Gone,
            bound: None,
            ..row(3, Some(4), Some(6))
        };
        let bounded = Row {
            bound: Some(7),
            ..row(1, Some(1), Some(9))
        };
        sums.rows(&[bounded, gone, row(4, None, Some(1))]);
        assert_eq!(
            ofo(&sums),
            Reconciled {
                kernel: Some(10 + 5 + 1 + 4),
                attributed: Some(10 + 3 + 9 + 6 + 1),
                residual: Some(2 - 8),
                excess: Some(2 + (8 - 7)),
            }
        );
        assert_eq!(
            sums.reconciled[1],
            Reconciled::default(),
            "no row, no figure"
        );
    }

    #[test]
    fn the_row_of_all_together_stands_for_the_others() {
        let mut sums = Sums::default();
        sums.rows(&[
            row(1, Some(10), Some(8)),
            row(2, Some(5), Some(5)),
            row(TOGETHER, Some(15), Some(15)),
        ]);
        assert_eq!(ofo(&sums).residual, Some(0));
        assert_eq!(
            (ofo(&sums).kernel, ofo(&sums).attributed),
            (Some(15), Some(15))
        );
    }

    #[test]
    fn without_probes_the_kernel_stands_alone() {
        let mut sums = Sums::default();
        sums.rows(&[row(1, Some(10), None)]);
        let alone = Reconciled {
            kernel: Some(10),
            ..Reconciled::default()
        };
        assert_eq!(ofo(&sums), alone);
    }

    #[test]
    fn losses_add_up_and_unknown_ones_are_absent() {
        let mut sums = Sums::default();
        let losses = Losses {
            ring_full: Some(3),
            tallies_full: Some(0),
            ..Losses::default()
        };
        sums.lost(&losses);
        sums.lost(&losses);
        let want = BTreeMap::from([("ring_full", 6), ("tallies_full", 0)]);
        assert_eq!(sums.lost, want);
    }

    #[test]
    fn a_program_that_is_loaded_anew_goes_on() {
        let mut sums = Sums::default();
        let reading = |runs, run_ns| ProgramRuns {
            program: "a".into(),
            run_ns,
            runs,
        };
        for (runs, run_ns) in [(5, 50), (9, 90), (1, 10), (2, 20)] {
            sums.ran(&[reading(runs, run_ns)]);
        }
        assert_eq!(sums.programs(), [reading(9 + 2, 90 + 20)]);
    }
}
