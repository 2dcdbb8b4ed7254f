//! All others as one: how much they suffered is told, and nothing else is said of them.

use tracer_common::{
    TallyValue,
    tally::{count, limit, queue},
};

use super::fixture::{Fixture, REDIS, WEB, refuse};
use crate::{
    attribute::{Owner, OwnerKind},
    diagnose::recovery,
    report::{Kind, Report},
};

/// The cgroup that stands for them.
const OTHERS: u64 = 900;

/// One pod suffers a little, all others as one a lot, and so does another pod if `more` says so.
fn node(more: bool, fill: impl Fn(&mut TallyValue, u64)) -> Report {
    let mut node = Fixture::quiet();
    node.owners.insert(OTHERS, Owner::of_kind(OwnerKind::Other));
    node.tally(OTHERS, |value| fill(value, 500));
    node.tally(REDIS, |value| fill(value, 7));
    if more {
        node.tally(WEB, |value| fill(value, 5));
    }
    node.report()
}

fn names(report: &Report) -> Vec<&str> {
    let victims = report.victims.iter();
    victims.map(|it| it.owner.name.as_str()).collect()
}

#[test]
fn they_are_last_and_no_victim_that_is_named() {
    let by_tcp_mem = |value: &mut TallyValue, many| {
        refuse(value, queue::RCV, limit::TCP_MEM_HARD, many);
    };
    let report = node(true, by_tcp_mem);
    assert_eq!(
        names(&report),
        ["cache/redis-0", "shop/web-7", "all others"]
    );
    let said = format!("{:?}", report.verdict);
    assert!(
        said.contains("cache/redis-0 (7 segments refused) and at least 2 more suffer"),
        "{said}"
    );
    assert!(!said.contains("all others"), "{said}");
}

#[test]
fn the_worst_of_those_who_are_known_decides() {
    let by_rcvbuf = |value: &mut TallyValue, many| {
        refuse(value, queue::RCV, limit::RCVBUF, many);
        value.prunes[limit::RCVBUF] = many;
    };
    let busy = |value: &mut TallyValue, many| value.counts[count::BACKLOG_DROPS] = many;
    let aborted = |value: &mut TallyValue, many| value.counts[count::ABORTS_ON_MEMORY] = many;
    for report in [
        node(false, by_rcvbuf),
        node(false, busy),
        node(false, aborted),
    ] {
        let said = format!("{:?} {:?}", report.verdict, report.culprits);
        assert!(said.contains("redis-0"), "{said}");
        assert!(!said.contains("all others"), "{said}");
    }
}

#[test]
fn where_nobody_else_is_known_nobody_is_named() {
    let mut node = Fixture::quiet();
    node.owners.insert(OTHERS, Owner::of_kind(OwnerKind::Other));
    node.tally(OTHERS, |value| {
        refuse(value, queue::RCV, limit::RCVBUF, 9);
        value.prunes[limit::RCVBUF] = 9;
        value.counts[count::ZERO_WINDOW_DROPS] = 4;
    });
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::Inconclusive);
    let said = format!("{:?}", report.verdict);
    assert!(said.contains("whose they were is not known"), "{said}");
    assert!(said.contains("by many, none of them much"), "{said}");

    let mut node = Fixture::quiet();
    node.owners.insert(OTHERS, Owner::of_kind(OwnerKind::Other));
    node.tally(OTHERS, |value| value.counts[count::ABORTS_ON_MEMORY] = 9);
    assert_eq!(node.report().culprits, []);
}

#[test]
fn whether_they_have_recovered_is_the_nodes_figure() {
    let by_tcp_mem = |value: &mut TallyValue, many| {
        refuse(value, queue::RCV, limit::TCP_MEM_HARD, many);
    };
    let before = node(false, by_tcp_mem);
    let recovery = recovery::compare(&before, &Fixture::quiet().report());
    let whose: Vec<Option<&str>> = (recovery.items.iter())
        .map(|it| it.owner.as_ref().map(|owner| owner.name.as_str()))
        .collect();
    assert!(whose.contains(&Some("cache/redis-0")), "{whose:?}");
    assert!(!whose.contains(&Some("all others")), "{whose:?}");
}
