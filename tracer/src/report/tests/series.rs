//! The course of the window.

use tracer_common::tally::{limit, queue};

use super::{
    fixture::{self, Fixture, LEAKY, PAGE, REDIS},
    incident::incident,
};
use crate::{aggregate::steps::Step, report::inputs::MAX_SERIES};

#[test]
fn the_counts_of_an_owner_add_up_and_the_last_step_has_what_no_look_saw() {
    let report = incident().report();
    let series = report.series.unwrap();
    // Nine looks and the end of the window.
    assert_eq!(series.steps.len(), 10);
    assert_eq!(series.steps[9].end_ns, fixture::WINDOW_NS);
    assert_eq!(series.steps[0].allocated_bytes, Some(6_650 * PAGE));
    assert_eq!(series.steps[9].allocated_bytes, Some(11_900 * PAGE));
    // 11,850 of 12,000 pages.
    assert_eq!(series.steps[8].fill, Some(0.9875));
    let [leaky, redis] = series.owners.as_slice() else {
        panic!("{:?}", series.owners);
    };
    assert_eq!(leaky.owner.name, "shop/leaky");
    assert_eq!(leaky.refused, [200; 10]);
    // 815 of both containers less nine times 80.
    assert_eq!(redis.owner.name, "cache/redis-0");
    assert_eq!(redis.refused[..9], [80; 9]);
    assert_eq!(redis.refused[9], 95);
    for (victim, owner) in report.victims.iter().zip([leaky, redis]) {
        assert_eq!(victim.owner, owner.owner);
        assert_eq!(victim.refused(), owner.refused.iter().sum::<u64>());
    }
    assert_eq!(series.others, Vec::<u64>::new());
}

#[test]
fn many_owners_are_told_together_beyond_the_first() {
    let mut node = Fixture::quiet();
    let many = MAX_SERIES as u64 + 3;
    for n in 1..=many {
        node.tally(1_000 + n, |value| {
            fixture::refuse(value, queue::RCV, limit::RCVBUF, 10 * n);
        });
    }
    node.steps = vec![Step {
        end_ns: 1,
        sockstat_pages: None,
        refused: (1..=many).map(|n| (fixture::key(1_000 + n), n)).collect(),
    }];
    let series = node.report().series.unwrap();
    assert_eq!(series.owners.len(), MAX_SERIES);
    assert_eq!(series.owners[0].refused, [many, 9 * many]);
    // The three least.
    assert_eq!(series.others, [1 + 2 + 3, 9 * (1 + 2 + 3)]);
    assert_eq!(series.steps[0].fill, None, "absent is not zero");
}

#[test]
fn a_look_after_the_end_is_no_step_and_what_nothing_traced_has_no_course() {
    let mut node = Fixture::quiet();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::OFO, limit::RCVBUF, 4);
    });
    node.steps = vec![Step {
        end_ns: fixture::WINDOW_NS,
        sockstat_pages: Some(1),
        refused: vec![(fixture::key(LEAKY), 9)],
    }];
    let series = node.report().series.unwrap();
    assert_eq!(series.steps.len(), 1);
    assert_eq!(series.owners[0].refused, [4]);
    node.traced = false;
    assert_eq!(node.report().series, None);
}
