//! What is trimmed is small, and its sums are what they were.

use std::collections::BTreeMap;

use tracer_common::{
    EventRecord, TallyValue, Tuple,
    event::timeline,
    tally::{count, limit, queue},
};

use super::*;
use crate::{
    aggregate::{
        Delta, holding,
        steps::{self, Step},
    },
    attribute::{ContainerFacts, OwnerKind, PodFacts},
    capture::{Moment, Story, contents::kin},
    holders::{Socket, TcpState, part::Part, socket::SocketMemory},
    indicators::Counter,
    report::tests::{
        fixture::{Fixture, REDIS, WEB, event, pod, refuse, socket},
        incident::incident,
    },
};

/// Numbers that follow from others and look as if they did not (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const PODS: u64 = 200;
const SOCKETS: u64 = 50;

fn cgroup(pod: u64) -> u64 {
    5_000 + 7 * pod
}

fn netns(pod: u64) -> u32 {
    4_026_532_000 + 3 * pod as u32
}

fn key(pod: u64) -> TallyKey {
    TallyKey {
        cgroup_id: cgroup(pod),
        memcg_id: cgroup(pod),
        netns_cookie: 100 + pod,
        netns_inum: netns(pod),
        reserved: 0,
    }
}

/// A minute of a node with 200 pods, each with 50 connections of which some hold a little; nothing is refused.
fn quiet() -> Fixture {
    let mut node = Fixture::quiet();
    node.duration_ns = 60_000_000_000;
    for number in 0..PODS {
        let hex = |salt: u64| format!("{:016x}", mixed(number * 31 + salt));
        let (one, two) = (hex(1), hex(2));
        let uid = format!(
            "{}-{}-4{}-8{}-{}",
            &one[..8],
            &one[8..12],
            &one[13..],
            &two[..3],
            &two[4..]
        );
        let name = format!("service-{}-{}-{}", number % 40, &hex(4)[..10], &hex(5)[..5]);
        let mut owner = pod(&format!("team-{}", number % 12), &name, &uid, &hex(6)[..4]);
        owner.container_id = Some([hex(7), hex(8), hex(9), hex(10)].concat());
        owner.cgroup_id = Some(cgroup(number));
        owner.about_pod = Some(std::sync::Arc::new(PodFacts {
            labels: [
                ("app", format!("service-{}", number % 40)),
                ("pod-template-hash", hex(4)[..10].to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            ..PodFacts::default()
        }));
        owner.about_container = Some(std::sync::Arc::new(ContainerFacts {
            name: Some("app".into()),
            image: Some(format!(
                "registry.example/team/service-{}:1.{number}.0",
                number % 40
            )),
        }));
        node.owners.insert(cgroup(number), owner);
    }
    node.start = Some(listed(0));
    node.end = Some(listed(1));
    node.rows = (0..PODS)
        .flat_map(|pod| {
            Counter::ALL.into_iter().map(move |counter| Row {
                netns_inum: netns(pod),
                netns_cookie: Some(100 + pod),
                counter,
                kernel: Some(0),
                attributed: Some(0),
                bound: Some(0),
                state: RowState::Present,
            })
        })
        .collect();
    node.steps = (1..60)
        .map(|second| Step {
            end_ns: second * 1_000_000_000 + mixed(second) % 1_000_000,
            sockstat_pages: Some(1_200 + mixed(second) % 100),
            refused: Vec::new(),
        })
        .collect();
    node
}

/// 10,000 sockets: of every eight one holds something.
fn listed(look: u64) -> Scan {
    let sockets = (0..PODS * SOCKETS).map(|number| {
        let chance = mixed(number * 2 + look);
        let held = if chance.is_multiple_of(8) {
            (chance >> 8) as u32 % 70_000
        } else {
            0
        };
        let state = match number % 10 {
            0 => TcpState::Listen,
            1 => TcpState::CloseWait,
            _ => TcpState::Established,
        };
        let memory = SocketMemory {
            rmem_alloc: held,
            rcvbuf: 131_072,
            forward_alloc: if held > 0 { 4_096 } else { 0 },
            wmem_queued: 0,
        };
        Socket {
            netns_inum: netns(number / SOCKETS),
            inode: 100_000 + number as u32,
            cookie: 7_000 + number,
            unread: held / 2,
            ..socket(cgroup(number / SOCKETS), number as u32, state, memory)
        }
    });
    Scan {
        sockets: sockets.collect(),
        ..Scan::default()
    }
}

/// The same minute with 30 pods that suffer in every way, evidence of 3,000 failures and 1,500 sockets, and a leak.
fn storm() -> Fixture {
    let mut node = quiet();
    for victim in 0..30 {
        let n = |salt: u64| 1 + mixed(victim * 1_000 + salt) % 50_000;
        let mut value = TallyValue::ZERO;
        refuse(&mut value, queue::RCV, limit::TCP_MEM_HARD, n(1));
        refuse(&mut value, queue::OFO, limit::TCP_MEM_FAIR_SHARE, n(2));
        refuse(&mut value, queue::OFO, limit::RCVBUF, n(3));
        value.prunes = [n(4), n(5), n(6), 0, 0, 0];
        for bucket in 8..40 {
            value.stalls[bucket] = n(100 + bucket as u64) / 40;
            value.collapses[bucket] = n(200 + bucket as u64) / 40;
        }
        for cell in [
            count::ZERO_WINDOW_DROPS,
            count::OFO_PRUNED_SKBS,
            count::OFO_PRUNED_BYTES,
        ] {
            value.counts[cell] = n(300 + cell as u64);
        }
        value.last_evidence_ns = std::array::from_fn(|at| n(400 + at as u64) * 1_000_000_007);
        (value.rcv_pruned, value.ofo_pruned, value.rcv_collapsed) = (n(7), n(8), n(9));
        (value.stall_ns, value.collapse_ns) = (n(10) * 1_000_003, n(11) * 1_000_003);
        value.last_allocated_pages = 11_000 + victim;
        value.last_tcp_mem_max_pages = 12_000;
        node.deltas.push(Delta {
            key: key(victim),
            value,
        });
        for row in node
            .rows
            .iter_mut()
            .filter(|row| row.netns_inum == netns(victim))
        {
            let moved = crate::aggregate::attributed(&value, row.counter);
            (row.kernel, row.attributed) = (Some(moved), Some(moved));
        }
    }
    for step in &mut node.steps {
        step.sockstat_pages = Some(11_000 + mixed(step.end_ns) % 1_000);
        step.refused = (0..30)
            .map(|victim| (key(victim), 1 + mixed(step.end_ns + victim) % 40))
            .collect();
    }
    node.events = (0..3_000)
        .map(|number| EventRecord {
            at_ns: number * 20_000_000 + mixed(number) % 10_000_000,
            stall_ns: mixed(number) % 4_000_000,
            cookie: mixed(number % 300),
            owner: key(number % 30),
            tuple: tuple(number),
            queue: (number % 2) as u32,
            limit: 1 + (number % 2) as u32,
            rmem_alloc: (mixed(number) % 6_000_000) as u32,
            ..event(1, 0, queue::RCV, limit::TCP_MEM_HARD)
        })
        .collect();
    node.states = (0..1_500)
        .map(|number| {
            let mut state = SocketState::ZERO;
            state.owner = key(number % 30);
            state.tuple = tuple(number);
            state.verdicts = [1 + mixed(number) % 1_000, mixed(number) % 77, 0, 0, 0];
            state.prunes = mixed(number) % 2_000;
            state.last_ns = number * 1_000_003;
            (mixed(number), state)
        })
        .collect();
    node.timeline = (0..400)
        .map(|number| tracer_common::TimelineRecord {
            abi: tracer_common::ABI_VERSION,
            size: 64,
            at_ns: number * 150_000_000 + mixed(number) % 1_000_000,
            cookie: mixed(number),
            owner: key(number % 30),
            kind: [timeline::PRESSURE_ENTERED, timeline::PRESSURE_LEFT][(number % 2) as usize],
            milliseconds: (number % 2) as u32 * 17,
        })
        .collect();
    for scan in [&mut node.start, &mut node.end].into_iter().flatten() {
        // One that has forgotten a thousand sockets, and thirty whose queues are full.
        for socket in &mut scan.sockets {
            let pod = (socket.cgroup_id.unwrap_or(0) - 5_000) / 7;
            if let Some(memory) = socket.memory.as_mut().filter(|_| pod < 30 || pod == 77) {
                memory.rmem_alloc += 200_000 + (mixed(u64::from(socket.inode)) % 100_000) as u32;
            }
        }
    }
    node
}

fn tuple(number: u64) -> Tuple {
    let mut tuple = Tuple {
        family: libc::AF_INET as u16,
        local_port: 6_379,
        remote_port: 30_000 + (number % 300) as u16,
        state: 1,
        ..SocketState::ZERO.tuple
    };
    tuple.local[..4].copy_from_slice(&[10, 1, (number % 30) as u8, 5]);
    tuple.remote[..4].copy_from_slice(&[10, 2, (mixed(number % 300) % 250) as u8, 7]);
    tuple
}

fn trimmed(node: &Fixture, keep: &Keep) -> (Capture, Capture) {
    let whole = node.with_inputs(Capture::of);
    let mut small = whole.clone();
    small.trim(keep);
    (whole, small)
}

fn compressed(capture: &Capture) -> usize {
    let mut plain = Vec::new();
    crate::capture::lines(capture, &mut plain).unwrap();
    zstd::bulk::compress(&plain, 6).unwrap().len()
}

#[test]
fn a_minute_is_as_small_as_the_documents_say() {
    let kib = |capture: &Capture| compressed(capture) as f64 / 1024.0;
    for (what, node, most) in [("quiet", quiet(), 3.0), ("storm", storm(), 64.0)] {
        let (whole, minute) = trimmed(&node, &Keep::MINUTES);
        let (_, seconds) = trimmed(&node, &Keep::SECONDS);
        let (_, least) = trimmed(&node, &Keep::LEAST);
        let sizes = [&whole, &seconds, &minute, &least].map(kib);
        println!(
            "{what}: whole {:.1} KiB, second by second {:.1}, a minute {:.1}, at least {:.1}; 64 MiB hold {:.1} days of such minutes",
            sizes[0],
            sizes[1],
            sizes[2],
            sizes[3],
            64.0 * 1024.0 / sizes[2] / 1440.0
        );
        assert!(sizes[2] < most, "{what}: {sizes:?}");
        assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2] && sizes[2] >= sizes[3]);
    }
}

