//! The culprit follows the limit.

use tracer_common::tally::{limit, queue};

use super::{
    fixture::{self, Fixture, LEAKY, REDIS, REDIS_SIDECAR, WEB},
    golden,
};
use crate::{
    holders::TcpState,
    indicators::Counter,
    output::table,
    report::{Confidence, Kind, Limit, Report, context::Reader},
};

/// A big holder that has no part in anything.
fn with_innocent_holder() -> Fixture {
    let mut node = Fixture::quiet();
    node.sockets(LEAKY, 300, TcpState::CloseWait, fixture::received(100_000));
    node.sockets(REDIS, 1, TcpState::Established, fixture::received(65_536));
    node
}

fn rcvbuf() -> Fixture {
    let mut node = with_innocent_holder();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::RCVBUF, 70);
        fixture::refuse(value, queue::OFO, limit::RCVBUF, 30);
        value.prunes[limit::RCVBUF] = 100;
        value.rcv_pruned = 100;
    });
    node.row(Counter::TCPRcvQDrop, Some(70), Some(70));
    node.row(Counter::TCPOFODrop, Some(30), Some(30));
    node.row(Counter::PruneCalled, Some(100), Some(100));
    node.row(Counter::RcvPruned, Some(100), Some(100));
    node.events = vec![fixture::event(
        REDIS,
        5_000_000_000,
        queue::RCV,
        limit::RCVBUF,
    )];
    node
}

/// The parts of a report that accuse.
fn accusing(report: &Report) -> String {
    let advice: Vec<&str> = report
        .verdict
        .advice
        .iter()
        .map(|a| a.action.as_str())
        .collect();
    let culprits = serde_json::to_string(&report.culprits).unwrap();
    format!("{} {} {culprits}", report.verdict.summary, advice.join(" "))
}

#[test]
fn rcvbuf_accuses_the_reader_and_nobody_else() {
    let report = rcvbuf().report();
    golden::check("rcvbuf", &report);
    assert_eq!(report.verdict.kind, Kind::SlowReader);
    assert_eq!(report.verdict.reader, Some(Reader::Unknown));
    assert_eq!(report.verdict.limit, Some(Limit::Rcvbuf));
    assert_eq!(report.verdict.detail, None);
    assert_eq!(report.victims.len(), 1);
    assert_eq!(report.victims[0].refusals_by_limit.rcvbuf, Some(100));
    assert_eq!(report.culprits.len(), 1);
    assert_eq!(report.culprits[0].holder.owner.name, "cache/redis-0");
    assert_eq!(report.culprits[0].holder.held_bytes, 65_536);
    assert!(
        !accusing(&report).contains("leaky"),
        "{}",
        accusing(&report)
    );
    // The evidence says 65,536 bytes of buffer and 49,152 unread.
    let words = "does not read fast enough (receive buffer 64.0 KiB, 48.0 KiB unread)";
    assert!(
        report.verdict.summary.contains(words),
        "{}",
        report.verdict.summary
    );
    assert_eq!(
        report.holders[0].owner.name, "shop/leaky",
        "holders stay a fact"
    );
    assert!(
        !table::report(&report).contains("leaky"),
        "the table shows holders only without culprits"
    );
}

#[test]
fn a_reader_with_nothing_to_read_is_not_called_slow() {
    let mut node = rcvbuf();
    node.events[0].unread = 0;
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::OfoGrowth);
    assert!(report.culprits.is_empty(), "the path is to blame");
    let summary = report.verdict.summary;
    assert!(!summary.contains("fast enough"), "{summary}");
    assert!(summary.contains("out of order"), "{summary}");
}

