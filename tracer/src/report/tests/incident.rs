//! The incident: one pod leaks until `tcp_mem` is full, another suffers.

use tracer_common::{SocketState, Tuple, tally::limit, tally::queue};

use super::{
    fixture::{self, Fixture, LEAKY, PAGE, REDIS, REDIS_SIDECAR, WEB},
    golden,
};
use crate::{
    aggregate::steps::Step,
    holders::TcpState,
    indicators::Counter,
    report::{Basis, Confidence, Detail, Kind, Leak, Limit, memory::AllocatedSource},
};

/// The leak holds 380 sockets of 120,000 bytes in CLOSE-WAIT and 20 open ones of 90,000.
pub(crate) fn incident() -> Fixture {
    let mut node = Fixture::quiet();
    node.tally(REDIS, |value| {
        fixture::refuse(value, queue::RCV, limit::TCP_MEM_HARD, 500);
        fixture::refuse(value, queue::OFO, limit::TCP_MEM_HARD, 300);
        fixture::refuse(value, queue::RCV, limit::TCP_MEM_FAIR_SHARE, 12);
        value.prunes[limit::TCP_MEM_HARD] = 820;
        value.rcv_pruned = 810;
        value.ofo_pruned = 40;
        value.rcv_collapsed = 9;
        value.stall_ns = 31_000_000;
        // 810 prunes between 28.672 and 32.768 µs, 10 between 458.752 and 524.288 µs.
        value.stalls[19] = 810;
        value.stalls[35] = 10;
        value.suppressed = 700;
        value.last_allocated_pages = 12_250;
        value.last_tcp_mem_max_pages = 12_000;
    });
    // The second container of the same pod.
    node.tally(REDIS_SIDECAR, |value| {
        fixture::refuse(value, queue::SEND_RCVQ, limit::TCP_MEM_HARD, 3);
        value.prunes[limit::TCP_MEM_HARD] = 3;
        value.rcv_pruned = 3;
        value.last_allocated_pages = 12_300;
        value.last_tcp_mem_max_pages = 12_000;
    });
    // The leak refuses its own senders too, and more often.
    node.tally(LEAKY, |value| {
        fixture::refuse(value, queue::RCV, limit::TCP_MEM_HARD, 2_000);
        value.prunes[limit::TCP_MEM_HARD] = 2_000;
        value.rcv_pruned = 2_000;
        value.last_allocated_pages = 12_200;
        value.last_tcp_mem_max_pages = 12_000;
    });
    // An older failure: nothing of it lies in the window, so its figure is no news.
    node.tally(WEB, |value| {
        value.last_allocated_pages = 99_999;
        value.last_tcp_mem_max_pages = 12_000;
    });
    node.sockets(LEAKY, 380, TcpState::CloseWait, fixture::received(120_000));
    node.sockets(LEAKY, 20, TcpState::Established, fixture::received(90_000));
    node.sockets(REDIS, 10, TcpState::Established, fixture::received(30_000));
    node.sockets(WEB, 5, TcpState::Established, fixture::received(20_000));
    let mut start = node.end.clone().unwrap();
    start
        .sockets
        .retain(|socket| socket.cgroup_id != Some(LEAKY) || socket.inode % 2 == 0);
    node.start = Some(start);
    node.memory.sockstat_pages = Some(11_900);
    node.memory.pressure = Some(true);
    node.row(Counter::TCPRcvQDrop, Some(515), Some(515));
    node.row(Counter::TCPOFODrop, Some(300), Some(300));
    node.row(Counter::PruneCalled, Some(823), Some(823));
    let mut tuple = Tuple {
        family: 2,
        local_port: 6379,
        remote_port: 40_000,
        ..Tuple::default()
    };
    tuple.local[..4].copy_from_slice(&[10, 0, 0, 1]);
    tuple.remote[..4].copy_from_slice(&[10, 0, 9, 9]);
    let state = |refusals: u64| SocketState {
        owner: fixture::key(REDIS),
        tuple,
        verdicts: [refusals, 0, 0, 0, 0],
        prunes: refusals,
        last_limit: u32::try_from(limit::TCP_MEM_HARD).unwrap(),
        ..SocketState::default()
    };
    node.states = (1..=8).map(|n| (9_000 + n, state(n * 10))).collect();
    let mut event = fixture::event(REDIS, 1_000_000_000, queue::OFO, limit::TCP_MEM_HARD);
    event.compared.allocated_pages = 12_250;
    event.compared.tcp_mem_pages = [8_000, 11_000, 12_000];
    node.events = vec![event];
    // Nine looks: each second 200 refusals of the leak and 80 of the victim, while 650 pages more are taken.
    node.steps = (1..=9)
        .map(|second| Step {
            end_ns: second * 1_000_000_000,
            sockstat_pages: Some(6_000 + 650 * second),
            refused: vec![(fixture::key(LEAKY), 200), (fixture::key(REDIS), 80)],
        })
        .collect();
    node
}