#[test]
fn sums_are_what_they_were() {
    for node in [quiet(), storm(), incident()] {
        for keep in [Keep::SECONDS, Keep::MINUTES, Keep::LEAST] {
            let (whole, small) = trimmed(&node, &keep);
            for (moment, scan) in &whole.scans {
                assert_eq!(small.scans[moment].total(), scan.total(), "{moment:?}");
            }
            let (one, other) = (whole.report(), small.report());
            let counts = |report: &crate::report::Report| {
                let mut victims = report.victims.clone();
                victims.iter_mut().for_each(|victim| victim.sockets.clear());
                victims
            };
            assert_eq!(counts(&one), counts(&other));
            assert_eq!(one.tcp_memory.found_bytes, other.tcp_memory.found_bytes);
            assert_eq!(one.attribution, other.attribution);
            assert_eq!(one.verdict.kind, other.verdict.kind);
            assert_eq!(one.verdict.limit, other.verdict.limit);
            let names = |report: &crate::report::Report| -> Vec<String> {
                report
                    .culprits
                    .iter()
                    .map(|it| it.holder.owner.name.clone())
                    .collect()
            };
            assert_eq!(names(&one), names(&other));
            let refused = |report: &crate::report::Report| {
                let series = report.series.clone().unwrap();
                let owners = series
                    .owners
                    .into_iter()
                    .map(|owner| owner.refused.iter().sum::<u64>());
                owners
                    .chain([series.others.iter().sum()])
                    .collect::<Vec<_>>()
            };
            assert_eq!(refused(&one), refused(&other));
        }
    }
}

