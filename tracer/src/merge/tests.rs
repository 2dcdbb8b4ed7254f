//! Joined reports, against sums made here.

use jiff::SignedDuration;
use tracer_common::tally::stall;

use super::*;
use crate::report::{
    StallPercentiles, Victim,
    merged::{MergedOwner, Shared},
    tests::{fixture::Fixture, incident::incident},
};

fn on(node: &str, mut report: Report, later: i64) -> Report {
    report.node.k8s_node_name = Some(node.to_owned());
    let later = SignedDuration::from_secs(later);
    report.window.start += later;
    report.window.end += later;
    report
}

fn merged(reports: &[(&str, Report)]) -> Merged {
    let mut merger = Merger::default();
    for (file, report) in reports {
        merger.take(file, report);
    }
    merger.finish("0.1.0", 20)
}

fn refused(report: &Report) -> u64 {
    report.victims.iter().map(Victim::refused).sum()
}

fn names(owners: &[MergedOwner]) -> Vec<&str> {
    owners.iter().map(|owner| owner.name.as_str()).collect()
}

#[test]
fn three_nodes_are_the_sum_of_three_reports() {
    let a = on("node-a", incident().report(), 0);
    let mut b = on("node-b", incident().report(), 2);
    b.victims[0].refusals.rcv = Some(1_000_000);
    let c = on("node-c", Fixture::quiet().report(), 1);
    let all = merged(&[
        ("a.json", a.clone()),
        ("b.json", b.clone()),
        ("c.json", c.clone()),
    ]);
    assert_eq!((all.reports, all.affected, all.healthy), (3, 2, 1));
    assert_eq!(all.refusals, refused(&a) + refused(&b) + refused(&c));
    let prunes =
        |report: &Report| -> u64 { report.victims.iter().filter_map(|it| it.prunes).sum() };
    assert_eq!(all.prunes, prunes(&a) + prunes(&b));
    let held = |report: &Report| report.attribution.held_bytes.unwrap();
    assert_eq!(all.held_bytes, held(&a) + held(&b) + held(&c));
    // The worst first.
    let order: Vec<&str> = all.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(order, ["node-b", "node-a", "node-c"]);
    // A pod that both have is one.
    let leaky = &all.culprits[0];
    assert_eq!(names(&all.culprits), ["shop/leaky"]);
    assert_eq!(leaky.nodes, ["node-a", "node-b"]);
    assert_eq!(leaky.held_bytes, 2 * a.culprits[0].holder.held_bytes);
    assert_eq!(leaky.contact.as_deref(), Some("team shop"));
    for victim in &all.victims {
        let of = |report: &Report| -> u64 {
            let victims = report.victims.iter();
            victims
                .filter(|it| it.owner.name == victim.name)
                .map(Victim::refused)
                .sum()
        };
        assert_eq!(victim.refusals, of(&a) + of(&b), "{}", victim.name);
    }
    assert_eq!(all.gaps, Vec::<String>::new());
    let window = all.window.unwrap();
    assert_eq!((window.start, window.end), (a.window.start, b.window.end));
}

#[test]
fn histograms_are_added_without_error() {
    let bucket = |place: usize, count| {
        let (from_ns, to_ns) = stall::bounds(place);
        StallBucket {
            from_ns,
            to_ns,
            count,
        }
    };
    let with = |buckets: &[StallBucket]| {
        let mut report = incident().report();
        report.victims.truncate(1);
        report.victims[0].stall_buckets = buckets.to_vec();
        report.victims[0].stall_percentiles = Some(StallPercentiles::default());
        report
    };
    let a = on("a", with(&[bucket(3, 90), bucket(40, 1)]), 0);
    let b = on("b", with(&[bucket(3, 8), bucket(20, 1)]), 0);
    let all = merged(&[("a", a), ("b", b)]);
    let sums = [bucket(3, 98), bucket(20, 1), bucket(40, 1)];
    assert_eq!(all.stall_buckets, sums);
    // As if all 100 prunes had been on one node.
    let mut one = [0; stall::BUCKETS];
    for it in sums {
        one[it.place().unwrap()] = it.count;
    }
    let one: StallPercentiles = crate::aggregate::stall::percentiles(&one).unwrap().into();
    assert_eq!(all.stall_percentiles, Some(one));
    let (_, end) = stall::bounds(20);
    assert!(one.p99_ns < end && one.max_ns > end, "{one:?}");

    let odd = StallBucket {
        from_ns: 5,
        to_ns: 6,
        count: 1,
    };
    let all = merged(&[("odd", on("o", with(&[odd]), 0))]);
    assert!(all.gaps[0].contains("from 5 to 6 ns"), "{:?}", all.gaps);
    let all = merged(&[("old", on("o", with(&[]), 0))]);
    assert!(all.gaps[0].contains("earlier version"), "{:?}", all.gaps);
}

