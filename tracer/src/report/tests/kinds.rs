//! Each kind of verdict, from the least that makes it, and what must not make it.

use std::sync::Arc;

use tracer_common::tally::{count, limit, queue};

use super::{
    fixture::{self, Fixture, LEAKY, PAGE, REDIS, WEB},
    incident::incident,
};
use crate::{
    attribute::{contact::Contact, owner::PodFacts},
    holders::{Scan, TcpState, socket::SocketMemory},
    indicators::{
        Counter,
        memcg::{Events, Pressed},
    },
    report::{Confidence, Kind, Leak, Report},
};

/// TCP memory is full: 12,000 pages of 4 KiB, 49,152,000 bytes, and Redis suffers by it.
fn full() -> Fixture {
    let mut node = Fixture::quiet();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::TCP_MEM_HARD, 100);
        value.prunes[limit::TCP_MEM_HARD] = 100;
        value.last_allocated_pages = 12_000;
        value.last_tcp_mem_max_pages = 12_000;
    });
    node.memory.sockstat_pages = Some(12_000);
    node
}

/// All sockets were there before, and had so much more to read then.
fn seen_before(node: &mut Fixture, more: u32) {
    let mut start = node.end.clone().unwrap();
    for socket in &mut start.sockets {
        socket.unread += more;
    }
    node.start = Some(start);
}

fn culprits(report: &Report) -> Vec<&str> {
    let names = report.culprits.iter();
    names.map(|it| it.holder.owner.name.as_str()).collect()
}

fn kind(report: &Report) -> (Kind, Option<Leak>) {
    (report.verdict.kind, report.verdict.leak)
}

#[test]
fn every_leak_has_its_name() {
    for (state, fileless, leak) in [
        (TcpState::CloseWait, false, Leak::CloseWait),
        (TcpState::Close, false, Leak::ResetUnread),
        (TcpState::Established, false, Leak::NotReading),
        (TcpState::Established, true, Leak::NotAccepted),
        (TcpState::CloseWait, true, Leak::NotAccepted),
    ] {
        let mut node = full();
        node.sockets(LEAKY, 450, state, fixture::received(100_000));
        for socket in &mut node.end.as_mut().unwrap().sockets {
            if fileless {
                socket.inode = 0;
            }
        }
        seen_before(&mut node, 0);
        let report = node.report();
        assert_eq!(kind(&report), (Kind::TcpMemLeak, Some(leak)), "{state:?}");
        assert_eq!(culprits(&report), ["shop/leaky"]);
        assert_eq!(report.verdict.confidence, Confidence::High);
    }
}

#[test]
fn an_honest_holder_beside_the_leak_is_not_accused() {
    let mut node = full();
    node.sockets(LEAKY, 250, TcpState::CloseWait, fixture::received(100_000));
    node.sockets(WEB, 200, TcpState::Established, fixture::received(100_000));
    seen_before(&mut node, 1);
    let report = node.report();
    assert_eq!(kind(&report), (Kind::TcpMemLeak, Some(Leak::CloseWait)));
    assert_eq!(culprits(&report), ["shop/leaky"]);
    // Nor is it where it holds more than the leak, as long as that is what fills the node: 20,000,000 bytes more than
    // the line at 32,768,000 allows.
    let mut node = full();
    node.sockets(LEAKY, 200, TcpState::CloseWait, fixture::received(100_000));
    node.sockets(WEB, 250, TcpState::Established, fixture::received(100_000));
    seen_before(&mut node, 1);
    assert_eq!(culprits(&node.report()), ["shop/leaky"]);
}

#[test]
fn a_leak_that_does_not_matter_is_not_blamed_for_honest_load() {
    let mut node = full();
    // 5,000,000 of 49,152,000: a tenth.
    node.sockets(LEAKY, 50, TcpState::CloseWait, fixture::received(100_000));
    node.sockets(WEB, 400, TcpState::Established, fixture::received(100_000));
    seen_before(&mut node, 1);
    let report = node.report();
    assert_eq!(kind(&report), (Kind::TcpMemUndersized, None));
    assert_eq!(culprits(&report), Vec::<&str>::new());
    let ruled_out = report
        .verdict
        .ruled_out
        .iter()
        .find(|it| it.what == "a leak");
    assert!(ruled_out.unwrap().why.contains("10.2 %"), "{ruled_out:?}");
    // 12,000 pages and a quarter more; the other marks rise by as many.
    assert_eq!(
        report.verdict.advice[0].command.as_deref(),
        Some("sysctl -w net.ipv4.tcp_mem=\"9000 11000 15000\"")
    );
    assert_eq!(report.verdict.advice[0].predicted_fill, Some(0.8));
}