#[test]
fn those_who_are_kept_apart_hold_what_they_held() {
    let (whole, small) = trimmed(&storm(), &Keep::MINUTES);
    let groups = |capture: &Capture| {
        let owner = |socket: &Socket| capture.owners[&capture.socket_owners[&kin(socket)]].clone();
        holding::by_group(&capture.scans[&Moment::End], &owner)
    };
    let (all, kept) = (groups(&whole), groups(&small));
    assert_eq!(all.len(), PODS as usize);
    let mut rest = Part::default();
    for (group, holding) in &all {
        match kept.get(group) {
            Some(kept) => {
                assert_eq!(
                    (&kept.states, &kept.netns),
                    (&holding.states, &holding.netns)
                );
                assert_eq!(kept.owners, holding.owners);
                // The largest are there, each by itself.
                assert_eq!(kept.top[..3], holding.top[..3]);
            }
            None => rest.merge(&holding.total()),
        }
    }
    assert_eq!(kept[&Group::Other].total(), rest);
    // The victims that suffered most, and the leak.
    assert!(kept.len() > 21 && kept.len() <= 41, "{}", kept.len());
    let told = small.rests[&Moment::End];
    assert_eq!(told.owners as usize, all.len() + 1 - kept.len());
    let most = all.iter().filter(|(group, _)| !kept.contains_key(group));
    let most = most.map(|(_, holding)| holding.total().held).max().unwrap();
    assert_eq!(told.most, most);
    let gaps = small.report().losses.gaps;
    assert!(
        gaps.iter()
            .any(|gap| gap.contains("of whom none held more than")),
        "{gaps:?}"
    );
}

