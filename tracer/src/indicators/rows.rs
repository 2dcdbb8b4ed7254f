//! Compares the kernel's counters with ours, per network namespace. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counter, Netstat, Row, RowState};
use crate::aggregate::{self, Delta};

/// The kernel's counters of one network namespace at one end of the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Cookie of the namespace; `None` where it could not be asked.
    pub cookie: Option<u64>,
    /// What the kernel counted.
    pub netstat: Netstat,
    /// Most that ours may be off, by the order of [`Counter::ALL`], because tallies moved while the
    /// kernel's were read; all 0 when they did not.
    pub bounds: [u64; Counter::ALL.len()],
}

/// The kernel's counters at one end of the window, by inode number of the namespace.
pub type Snapshot = BTreeMap<u32, KernelCounts>;

/// No namespace has this number: rows of it are of all together.
pub const TOGETHER: u32 = 0;

/// Three readings of the kernel's counters.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// At the start of the window.
    pub start: &'a Snapshot,
    /// Of each namespace, the last one within the window, for those that die in it.
    pub within: &'a Snapshot,
    /// At the end.
    pub end: &'a Snapshot,
}

/// One row per namespace and counter. `deltas` is `None` when nothing was traced; then the kernel's own
/// rise stands alone.
#[must_use]
pub fn rows(readings: Readings<'_>, deltas: Option<&[Delta]>) -> Vec<Row> {
    let traced = deltas
        .unwrap_or_default()
        .iter()
        .map(|delta| delta.key.netns_inum);
    let Readings { start, within, end } = readings;
    let inums: BTreeSet<u32> = [start, within, end]
        .into_iter()
        .flat_map(Snapshot::keys)
        .copied()
        .chain(traced)
        .filter(|&inum| inum != TOGETHER)
        .collect();
    let mut rows: Vec<Row> = inums
        .into_iter()
        .flat_map(|inum| rows_of(inum, readings, deltas))
        .collect();
    together(&mut rows, deltas.unwrap_or_default());
    rows
}

/// Counts whose namespace found no room in any table stand under the number 0. Then each namespace may lack as many, and only all
/// of them together can be compared: in rows of that number.
fn together(rows: &mut Vec<Row>, deltas: &[Delta]) {
    let sums: Vec<Row> = Counter::ALL
        .into_iter()
        .filter_map(|counter| {
            let beyond = attributed(TOGETHER, None, counter, deltas);
            let mut of_counter: Vec<&mut Row> = rows
                .iter_mut()
                .filter(|row| beyond > 0 && row.counter == counter)
                .collect();
            if of_counter.is_empty() {
                return None;
            }
            let kernel = of_counter.iter().map(|row| row.kernel).sum();
            let ours: Option<u64> = of_counter.iter().map(|row| row.attributed).sum();
            let bound = of_counter.iter().filter_map(|row| row.bound).sum();
            // What a namespace counted after its last reading is not known, and so no sum with it is.
            let dead = |row: &&mut Row| row.state == RowState::Gone && row.attributed > Some(0);
            let state = match of_counter.iter().any(dead) {
                true => RowState::Gone,
                false => RowState::Present,
            };
            for row in &mut of_counter {
                row.bound = row.bound.map(|bound| bound + beyond);
            }
            Some(Row {
                netns_inum: TOGETHER,
                netns_cookie: None,
                counter,
                kernel,
                attributed: ours.map(|ours| ours + beyond),
                bound: (state == RowState::Present).then_some(bound),
                state,
            })
        })
        .collect();
    rows.extend(sums);
}

/// Whether two readings are of two namespaces. Inode numbers are used again; a cookie is not.
fn differ(one: Option<&KernelCounts>, other: Option<&KernelCounts>) -> bool {
    let cookie = |counts: Option<&KernelCounts>| counts.and_then(|counts| counts.cookie);
    matches!((cookie(one), cookie(other)), (Some(one), Some(other)) if one != other)
}

fn rows_of(inum: u32, readings: Readings<'_>, deltas: Option<&[Delta]>) -> Vec<Row> {
    let (first, last) = (readings.start.get(&inum), readings.end.get(&inum));
    let within = readings.within.get(&inum);
    match (first, last) {
        (Some(_), Some(_)) if differ(first, last) => {
            let within = within.filter(|_| differ(within, last));
            let mut rows = one(inum, first, within, None, deltas);
            rows.extend(one(inum, None, None, last, deltas));
            rows
        }
        (first, last) => one(inum, first, within, last, deltas),
    }
}