#[test]
fn the_headline_says_whom_to_call() {
    let mut node = full();
    node.sockets(LEAKY, 450, TcpState::CloseWait, fixture::received(100_000));
    let owner = node.owners.get_mut(&LEAKY).unwrap();
    owner.about_pod = Some(Arc::new(PodFacts {
        contact: vec![Contact {
            key: "team".to_owned(),
            value: "payments".to_owned(),
        }],
        ..PodFacts::default()
    }));
    let headline = node.report().verdict.headline;
    // 45,000,000 of 49,152,000: 92 %.
    let words = "tcp_mem FULL 46.9/46.9 MiB: shop/leaky (team payments) holds 42.9 MiB, 92 %, in 450 CLOSE-WAIT sockets";
    assert!(headline.starts_with(words), "{headline}");
}

#[test]
fn two_leaks_are_two_culprits() {
    let mut node = full();
    node.sockets(LEAKY, 200, TcpState::CloseWait, fixture::received(100_000));
    node.sockets(WEB, 250, TcpState::Close, fixture::received(100_000));
    let report = node.report();
    assert_eq!(kind(&report), (Kind::TcpMemLeak, Some(Leak::ResetUnread)));
    assert_eq!(culprits(&report), ["shop/web-7", "shop/leaky"]);
}

#[test]
fn whoever_was_there_only_in_between_is_found_all_the_same() {
    let mut node = full();
    node.sockets(LEAKY, 450, TcpState::CloseWait, fixture::received(100_000));
    // It came after the first look and was gone at the last.
    node.peak = node.end.replace(Scan::default());
    let report = node.report();
    assert_eq!(kind(&report), (Kind::TcpMemLeak, Some(Leak::CloseWait)));
    assert_eq!(culprits(&report), ["shop/leaky"]);
    assert_eq!(report.culprits[0].holder.growth_bytes, Some(45_000_000));
    assert!(
        report.verdict.headline.contains("(freed since)"),
        "{}",
        report.verdict.headline
    );
    // What is more at the end than ever before speaks for itself.
    node.end = node.peak.clone();
    node.peak = Some(Scan::default());
    assert!(!node.report().verdict.headline.contains("freed"));
}

#[test]
fn below_the_stated_share_the_verdict_abstains() {
    // 70 % of 49,152,000 are 34,406,400, of which CPUs may keep 512 pages, 2,097,152, to themselves.
    for (sockets, kind, named) in [(323, Kind::Inconclusive, 0), (324, Kind::TcpMemLeak, 1)] {
        let mut node = full();
        node.sockets(
            LEAKY,
            sockets,
            TcpState::CloseWait,
            fixture::received(100_000),
        );
        let report = node.report();
        assert_eq!(report.verdict.kind, kind);
        assert_eq!(report.culprits.len(), named);
        assert_ne!(report.verdict.confidence, Confidence::High);
    }
}

#[test]
fn memory_of_closed_connections_is_an_orphan_flood() {
    let mut node = full();
    let sent = SocketMemory {
        wmem_queued: 100_000,
        ..SocketMemory::default()
    };
    node.sockets(LEAKY, 400, TcpState::FinWait1, sent);
    for socket in &mut node.end.as_mut().unwrap().sockets {
        socket.inode = 0;
    }
    let report = node.report();
    assert_eq!(kind(&report), (Kind::OrphanFlood, None));
    assert_eq!(culprits(&report), ["shop/leaky"]);
}

#[test]
fn aborts_at_a_node_that_is_not_full_are_of_too_many_orphans() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| value.counts[count::ABORTS_ON_MEMORY] = 7);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::OrphanFlood);
    assert_eq!(culprits(&report), ["shop/web-7"]);
}

#[test]
fn aborts_at_a_node_full_of_honest_sockets_are_its_own_kind() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| value.counts[count::ABORTS_ON_MEMORY] = 7);
    node.memory.sockstat_pages = Some(12_100);
    node.memory.pressure = Some(true);
    node.sockets(
        REDIS,
        450,
        TcpState::Established,
        fixture::received(100_000),
    );
    seen_before(&mut node, 1);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::OomAborts);
    assert_eq!(culprits(&report), Vec::<&str>::new());
    assert!(
        report.verdict.headline.contains("7 connections ended"),
        "{}",
        report.verdict.headline
    );
}

#[test]
fn a_full_backlog_is_its_own_socket_being_busy() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| value.counts[count::BACKLOG_DROPS] = 40);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::Backlog);
    assert_eq!(culprits(&report), ["shop/web-7"]);
}

#[test]
fn segments_out_of_order_accuse_nobody() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| {
        fixture::refuse(value, queue::OFO, limit::RCVBUF, 60);
        fixture::refuse(value, queue::RCV, limit::RCVBUF, 10);
        value.prunes[limit::RCVBUF] = 70;
    });
    let mut event = fixture::event(WEB, 1, queue::OFO, limit::RCVBUF);
    // An eighth of 65,536 is 8,192.
    event.unread = 8_191;
    node.events = vec![event];
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::OfoGrowth);
    assert_eq!(culprits(&report), Vec::<&str>::new());
    // With much to read it is the reader all the same.
    node.events[0].unread = 8_192;
    assert_eq!(node.report().verdict.kind, Kind::SlowReader);
}

