//! Rows of reconciliation of windows in a row. A namespace has one row a counter for each of its lives; that of its death stands
//! beside the row of the time in which it could be compared.

use crate::indicators::{Counter, Row, RowState, rows::TOGETHER};

/// In the place of the cookie of a namespace that ended with the machine: its number and its cookie are given again. The kernel counts
/// cookies up from 1, and in interrupts down from the largest (`include/linux/cookie.h`, `gen_cookie_next`, Linux 6.12): it does not get
/// here.
const ENDED: Option<u64> = Some(1 << 63);

/// Adds the rows of the window that follows. `anew`: of a later run of the machine, whose namespaces are others.
pub(super) fn join(rows: &mut Vec<Row>, mut later: Vec<Row>, anew: bool) {
    if anew {
        let of_one = rows.iter_mut().filter(|row| row.netns_inum != TOGETHER);
        of_one.for_each(|row| row.netns_cookie = ENDED);
    }
    for counter in Counter::ALL {
        together(rows, &mut later, counter);
    }
    for row in later {
        take(rows, row);
    }
    rows.sort_by_key(|row| {
        let counter = Counter::ALL.iter().position(|it| *it == row.counter);
        // Those of all namespaces are last.
        (row.netns_inum == TOGETHER, row.netns_inum, counter)
    });
}

fn take(rows: &mut Vec<Row>, row: Row) {
    let same = |known: &Row| (known.netns_inum, known.counter) == (row.netns_inum, row.counter);
    let is_other = |known: &Row| match (known.netns_cookie, row.netns_cookie) {
        (ENDED, _) => true,
        (Some(one), Some(other)) => one != other,
        _ => false,
    };
    let last = |rows: &[Row]| rows.iter().rposition(same);
    let Some(mut at) = last(rows) else {
        rows.push(row);
        return;
    };
    if is_other(&rows[at]) {
        rows.push(row);
        return;
    }
    match row.state {
        RowState::Present | RowState::Gone if row.netns_inum == TOGETHER => {}
        // Out of sight for a while: this row counts since it was last seen, and so has what came meanwhile.
        RowState::Present if rows[at].state == RowState::Gone => {
            rows.remove(at);
            match last(rows) {
                Some(before)
                    if rows[before].state != RowState::Gone && !is_other(&rows[before]) =>
                {
                    at = before;
                }
                _ => return rows.push(row),
            }
        }
        // Since its birth, of which some may stand here already.
        RowState::Born if row.netns_cookie.is_some() && rows[at].netns_cookie.is_some() => {
            rows.retain(|known| !same(known) || known.netns_cookie != row.netns_cookie);
            return rows.push(row);
        }
        RowState::Born => return rows.push(row),
        RowState::Gone if rows[at].state != RowState::Gone => return rows.push(row),
        RowState::Present | RowState::Gone => {}
    }
    add(&mut rows[at], &row);
}

/// Both as one of the longer time.
fn add(sum: &mut Row, later: &Row) {
    let both = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
    let any = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
    sum.kernel = match (sum.state, later.state) {
        // Until it was last read.
        (RowState::Gone, _) | (_, RowState::Gone) => any(sum.kernel, later.kernel),
        _ => both(sum.kernel, later.kernel),
    };
    // In a time in which nothing was traced nothing was attributed.
    sum.attributed = any(sum.attributed, later.attributed);
    sum.bound = both(sum.bound, later.bound);
    if later.state == RowState::Gone {
        sum.state = RowState::Gone;
    }
    sum.netns_cookie = later.netns_cookie.or(sum.netns_cookie);
}

/// Rows of all namespaces together, where only one of two windows needed one: the other's is the sum of its rows.
fn together(rows: &mut Vec<Row>, later: &mut Vec<Row>, counter: Counter) {
    let has = |rows: &[Row]| {
        let mut of = rows.iter().filter(|row| row.counter == counter);
        of.any(|row| row.netns_inum == TOGETHER)
    };
    let without = match (has(rows), has(later)) {
        (true, false) => later,
        (false, true) => rows,
        _ => return,
    };
    let of: Vec<&Row> = without
        .iter()
        .filter(|row| row.counter == counter)
        .collect();
    let total = |field: fn(&Row) -> Option<u64>| {
        let counts = of.iter().filter_map(|row| field(row));
        counts.fold(0, u64::saturating_add)
    };
    let dead = |row: &&Row| row.state == RowState::Gone && row.attributed > Some(0);
    let state = match of.iter().any(dead) {
        true => RowState::Gone,
        false => RowState::Present,
    };
    let sum = Row {
        netns_inum: TOGETHER,
        netns_cookie: None,
        counter,
        kernel: Some(total(|row| row.kernel)),
        attributed: Some(total(|row| row.attributed)),
        bound: (state == RowState::Present).then(|| total(|row| row.bound)),
        state,
    };
    without.push(sum);
}