#[test]
fn the_leak_is_accused_and_the_innocent_named_as_victim() {
    let report = incident().report();
    golden::check("incident", &report);

    assert_eq!(report.verdict.kind, Kind::TcpMemLeak);
    assert_eq!(report.verdict.leak, Some(Leak::CloseWait));
    // 47,800,000 found of 50,380,800 allocated: 94.9 %.
    assert_eq!(report.verdict.confidence, Confidence::High);
    assert_eq!(
        report.verdict.headline,
        // 190 * 120,000 + 10 * 90,000 bytes in 10 s are 135.6 MiB a minute.
        "tcp_mem FULL 48.0/46.9 MiB: shop/leaky (team shop) holds 45.2 MiB, 94 %, in 380 CLOSE-WAIT sockets, +135.6 MiB/min; explained 98 %; confidence high"
    );
    assert_eq!(report.verdict.limit, Some(Limit::TcpMem));
    assert_eq!(report.verdict.detail, Some(Detail::Hard));
    assert_eq!(report.verdict.evidence, Basis::Probes);

    // Victims: the pod's two containers are one, and it has no single container id.
    assert_eq!(report.victims.len(), 2);
    let redis = report
        .victims
        .iter()
        .find(|v| v.owner.name == "cache/redis-0")
        .unwrap();
    assert_eq!(redis.refusals.rcv, Some(500 + 12));
    assert_eq!(redis.refusals.ofo, Some(300));
    assert_eq!(redis.refusals.send_rcvq, Some(3));
    assert_eq!(redis.refusals_by_limit.tcp_mem, Some(500 + 12 + 300 + 3));
    assert_eq!(redis.prunes, Some(820 + 3));
    // The 812th of 820 prunes is the 99th of 100, and only 810 were short.
    let stall = redis.stall_percentiles.unwrap();
    assert!((28_672..32_768).contains(&stall.p50_ns), "{stall:?}");
    assert!((458_752..524_288).contains(&stall.p99_ns), "{stall:?}");
    assert!((458_752..524_288).contains(&stall.max_ns), "{stall:?}");
    assert_eq!(redis.owner.container_id, None);
    assert_eq!(redis.sockets.len(), 5);
    assert_eq!(redis.sockets[0].refusals, 80);
    assert_eq!(redis.sockets[0].cookie.as_deref(), Some("9008"));
    assert_eq!(redis.sockets[0].local.as_deref(), Some("10.0.0.1:6379"));
    assert_eq!(
        report.victims[0].owner.name, "shop/leaky",
        "2,000 refusals go before 815"
    );

    // Culprit: the leak alone.
    assert_eq!(report.culprits.len(), 1);
    let leak = &report.culprits[0].holder;
    let held = 380 * 120_000 + 20 * 90_000;
    let found = held + 10 * 30_000 + 5 * 20_000;
    assert_eq!(leak.owner.name, "shop/leaky");
    assert_eq!(leak.held_bytes, held);
    assert_eq!(leak.sockets, 400);
    // Even inodes were there before: 190 of the 380 and 10 of the 20.
    assert_eq!(leak.growth_bytes, Some(190 * 120_000 + 10 * 90_000));
    assert!((leak.share.unwrap() - held as f64 / found as f64).abs() < 1e-4);
    assert_eq!(leak.unread_bytes, 380 * 80_000 + 20 * 60_000);
    assert_eq!(leak.states[0].state, "CLOSE-WAIT");
    assert_eq!(leak.states[0].sockets, 380);
    assert_eq!(report.tcp_memory.found_bytes, Some(found));
    assert_eq!(report.holders.len(), 3);

    // Fill: the largest figure compared in the window, not sockstat's 0, not the old failure's.
    assert_eq!(report.tcp_memory.allocated_bytes, Some(12_300 * PAGE));
    assert_eq!(
        report.tcp_memory.allocated_source,
        Some(AllocatedSource::Refusal)
    );
    assert_eq!(report.tcp_memory.fill, Some(1.025));

    let summary = &report.verdict.summary;
    for words in [
        "tcp_mem",
        "cache/redis-0 suffers (815 segments refused)",
        "shop/leaky holds 45.2 MiB",
        "CLOSE-WAIT",
        "first drain or restart shop/leaky",
        "do not lower tcp_mem below present use (48.0 MiB)",
    ] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
    assert!(!summary.contains("not exact"), "{summary}");
    assert_eq!(report.losses.suppressed_evidence, Some(700));
}