#[test]
fn a_buffer_that_moves_is_too_small_and_its_reader_is_not_accused() {
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| {
        fixture::refuse(value, queue::RCV, limit::RCVBUF, 60);
        value.prunes[limit::RCVBUF] = 60;
    });
    node.events = vec![fixture::event(WEB, 1, queue::RCV, limit::RCVBUF)];
    node.sockets(WEB, 4, TcpState::Established, fixture::received(60_000));
    seen_before(&mut node, 1);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::RcvbufSmall);
    assert_eq!(culprits(&report), Vec::<&str>::new());
    seen_before(&mut node, 0);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::SlowReader);
    assert_eq!(culprits(&report), ["shop/web-7"]);
}

#[test]
fn a_full_cgroup_matters_only_where_its_sockets_are_kept_small() {
    let pressed = |clamped: Option<u64>, sock: u64, usage: u64, oom: u64| Pressed {
        id: WEB,
        events: Events {
            max: Some(9),
            oom: Some(oom),
            ..Events::default()
        },
        usage_bytes: Some(usage),
        max_bytes: Some(1 << 20),
        sock_bytes: Some(sock),
        windows_clamped: clamped,
    };
    let limit = 1 << 20;
    for (clamped, sock, usage, oom, want) in [
        (Some(2), 100, limit, 0, Kind::MemcgLimit),
        // Full of caches.
        (Some(0), 1 << 19, limit, 0, Kind::Healthy),
        (Some(0), 1 << 10, limit + 1, 0, Kind::Healthy),
        // Charged over the limit, as nothing but softirq does.
        (Some(0), 1 << 19, limit + 1, 0, Kind::MemcgLimit),
        // It was full of what cannot be reclaimed, half of it sockets; or hardly any.
        (Some(0), 1 << 19, limit - 1, 1, Kind::MemcgLimit),
        (Some(0), 1 << 10, limit - 1, 1, Kind::Healthy),
        (None, 1 << 19, limit, 0, Kind::MemcgLimit),
        (None, 1 << 10, limit, 0, Kind::Healthy),
    ] {
        let mut node = Fixture::quiet();
        node.sockets(WEB, 1, TcpState::Established, fixture::received(60_000));
        node.sockets(LEAKY, 9, TcpState::CloseWait, fixture::received(60_000));
        node.memcgs = Some(vec![pressed(clamped, sock, usage, oom)]);
        let report = node.report();
        assert_eq!(report.verdict.kind, want, "{clamped:?} {sock} {oom}");
        let named = if want == Kind::Healthy {
            vec![]
        } else {
            vec!["shop/web-7"]
        };
        assert_eq!(culprits(&report), named);
    }
}

#[test]
fn a_healthy_node_is_called_so_with_its_checks() {
    let report = Fixture::quiet().report();
    assert_eq!(report.verdict.kind, Kind::Healthy);
    assert_eq!(report.verdict.confidence, Confidence::High);
    assert!(report.verdict.advice.is_empty());
    assert!(
        report.verdict.ruled_out.len() >= 5,
        "{:?}",
        report.verdict.ruled_out
    );
    // Queues that were tidied and lost nothing are health.
    let mut node = Fixture::quiet();
    node.tally(WEB, |value| value.prunes[limit::RCVBUF] = 12);
    assert_eq!(node.report().verdict.kind, Kind::Healthy);
    // What is not exact is not called healthy.
    let mut node = Fixture::quiet();
    node.row(Counter::PruneCalled, Some(1), Some(0));
    assert_eq!(node.report().verdict.kind, Kind::Inconclusive);
}

#[test]
fn no_advice_sets_a_limit_below_present_use() {
    for available in [None, Some(1 << 20), Some(1 << 30), Some(1 << 40)] {
        let mut node = incident();
        node.node.memory_available_bytes = available;
        // Nothing grows, so that a higher limit may gain time.
        node.start = node.end.clone();
        let report = node.report();
        let used = report.tcp_memory.allocated_bytes.unwrap();
        let set = report
            .verdict
            .advice
            .iter()
            .filter_map(|it| it.command.as_deref());
        let set: Vec<&str> = set.filter(|it| it.contains("tcp_mem=")).collect();
        for command in &set {
            let marks = command.split('"').nth(1).unwrap();
            let max: u64 = marks.split(' ').nth(2).unwrap().parse().unwrap();
            assert!(max * PAGE > used, "{command}");
        }
        // A quarter more is 13.2 MiB; the node must have four times that.
        let affordable = available.is_some_and(|it| it >= 1 << 30);
        assert_eq!(set.len(), usize::from(affordable), "{available:?}");
    }
}
