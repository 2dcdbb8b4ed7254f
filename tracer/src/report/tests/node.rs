//! The node's own state: its timeline, memory cgroups under pressure, limits that could not be seen.

use jiff::Timestamp;
use tracer_common::{
    ABI_VERSION, TimelineRecord,
    event::timeline,
    tally::{limit, queue, slot},
};

use super::fixture::{self, Fixture, LEAKY, REDIS, WEB};
use crate::{
    indicators::memcg::{Events, Pressed},
    output,
    report::{inputs::MAX_MOMENTS, timeline::Event},
};

fn record(cgroup: u64, at_ns: u64, kind: u32, milliseconds: u32) -> TimelineRecord {
    TimelineRecord {
        abi: ABI_VERSION,
        size: u32::try_from(size_of::<TimelineRecord>()).unwrap(),
        at_ns,
        cookie: 5,
        owner: fixture::key(cgroup),
        kind,
        milliseconds,
    }
}

#[test]
fn moments_stand_in_the_order_of_time_with_whose_hand_was_in_them() {
    let mut node = Fixture::quiet();
    let second = 1_000_000_000;
    node.timeline = vec![
        record(REDIS, 5 * second, timeline::PRESSURE_LEFT, 3_000),
        record(LEAKY, 2 * second, timeline::PRESSURE_ENTERED, 0),
        record(WEB, 3 * second, timeline::ABORT_ON_MEMORY, 0),
    ];
    let report = node.report();
    let moments = report.timeline.as_deref().unwrap();
    let seen: Vec<(Event, &str, Option<u64>)> = moments
        .iter()
        .map(|it| (it.event, it.owner.name.as_str(), it.duration_ms))
        .collect();
    assert_eq!(
        seen,
        [
            (Event::PressureEntered, "shop/leaky", None),
            (Event::AbortOnMemory, "shop/web-7", None),
            (Event::PressureLeft, "cache/redis-0", Some(3_000)),
        ]
    );
    assert!(moments.is_sorted_by_key(|it| it.at));
    // Orphans are counted by user space and stand among them by their own clock.
    let at: Timestamp = moments[1].at + jiff::SignedDuration::from_millis(1);
    node.orphans = vec![(at, 7)];
    let report = node.report();
    let moments = report.timeline.as_deref().unwrap();
    assert_eq!(
        (moments[2].event, moments[2].orphans),
        (Event::Orphans, Some(7))
    );
    let table = output::table::report(&report);
    for line in [
        "memory pressure entered: a socket of shop/leaky",
        "orphans: 7",
        "memory pressure left after 3000 ms: a socket of cache/redis-0",
    ] {
        assert!(table.contains(line), "{line} is not in\n{table}");
    }
}

#[test]
fn a_long_timeline_is_cut_and_says_so() {
    let mut node = Fixture::quiet();
    let many = u64::try_from(MAX_MOMENTS).unwrap() + 3;
    node.timeline = (0..many)
        .map(|n| record(WEB, n, timeline::ABORT_ON_MEMORY, 0))
        .collect();
    let report = node.report();
    assert_eq!(report.timeline.unwrap().len(), MAX_MOMENTS);
    let said = report
        .losses
        .gaps
        .iter()
        .any(|gap| gap.contains("of 203 moments"));
    assert!(said, "{:?}", report.losses.gaps);
}

#[test]
fn a_full_cgroup_is_told_although_it_refuses_nothing() {
    let mut node = Fixture::quiet();
    let pressed = |id: u64, max: u64, sock: u64| Pressed {
        id,
        events: Events {
            max: Some(max),
            ..Events::default()
        },
        usage_bytes: Some(1 << 20),
        max_bytes: Some(1 << 20),
        sock_bytes: Some(sock),
        windows_clamped: Some(3),
    };
    node.memcgs = Some(vec![pressed(WEB, 4, 0), pressed(REDIS, 24, 4096)]);
    let report = node.report();
    let memcgs = report.memcg_pressure.as_deref().unwrap();
    assert_eq!(
        memcgs[0].owner.name, "cache/redis-0",
        "the most events first"
    );
    assert_eq!(memcgs[0].max_events, Some(24));
    assert_eq!(
        memcgs[0].sock_throttled, None,
        "this kernel does not count it"
    );
    let summary = &report.verdict.summary;
    let words = "the memory cgroup of cache/redis-0 met its limit 24 times: the kernel holds 3 windows of its sockets small";
    assert!(summary.contains(words), "{summary}");
    assert!(
        !summary.contains("web-7"),
        "it has no socket memory: {summary}"
    );
    assert!(report.culprits.is_empty());
}

#[test]
fn an_unknown_limit_says_why() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| {
        value.verdicts[slot(queue::OFO, limit::UNKNOWN)] = 2;
        value.prunes[limit::UNKNOWN] = 2;
    });
    node.events = vec![fixture::event(WEB, 1, queue::OFO, limit::UNKNOWN)];
    let report = node.report();
    assert_eq!(report.victims[0].refusals_by_limit.unknown, Some(2));
    let why = report.evidence[0].limit_why.as_deref().unwrap();
    assert!(why.contains("what was compared"), "{why}");
    let gap = report.losses.gaps.iter().find(|gap| gap.contains(why));
    assert!(gap.is_some_and(|gap| gap.contains("2 refusals and 2 prunes")));
}