/// The rows of one namespace, there at the ends that are given.
fn one(
    inum: u32,
    first: Option<&KernelCounts>,
    within: Option<&KernelCounts>,
    last: Option<&KernelCounts>,
    deltas: Option<&[Delta]>,
) -> Vec<Row> {
    let state = match (first, last) {
        (Some(_), Some(_)) => RowState::Present,
        (None, Some(_)) => RowState::Born,
        (_, None) => RowState::Gone,
    };
    let within = within.filter(|_| !differ(within, first));
    let latest = last.or(within);
    let cookie = latest.or(first).and_then(|counts| counts.cookie);
    Counter::ALL
        .into_iter()
        .enumerate()
        .map(|(index, counter)| {
            let before = match first {
                Some(first) => first.netstat.counter(counter),
                // Counters of a namespace that was born within the window started at 0.
                None => Some(0),
            };
            let after = latest.and_then(|latest| latest.netstat.counter(counter));
            let bound = |counts: Option<&KernelCounts>| counts.map_or(0, |c| c.bounds[index]);
            Row {
                netns_inum: inum,
                netns_cookie: cookie,
                counter,
                kernel: before
                    .zip(after)
                    .and_then(|(before, after)| after.checked_sub(before)),
                attributed: deltas.map(|deltas| attributed(inum, cookie, counter, deltas)),
                bound: last.map(|last| bound(first) + bound(Some(last))),
                state,
            }
        })
        .collect()
}

fn attributed(inum: u32, cookie: Option<u64>, counter: Counter, deltas: &[Delta]) -> u64 {
    deltas
        .iter()
        .filter(|delta| delta.key.netns_inum == inum)
        .filter(|delta| match cookie {
            Some(cookie) => delta.key.netns_cookie == cookie || delta.key.netns_cookie == 0,
            None => true,
        })
        .map(|delta| aggregate::attributed(&delta.value, counter))
        .sum()
}

#[cfg(test)]
mod tests {
    use tracer_common::{TallyKey, TallyValue};

    use super::*;

    fn counts(cookie: Option<u64>, prunes: u64) -> KernelCounts {
        let text = format!("TcpExt: PruneCalled RcvPruned\nTcpExt: {prunes} 0\n");
        KernelCounts {
            cookie,
            netstat: Netstat::parse(&text),
            bounds: [0; Counter::ALL.len()],
        }
    }

    fn delta(inum: u32, cookie: u64, prunes: u64) -> Delta {
        Delta {
            key: TallyKey {
                netns_inum: inum,
                netns_cookie: cookie,
                ..TallyKey::default()
            },
            value: TallyValue {
                prunes: [prunes, 0, 0, 0, 0, 0],
                ..TallyValue::ZERO
            },
        }
    }

    fn compare(start: &Snapshot, end: &Snapshot, deltas: Option<&[Delta]>) -> Vec<Row> {
        let within = &Snapshot::new();
        rows(Readings { start, within, end }, deltas)
    }

    fn row(rows: &[Row], inum: u32, state: RowState) -> &Row {
        rows.iter()
            .find(|row| {
                (row.netns_inum, row.counter, row.state) == (inum, Counter::PruneCalled, state)
            })
            .unwrap()
    }

    #[test]
    fn a_namespace_that_stayed_is_compared_by_difference() {
        let start = Snapshot::from([(7, counts(Some(1), 100))]);
        let end = Snapshot::from([(7, counts(Some(1), 140))]);
        let rows = compare(
            &start,
            &end,
            Some(&[delta(7, 1, 30), delta(7, 1, 8), delta(9, 2, 5)]),
        );
        let row = row(&rows, 7, RowState::Present);
        assert_eq!(
            (row.kernel, row.attributed, row.residual()),
            (Some(40), Some(38), Some(2))
        );
    }

    #[test]
    fn one_born_starts_at_zero_and_one_gone_is_not_known() {
        let start = Snapshot::from([(5, counts(Some(1), 100))]);
        let end = Snapshot::from([(6, counts(Some(2), 4))]);
        let rows = compare(
            &start,
            &end,
            Some(&[delta(5, 1, 3), delta(6, 2, 4), delta(8, 3, 1)]),
        );
        let born = row(&rows, 6, RowState::Born);
        assert_eq!((born.kernel, born.residual()), (Some(4), Some(0)));
        for (inum, count) in [(5, 3), (8, 1)] {
            let gone = row(&rows, inum, RowState::Gone);
            assert_eq!((gone.kernel, gone.attributed), (None, Some(count)));
            assert_eq!((gone.residual(), gone.bound), (None, None));
        }
    }

