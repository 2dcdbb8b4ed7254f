//! From readings to sums.

pub mod group;
pub mod harm;
pub mod holding;
pub mod movement;
pub mod sockets;
pub mod stall;
pub mod steps;

use crate::sums::SaturatingSum as _;
use std::collections::BTreeMap;

pub use group::Group;
pub use harm::Harm;
pub use holding::Holding;
pub use movement::Movement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::{
    TallyKey, TallyValue,
    tally::{count, queue},
};

use crate::indicators::Counter;

/// What one key did within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delta {
    /// Whose.
    pub key: TallyKey,
    /// How much: the differences of two readings; the `last_*` fields are those of the later one.
    pub value: TallyValue,
}

/// One reading of all tallies.
pub type Tallies = BTreeMap<TallyKey, TallyValue>;

/// What happened between two readings. Keys that did nothing are left out. A tally never falls; if one
/// did, it was replaced, and its later value is what happened since.
#[must_use]
pub fn deltas(before: &Tallies, after: &Tallies) -> Vec<Delta> {
    after
        .iter()
        .map(|(&key, later)| Delta {
            key,
            value: before
                .get(&key)
                .map_or(*later, |earlier| subtract(later, earlier)),
        })
        .filter(|delta| moved(&delta.value))
        .collect()
}

fn subtract(later: &TallyValue, earlier: &TallyValue) -> TallyValue {
    let mut value = *later;
    let since = |later: &mut u64, earlier: u64| *later = later.saturating_sub(earlier);
    for (later, earlier) in value.verdicts.iter_mut().zip(earlier.verdicts) {
        since(later, earlier);
    }
    for (later, earlier) in value.prunes.iter_mut().zip(earlier.prunes) {
        since(later, earlier);
    }
    for (later, earlier) in value.stalls.iter_mut().zip(earlier.stalls) {
        since(later, earlier);
    }
    for (later, earlier) in value.collapses.iter_mut().zip(earlier.collapses) {
        since(later, earlier);
    }
    for (later, earlier) in value.counts.iter_mut().zip(earlier.counts) {
        since(later, earlier);
    }
    since(&mut value.rcv_pruned, earlier.rcv_pruned);
    since(&mut value.ofo_pruned, earlier.ofo_pruned);
    since(&mut value.rcv_collapsed, earlier.rcv_collapsed);
    since(&mut value.early_exits, earlier.early_exits);
    since(&mut value.stall_ns, earlier.stall_ns);
    since(&mut value.collapse_ns, earlier.collapse_ns);
    since(&mut value.suppressed, earlier.suppressed);
    value
}

fn moved(value: &TallyValue) -> bool {
    value
        .verdicts
        .iter()
        .chain(&value.prunes)
        .chain(&value.counts)
        // A stall is added after its prune was counted: a reading may have come between the two.
        .chain(&value.stalls)
        .any(|&count| count != 0)
        || value.rcv_pruned | value.ofo_pruned | value.rcv_collapsed | value.early_exits != 0
}

/// Our count of one of the kernel's counters.
#[must_use]
pub fn attributed(value: &TallyValue, counter: Counter) -> u64 {
    match counter {
        Counter::PruneCalled => value.prunes.iter().saturating_sum(),
        Counter::RcvPruned => value.rcv_pruned,
        Counter::OfoPruned => value.ofo_pruned,
        Counter::TCPRcvCollapsed => value.rcv_collapsed,
        Counter::TCPRcvQDrop => value
            .verdicts_of(queue::RCV)
            .saturating_add(value.verdicts_of(queue::SEND_RCVQ)),
        Counter::TCPOFODrop => value.verdicts_of(queue::OFO),
        Counter::TCPZeroWindowDrop => value.counts[count::ZERO_WINDOW_DROPS],
        Counter::TCPBacklogDrop => value.counts[count::BACKLOG_DROPS],
        Counter::TCPAbortOnMemory => value.counts[count::ABORTS_ON_MEMORY],
        Counter::TCPMemoryPressures => value.counts[count::MEMORY_PRESSURES],
        Counter::TCPMemoryPressuresChrono => value.counts[count::MEMORY_PRESSURES_MS],
        Counter::ListenDrops => value.counts[count::LISTEN_DROPS],
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::tally::{limit, slot};

    use super::*;

    fn key(cgroup_id: u64) -> TallyKey {
        TallyKey {
            cgroup_id,
            ..TallyKey::default()
        }
    }

    fn value(ofo: u64, rcv: u64, repair: u64, forced: u64) -> TallyValue {
        let mut value = TallyValue::ZERO;
        value.verdicts[slot(queue::OFO, limit::RCVBUF)] = ofo;
        value.verdicts[slot(queue::RCV, limit::TCP_MEM_HARD)] = rcv;
        value.verdicts[slot(queue::SEND_RCVQ, limit::MEMCG_V2)] = repair;
        value.verdicts[slot(queue::FORCED, limit::UNKNOWN)] = forced;
        value
    }

    #[test]
    fn counters_are_the_sums_that_the_kernel_makes() {
        let value = value(3, 5, 7, 1000);
        assert_eq!(attributed(&value, Counter::TCPOFODrop), 3);
        assert_eq!(attributed(&value, Counter::TCPRcvQDrop), 5 + 7);
        let pruned = TallyValue {
            prunes: [1, 2, 4, 8, 16, 32],
            ..TallyValue::ZERO
        };
        assert_eq!(attributed(&pruned, Counter::PruneCalled), 63);
    }

    #[test]
    fn a_stall_that_came_after_the_reading_of_its_prune_is_not_lost() {
        let mut later = value(0, 1, 0, 0);
        later.prunes[limit::RCVBUF] = 1;
        let before = Tallies::from([(key(1), later)]);
        later.stalls[5] = 1;
        later.stall_ns = 3_000;
        let deltas = deltas(&before, &Tallies::from([(key(1), later)]));
        let value = deltas[0].value;
        assert_eq!((value.stalls[5], value.stall_ns), (1, 3_000));
        assert_eq!(value.prunes, [0; limit::COUNT]);
    }

    #[test]
    fn deltas_leave_out_the_quiet_and_keep_the_newborn() {
        let before = Tallies::from([(key(1), value(10, 0, 0, 0)), (key(2), value(1, 1, 1, 1))]);
        let after = Tallies::from([
            (key(1), value(14, 0, 0, 0)),
            (key(2), value(1, 1, 1, 1)),
            (key(3), value(0, 6, 0, 0)),
        ]);
        let deltas = deltas(&before, &after);
        assert_eq!(deltas.len(), 2);
        assert_eq!(
            (deltas[0].key, deltas[0].value),
            (key(1), value(4, 0, 0, 0))
        );
        assert_eq!(
            (deltas[1].key, deltas[1].value),
            (key(3), value(0, 6, 0, 0))
        );
    }
}