#[test]
fn rows_at_rest_are_counted_and_others_stay() {
    let mut node = quiet();
    node.rows[5].kernel = Some(3);
    node.rows[17].attributed = Some(1);
    node.rows[18].kernel = None;
    node.rows[19].bound = Some(2);
    node.rows[20].state = RowState::Gone;
    node.rows[20].bound = None;
    node.rows[21].state = RowState::Gone;
    node.rows[21].attributed = Some(4);
    let (whole, small) = trimmed(&node, &Keep::MINUTES);
    let want: Vec<Row> = [5, 17, 18, 19, 21].map(|at| whole.rows[at].clone()).into();
    assert_eq!(small.rows, want);
    let at_rest = small.report().at_rest;
    assert_eq!((at_rest.agreed, at_rest.unknown), (12 * PODS - 6, 1));
    // Where all were at rest it can still be said that they were compared.
    let (_, small) = trimmed(&quiet(), &Keep::MINUTES);
    let report = small.report();
    assert_eq!(report.reconciliation, []);
    let table = crate::output::render(&report, crate::output::Format::Table).unwrap();
    assert!(
        table.contains("2400 counters at a time, residual 0"),
        "{table}"
    );
    assert_eq!(
        report.verdict.kind,
        trimmed(&quiet(), &Keep::MINUTES).0.report().verdict.kind
    );
}

#[test]
fn what_there_is_no_room_for_is_told() {
    let (whole, small) = trimmed(&storm(), &Keep::MINUTES);
    let left = small.header().left_out;
    assert_eq!(left.events, 3_000 - 40);
    assert_eq!(left.socket_states, 1_500 - 60);
    assert_eq!(left.moments, 400 - 50);
    assert_eq!(whole.header().left_out, crate::capture::LeftOut::default());
    let gaps = small.report().losses.gaps;
    assert!(
        gaps.iter()
            .any(|gap| gap.contains("no room for 2960 sampled failures")),
        "{gaps:?}"
    );
    // Trimmed once more it is the same.
    let mut again = small.clone();
    again.trim(&Keep::MINUTES);
    assert_eq!(again, small);
    let back = crate::capture::tests::replay(&small);
    assert_eq!(back, small.report());
}

#[test]
fn an_incident_takes_no_more_the_longer_it_lasts() {
    const WINDOWS: usize = 20;
    let (_, window) = trimmed(&storm(), &Keep::SECONDS);
    let mut story = Story::begin(window.clone());
    let mut sizes = Vec::new();
    for _ in 1..WINDOWS {
        story.extend(window.clone());
        let mut records = story.capture().count();
        // Steps have a bound of their own; here it is always the same minute, which is told as a clock that was set.
        records.retain(|kind, _| kind != "step" && kind != "gap");
        sizes.push(records);
    }
    assert_eq!(sizes[WINDOWS / 2], sizes[WINDOWS - 2]);
    let story = story.capture();
    assert_eq!(story.events.len(), Keep::INCIDENT.events);
    assert_eq!(
        story.header().left_out.events as usize,
        WINDOWS * 3_000 - story.events.len()
    );
    let refused = |capture: &Capture| -> u64 {
        let values = capture.tallies.iter().map(|delta| &delta.value);
        values.map(steps::refused).sum()
    };
    assert_eq!(refused(story), WINDOWS as u64 * refused(&window));
    // Each socket once, with all that happened to it.
    let states = |capture: &Capture| {
        let all = capture.socket_states.iter();
        all.map(|(cookie, state)| (*cookie, state.verdicts))
            .collect::<BTreeMap<_, _>>()
    };
    let mut all = states(&window);
    let verdicts = all.values_mut().flatten();
    verdicts.for_each(|count| *count *= WINDOWS as u64);
    assert_eq!(story.socket_states.len(), all.len());
    assert_eq!(states(story), all);
}

#[test]
fn a_list_is_thinned_evenly_and_keeps_its_last() {
    for all in [0, 1, 7, 8, 9, 100] {
        let mut list: Vec<usize> = (0..all).collect();
        thin(&mut list, 8);
        assert_eq!(list.len(), all.min(8));
        assert_eq!(list.last().copied(), all.checked_sub(1));
    }
}

#[test]
fn all_others_take_nobodys_place() {
    let mut node = Fixture::quiet();
    node.owners.insert(900, Owner::of_kind(OwnerKind::Other));
    for (cgroup, many) in [(900, 50), (REDIS, 3), (WEB, 2)] {
        node.tally(cgroup, |value| {
            refuse(value, queue::RCV, limit::TCP_MEM_HARD, many);
        });
    }
    let mut capture = node.with_inputs(Capture::of);
    let one = Keep {
        holders: 1,
        ..Keep::SECONDS
    };
    let redis = Group::of(&node.owners[&REDIS]);
    assert_eq!(capture.trim_scans(&one), BTreeSet::from([redis]));
}