    #[test]
    fn one_gone_keeps_its_last_reading_and_has_no_residual() {
        let start = Snapshot::from([(5, counts(Some(1), 100)), (9, counts(Some(4), 7))]);
        let within = Snapshot::from([
            (5, counts(Some(1), 130)),
            (6, counts(Some(2), 4)),
            (9, counts(Some(5), 70)),
        ]);
        let (start, within, end) = (&start, &within, &Snapshot::new());
        let deltas = [delta(5, 1, 31), delta(6, 2, 4)];
        let rows = rows(Readings { start, within, end }, Some(&deltas));
        // Another namespace got the number 9 after the first had died: its reading is not that of the first.
        for (inum, kernel, attributed) in [(5, Some(30), 31), (6, Some(4), 4), (9, None, 0)] {
            let gone = row(&rows, inum, RowState::Gone);
            assert_eq!((gone.kernel, gone.attributed), (kernel, Some(attributed)));
            assert_eq!((gone.residual(), gone.bound), (None, None));
        }
    }

    #[test]
    fn a_number_used_again_is_two_namespaces() {
        let start = Snapshot::from([(5, counts(Some(1), 100))]);
        let end = Snapshot::from([(5, counts(Some(2), 7))]);
        let rows = compare(&start, &end, Some(&[delta(5, 1, 3), delta(5, 2, 7)]));
        assert_eq!(row(&rows, 5, RowState::Gone).attributed, Some(3));
        let born = row(&rows, 5, RowState::Born);
        assert_eq!((born.kernel, born.attributed), (Some(7), Some(7)));
    }

    #[test]
    fn absent_counters_and_untraced_windows_are_null() {
        let start = Snapshot::from([(5, counts(None, 1))]);
        let end = Snapshot::from([(5, counts(None, 3))]);
        let rows = compare(&start, &end, None);
        let pruned = row(&rows, 5, RowState::Present);
        assert_eq!(
            (pruned.kernel, pruned.attributed, pruned.residual()),
            (Some(2), None, None)
        );
        let ofo = rows
            .iter()
            .find(|row| row.counter == Counter::TCPOFODrop)
            .unwrap();
        assert_eq!(ofo.kernel, None);
    }

    #[test]
    fn what_no_namespace_had_room_for_is_compared_together() {
        let start = Snapshot::from([(5, counts(Some(1), 0)), (6, counts(Some(2), 0))]);
        let end = Snapshot::from([(5, counts(Some(1), 3)), (6, counts(Some(2), 9))]);
        let all = compare(
            &start,
            &end,
            Some(&[delta(5, 1, 2), delta(TOGETHER, 0, 10)]),
        );
        for (inum, residual) in [(5, 1), (6, 9)] {
            let alone = row(&all, inum, RowState::Present);
            assert_eq!((alone.residual(), alone.bound), (Some(residual), Some(10)));
        }
        let sum = row(&all, TOGETHER, RowState::Present);
        assert_eq!((sum.kernel, sum.attributed), (Some(12), Some(12)));
        assert_eq!((sum.residual(), sum.bound), (Some(0), Some(0)));
        // Of a counter of which nothing lies there, there is no such row.
        assert_eq!(
            all.iter().filter(|row| row.netns_inum == TOGETHER).count(),
            1
        );
        let gone = Snapshot::from([(6, counts(Some(2), 9))]);
        let all = compare(
            &start,
            &gone,
            Some(&[delta(5, 1, 2), delta(TOGETHER, 0, 10)]),
        );
        assert_eq!(row(&all, TOGETHER, RowState::Gone).residual(), None);
    }

    #[test]
    fn bounds_of_both_ends_add_up() {
        let mut first = counts(None, 0);
        first.bounds = [1; Counter::ALL.len()];
        let mut last = counts(None, 5);
        last.bounds = [2; Counter::ALL.len()];
        let rows = compare(
            &Snapshot::from([(5, first)]),
            &Snapshot::from([(5, last)]),
            Some(&[]),
        );
        assert!(rows.iter().all(|row| row.bound == Some(3)));
    }
}
