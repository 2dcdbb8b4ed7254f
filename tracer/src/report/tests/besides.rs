//! What owners lose besides refused segments, and what is no loss at all.

use tracer_common::{TallyValue, tally::count};

use super::{
    fixture::{self, Fixture, WEB},
    incident,
};
use crate::aggregate::Delta;

#[test]
fn possible_misses_are_no_blemish_where_residuals_of_0_disprove_them() {
    let mut node = incident::incident();
    node.possible_misses = Some(3);
    let report = node.report();
    assert!(
        report
            .reconciliation
            .iter()
            .all(|row| row.residual == Some(0))
    );
    assert_eq!(report.losses.possible_misses, Some(3));
    let summary = &report.verdict.summary;
    assert!(!summary.contains("not exact"), "{summary}");
}

#[test]
fn what_is_lost_without_a_refusal_makes_a_victim_but_no_limit() {
    let mut node = Fixture::quiet();
    let mut value = TallyValue::ZERO;
    value.counts[count::ZERO_WINDOW_DROPS] = 7;
    value.counts[count::ABORTS_ON_MEMORY] = 2;
    value.counts[count::DESTROYED_BYTES] = 4096;
    node.deltas.push(Delta {
        key: fixture::key(WEB),
        value,
    });
    let report = node.report();
    assert_eq!(report.verdict.limit, None);
    let victim = &report.victims[0];
    assert_eq!(victim.zero_window_drops, Some(7));
    assert_eq!(victim.aborts_on_memory, Some(2));
    assert_eq!(victim.listen_drops, Some(0));
    assert_eq!(
        victim.uncounted.unwrap().destroyed_bytes,
        None,
        "no such probe in this plan"
    );
    let summary = &report.verdict.summary;
    let words = "but 7 segments dropped at a window of 0, 2 connections ended for want of memory";
    assert!(summary.contains(words), "{summary}");
}

#[test]
fn who_puts_the_node_under_pressure_is_named_and_no_victim() {
    let mut node = Fixture::quiet();
    let mut value = TallyValue::ZERO;
    value.counts[count::MEMORY_PRESSURES] = 1;
    value.counts[count::MEMORY_PRESSURES_MS] = 40;
    node.deltas.push(Delta {
        key: fixture::key(WEB),
        value,
    });
    let report = node.report();
    assert!(report.victims.is_empty());
    let pressures = report.tcp_memory.pressures.unwrap();
    assert_eq!((pressures[0].entered, pressures[0].ended_ms), (1, 40));
}