#[test]
fn memory_in_no_listed_socket_is_not_blamed_on_the_largest_listed_one_alone() {
    let mut node = incident();
    node.end
        .as_mut()
        .unwrap()
        .sockets
        .retain(|socket| socket.inode < 7_040);
    node.start = None;
    let report = node.report();
    let found = report.tcp_memory.found_bytes.unwrap();
    assert!(found * 2 < 12_300 * PAGE);
    let summary = &report.verdict.summary;
    assert_eq!(report.verdict.kind, Kind::Inconclusive);
    assert!(
        summary.contains("is explained by sockets that were found"),
        "{summary}"
    );
    assert!(report.culprits.is_empty(), "the verdict abstains");
    let commands = report.verdict.advice.iter();
    let commands: Vec<_> = commands.filter_map(|it| it.command.as_deref()).collect();
    assert!(commands[0].contains("/proc/[0-9]*"), "{commands:?}");
    assert!(
        !summary.contains("restart"),
        "draining the largest listed one is no cure: {summary}"
    );
    assert!(
        report
            .verdict
            .advice
            .iter()
            .all(|advice| !advice.action.contains("drain"))
    );
    assert_eq!(
        report.holders[0].growth_bytes, None,
        "one scan tells no growth"
    );
}

#[test]
fn nobody_stands_out_among_equals() {
    let mut node = incident();
    let scan = node.end.as_mut().unwrap();
    scan.sockets.clear();
    for cgroup in 1_000..1_030 {
        scan.sockets.push(fixture::socket(
            cgroup,
            0,
            TcpState::Established,
            fixture::received(1_500_000),
        ));
    }
    // Seen twice, each with less to read the second time: all of them are read.
    let mut start = scan.clone();
    for socket in &mut start.sockets {
        socket.unread += 1;
    }
    node.start = Some(start);
    let report = node.report();
    assert_eq!(report.verdict.kind, Kind::TcpMemUndersized);
    assert!(
        report.culprits.is_empty(),
        "whose sockets are in use is not accused"
    );
    assert!(!report.verdict.summary.contains("restart"));
    assert_eq!(report.holders.len(), 20);
    assert!(
        report
            .losses
            .gaps
            .iter()
            .any(|gap| gap == "holders: the first 20 of 30 are listed")
    );
}

#[test]
fn the_largest_of_the_small_is_not_accused_of_what_nobody_can_see() {
    let mut node = incident();
    node.end
        .as_mut()
        .unwrap()
        .sockets
        .retain(|socket| socket.cgroup_id != Some(LEAKY));
    node.start = None;
    let report = node.report();
    // Redis holds 75 % of what was found, but 300,000 of 50,380,800 bytes in all.
    assert_eq!(report.holders[0].owner.name, "cache/redis-0");
    assert_eq!(report.holders[0].share, Some(0.75));
    assert!(report.culprits.is_empty());
    assert_eq!(report.verdict.kind, Kind::Inconclusive);
}

#[test]
fn lists_take_no_more_than_their_lines() {
    let report = incident().report();
    assert!(!report.victims.is_empty() && !report.culprits.is_empty());
    assert_eq!(report.victims.capacity(), report.victims.len());
    assert_eq!(report.culprits.capacity(), report.culprits.len());
}
