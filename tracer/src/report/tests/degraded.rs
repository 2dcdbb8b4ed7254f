//! Less than everything is known: losses, residuals, gaps; and a quiet node.

use serde_json::Value;
use tracer_common::{lost, tally::limit, tally::queue};

use super::{
    fixture::{self, Fixture, LEAKY, WEB},
    golden, incident,
};
use crate::{
    holders::TcpState,
    indicators::{Counter, RowState},
    kernel::plan::Sight,
    report::plan,
};

#[test]
fn a_quiet_node_is_told_so_with_its_fill() {
    let mut node = Fixture::quiet();
    node.sockets(WEB, 3, TcpState::Established, fixture::received(50_000));
    let report = node.report();
    golden::check("quiet", &report);
    assert_eq!(report.verdict.limit, None);
    assert_eq!(report.tcp_memory.fill, Some(0.1), "1,200 of 12,000 pages");
    assert!(report.culprits.is_empty() && report.victims.is_empty());
    let summary = &report.verdict.summary;
    assert!(
        summary.starts_with("Nothing was refused or pruned in 10.0 s"),
        "{summary}"
    );
    assert!(summary.contains("10.0 % full"), "{summary}");
    assert!(!summary.contains("WARNING"), "{summary}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json.pointer("/verdict/limit"), Some(&Value::Null));

    node.memory.sockstat_pages = Some(8_001);
    let summary = node.report().verdict.summary;
    assert!(
        summary.contains("WARNING"),
        "one page above the pressure line: {summary}"
    );

    node.duration_ns = 0;
    node.traced = false;
    assert!(
        node.report()
            .verdict
            .summary
            .starts_with("A snapshot: refusals were not watched")
    );
}

#[test]
fn a_residual_is_visible_in_the_summary() {
    let mut node = incident::incident();
    node.row(Counter::TCPOFODrop, Some(304), Some(300));
    node.possible_misses = Some(3);
    let report = node.report();
    golden::check("residual", &report);
    let row = report
        .reconciliation
        .iter()
        .find(|row| row.counter == "TCPOFODrop")
        .unwrap();
    assert_eq!(row.residual, Some(4));
    let summary = &report.verdict.summary;
    let words = "Counts are not exact: residual 4 on TCPOFODrop in netns 4026532002";
    assert!(summary.contains(words), "{summary}");
    assert!(summary.contains("possible_misses 3"), "{summary}");
}

#[test]
fn nothing_seen_with_a_residual_is_not_called_nothing() {
    let mut node = Fixture::quiet();
    node.row(Counter::TCPRcvQDrop, Some(5), Some(0));
    let summary = node.report().verdict.summary;
    assert!(!summary.contains("Nothing was refused"), "{summary}");
    assert!(summary.contains("residual 5 on TCPRcvQDrop"), "{summary}");
}

#[test]
fn overflow_keeps_the_count_and_loses_only_the_owner() {
    let mut node = incident::incident();
    let mut delta = node.deltas[0];
    delta.key = delta.key.overflow();
    node.deltas.push(delta);
    node.losses[lost::TALLIES_FULL as usize] = 1_632;
    let report = node.report();
    golden::check("overflow", &report);
    let lost = report
        .victims
        .iter()
        .find(|v| v.owner.name.starts_with("unattributed"))
        .unwrap();
    assert_eq!(lost.refused(), 812);
    assert_eq!(report.losses.unattributed, Some(812));
    assert_eq!(report.losses.tallies_full, Some(1_632));
    let summary = &report.verdict.summary;
    assert!(
        summary.contains("812 refusals belong to owners that found no room"),
        "{summary}"
    );
    assert!(
        summary.contains("cache/redis-0"),
        "a named victim is named: {summary}"
    );
    // 815 of redis, 2,000 of the leak, 812 lost.
    assert!(summary.contains("refused 3627 segments"), "{summary}");
}

#[test]
fn a_blind_counter_is_null_for_victims() {
    let mut node = incident::incident();
    let ofo = node
        .plan
        .counters
        .iter_mut()
        .find(|c| c.counter == Counter::OfoPruned)
        .unwrap();
    ofo.sight = Sight::Blind;
    let report = node.report();
    assert_eq!(report.victims[0].ofo_prunes, None);
    assert!(report.victims[0].rcv_pruned.is_some());
}

#[test]
fn sockets_without_memory_are_counted_and_said() {
    let mut node = incident::incident();
    let mut bare = fixture::socket(LEAKY, 999, TcpState::Established, fixture::received(9));
    bare.memory = None;
    let unread = u64::from(bare.unread);
    assert!(unread > 0);
    let end = node.end.as_mut().unwrap();
    end.sockets.push(bare);
    end.gaps.push("netns 5: not permitted".into());
    let report = node.report();
    let leak = &report.culprits[0].holder;
    // Its payload stands for its memory.
    assert_eq!((leak.sockets, leak.held_bytes), (401, 47_400_000 + unread));
    let gaps = report.losses.gaps.join("\n");
    assert!(
        gaps.contains("memory of 1 sockets") && gaps.contains("netns 5"),
        "{gaps}"
    );
}

#[test]
fn memory_freed_within_the_window_is_seen_at_its_start() {
    let mut node = incident::incident();
    node.start = node.end.replace(Default::default());
    let report = node.report();
    assert_eq!(report.culprits[0].holder.owner.name, "shop/leaky");
    assert_eq!(report.culprits[0].holder.growth_bytes, Some(-47_400_000));
    assert!(
        report
            .losses
            .gaps
            .iter()
            .any(|gap| gap.contains("an earlier time of the window"))
    );
}

#[test]
fn a_namespace_that_died_is_a_gap() {
    let mut node = incident::incident();
    for row in &mut node.rows {
        row.kernel = None;
        row.state = RowState::Gone;
    }
    let report = node.report();
    assert_eq!(report.reconciliation[0].residual, None);
    let gaps: Vec<_> = report
        .losses
        .gaps
        .iter()
        .filter(|gap| gap.contains("died"))
        .collect();
    assert_eq!(gaps.len(), 1, "one a namespace, not one a counter");
}

#[test]
fn nothing_is_exact_beside_a_residual() {
    let mut node = incident::incident();
    let counter = node.rows[0].counter;
    node.rows[0].attributed = node.rows[0].kernel.map(|kernel| kernel + 3);
    node.rows[0].bound = Some(2);
    let sights = |node: &Fixture| {
        let counters = node.report().plan.counters;
        let exact = counters.iter().filter(|it| it.sight == plan::Sight::Exact);
        let judged = counters.iter().find(|it| it.counter == counter.name());
        (exact.count(), judged.unwrap().clone())
    };
    let (exact, judged) = sights(&node);
    assert_eq!((exact, judged.sight), (11, plan::Sight::Derived));
    assert!(judged.why.unwrap().ends_with("its residual is -3"));
    // What readings at two instants may differ by proves nothing.
    node.rows[0].bound = Some(3);
    assert_eq!(sights(&node).0, 12);
}

#[test]
fn a_loud_owner_hides_no_quiet_one() {
    let mut node = Fixture::quiet();
    node.events = (0..5_000)
        .map(|n| fixture::event(LEAKY, n, queue::RCV, limit::TCP_MEM_HARD))
        .chain((0..3).map(|n| fixture::event(WEB, 9_000 + n, queue::OFO, limit::RCVBUF)))
        .collect();
    let report = node.report();
    assert_eq!(report.evidence.len(), 100);
    let web = report
        .evidence
        .iter()
        .filter(|event| event.owner.name == "shop/web-7")
        .count();
    assert_eq!(web, 3);
    assert!(
        report
            .losses
            .gaps
            .iter()
            .any(|gap| gap.contains("100 of 5003"))
    );
    assert!(report.evidence.is_sorted_by_key(|event| event.at));
}

#[test]
fn gaps_are_bounded_and_counted() {
    let mut node = Fixture::quiet();
    node.gaps = (0..70)
        .map(|n| format!("netns {n}: not permitted"))
        .collect();
    let gaps = node.report().losses.gaps;
    assert_eq!(gaps.len(), 50 + 1);
    assert_eq!(gaps[50], "and 20 more gaps that are not listed");
}