#[test]
fn without_evidence_the_scan_speaks_for_the_reader() {
    let mut node = rcvbuf();
    node.events.clear();
    let summary = node.report().verdict.summary;
    assert!(summary.contains("does not read fast enough;"), "{summary}");
    let state = tracer_common::SocketState {
        owner: fixture::key(REDIS),
        verdicts: [100, 0, 0, 0, 0],
        last_limit: 0,
        ..Default::default()
    };
    node.states = vec![(REDIS * 10_000, state)];
    let summary = node.report().verdict.summary;
    // rcvbuf 131,072; unread two thirds of 65,536, in whole bytes 43,690.
    assert!(
        summary.contains("(receive buffer 128.0 KiB, 42.7 KiB unread)"),
        "{summary}"
    );
}

#[test]
fn memcg_looks_within_the_subtree_only() {
    let mut node = with_innocent_holder();
    // The container beside it in the same pod holds most.
    node.sockets(
        REDIS_SIDECAR,
        4,
        TcpState::Established,
        fixture::received(200_000),
    );
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::MEMCG_V2, 25);
        value.prunes[limit::MEMCG_V2] = 40;
    });
    let report = node.report();
    golden::check("memcg", &report);
    assert_eq!(report.verdict.kind, Kind::MemcgLimit);
    assert_eq!(report.verdict.limit, Some(Limit::Memcg));
    assert_eq!(report.culprits.len(), 1);
    let culprit = &report.culprits[0].holder;
    assert_eq!(culprit.owner.name, "cache/redis-0");
    assert_eq!(culprit.held_bytes, 65_536 + 4 * 200_000);
    assert_eq!(culprit.sockets, 5);
    // The share is of the whole node, in which the innocent holds 30,000,000.
    let share = 865_536.0 / (865_536.0 + 30_000_000.0);
    assert!((culprit.share.unwrap() - share).abs() < 1e-4);
    assert!(
        !accusing(&report).contains("leaky"),
        "{}",
        accusing(&report)
    );
}

#[test]
fn mixed_limits_are_ordered_and_mentioned() {
    let mut node = with_innocent_holder();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::TCP_MEM_FAIR_SHARE, 60);
        value.prunes[limit::TCP_MEM_FAIR_SHARE] = 60;
        value.last_allocated_pages = 9_000;
        value.last_tcp_mem_max_pages = 12_000;
    });
    node.tally(WEB, |value| {
        fixture::refuse(value, queue::RCV, limit::RCVBUF, 40);
        fixture::refuse(value, queue::OFO, limit::UNKNOWN, 2);
        fixture::refuse(value, queue::FORCED, limit::RCVBUF, 1_000);
        value.prunes[limit::RCVBUF] = 500;
    });
    let report = node.report();
    golden::check("mixed", &report);
    assert_eq!(
        report.verdict.limit,
        Some(Limit::TcpMem),
        "forced admissions are no refusals"
    );
    assert_eq!(
        report.verdict.detail,
        Some(crate::report::Detail::FairShare)
    );
    assert_eq!(report.tcp_memory.fill, Some(0.75));
    let summary = &report.verdict.summary;
    assert!(
        summary.contains("other limits struck too: receive buffers (40 segments), a limit that was not seen (2 segments)"),
        "{summary}"
    );
    assert!(
        summary.contains("cache/redis-0 suffers (60 segments refused)"),
        "{summary}"
    );
    let web = report
        .victims
        .iter()
        .find(|v| v.owner.name == "shop/web-7")
        .unwrap();
    assert_eq!(web.refused(), 42);
    assert_eq!(web.forced_admissions, Some(1_000));
}

#[test]
fn an_unseen_limit_accuses_nobody() {
    let mut node = with_innocent_holder();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::UNKNOWN, 9);
    });
    let report = node.report();
    assert_eq!(report.verdict.limit, Some(Limit::Unknown));
    assert_eq!(report.verdict.kind, Kind::Inconclusive);
    assert_eq!(report.verdict.confidence, Confidence::None);
    assert!(report.culprits.is_empty());
    assert!(!accusing(&report).contains("leaky"));
    assert!(!report.holders.is_empty());
}