#[test]
fn what_was_counted_already_is_not_counted_twice() {
    let first = on("a", incident().report(), 0);
    let again = on("a", incident().report(), 5);
    let later = on("a", incident().report(), 60);
    let all = merged(&[("1", first.clone()), ("2", again), ("3", later)]);
    assert_eq!(all.reports, 2);
    assert_eq!(all.refusals, 2 * refused(&first));
    assert!(
        all.gaps[0].contains("2: left out, 1 covers the same time of node a"),
        "{:?}",
        all.gaps
    );
}

#[test]
fn clocks_that_are_off_are_shown() {
    let report = |node, later| (node, on(node, incident().report(), later));
    let all = merged(&[report("a", 0), report("b", 1), report("c", -3600)]);
    let off = |node: &str| {
        let node = all.nodes.iter().find(|it| it.node == node).unwrap();
        (node.offset_ms, node.overlaps)
    };
    assert_eq!(off("a"), (0, true));
    assert_eq!(off("b"), (1_000, true));
    assert_eq!(off("c"), (-3_600_000, false));
    assert!(
        all.gaps[0].contains("1 node was watched at another time"),
        "{:?}",
        all.gaps
    );
    assert_eq!(all.refusals, 3 * refused(&incident().report()));
}

#[test]
fn what_affected_nodes_share_and_others_do_not() {
    let node = |name: &str, bad: bool, kernel: &str, zone: &str| {
        let report = if bad {
            incident().report()
        } else {
            Fixture::quiet().report()
        };
        let mut report = on(name, report, 0);
        report.node.kernel = kernel.into();
        report
            .node
            .labels
            .insert("topology.kubernetes.io/zone".into(), zone.into());
        report
    };
    let all = merged(&[
        ("1", node("1", true, "6.1", "east")),
        ("2", node("2", true, "6.1", "west")),
        ("3", node("3", false, "6.1", "west")),
        ("4", node("4", false, "5.10", "west")),
    ]);
    let shared = |what: &str| all.shared.iter().find(|it| it.what == what);
    let kernel = Shared {
        what: "kernel".into(),
        value: "6.1".into(),
        affected: 2,
        others: 1,
    };
    assert_eq!(shared("kernel"), Some(&kernel));
    assert_eq!(
        shared("limit").map(|it| (it.affected, it.others)),
        Some((2, 0))
    );
    assert_eq!(shared("topology.kubernetes.io/zone"), None, "one of each");
    assert_eq!(shared("tcpress"), None, "every node has that");
}

#[test]
fn time_until_a_node_is_full() {
    let mut report = incident().report();
    report.window.duration_ns = 10_000_000_000;
    report.tcp_memory.allocated_bytes = Some(600);
    let marks = report.tcp_memory.tcp_mem_bytes.as_mut().unwrap();
    marks.max = 1_000;
    for holder in &mut report.holders {
        holder.growth_bytes = Some(0);
    }
    assert_eq!(time::until_full(&report), None);
    report.holders[0].growth_bytes = Some(100);
    // 400 bytes at 10 a second.
    assert_eq!(time::until_full(&report), Some(40_000));
    report.tcp_memory.allocated_bytes = Some(1_001);
    assert_eq!(time::until_full(&report), Some(0));
    report.tcp_memory.allocated_bytes = None;
    assert_eq!(time::until_full(&report), None);
}

#[test]
fn nothing_joined_is_nothing() {
    let mut merger = Merger::default();
    merger.failed("bad\u{1b}.json", "no \u{202e} report");
    let all = merger.finish("0.1.0", 20);
    assert_eq!((all.reports, all.refusals, all.window), (0, 0, None));
    assert!(!all.gaps[0].contains('\u{1b}') && !all.gaps[0].contains('\u{202e}'));
}
