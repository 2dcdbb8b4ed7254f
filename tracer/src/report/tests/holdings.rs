//! What owners hold: sockets in no table, connections that nobody accepts, the largest sockets, and how much of the node's
//! account all of it explains.

use jiff::Timestamp;

use super::{
    fixture::{self, Fixture, LEAKY, PAGE, REDIS, WEB},
    incident::incident,
};
use crate::{
    aggregate::Group,
    attribute::Descriptor,
    holders::{Socket, TcpState, socket::SocketMemory},
    indicators::Sockstat,
    report::{Explained, Holder, Report},
};

fn holder<'a>(report: &'a Report, name: &str) -> &'a Holder {
    let mut holders = report.holders.iter();
    holders.find(|holder| holder.owner.name == name).unwrap()
}

/// What sockstat says before and after the scan at the end.
fn around(node: &mut Fixture, pages: [u64; 2], alloc: u64) {
    node.end.as_mut().unwrap().around = pages.map(|pages| Sockstat {
        mem: Some(pages),
        alloc: Some(alloc),
        ..Sockstat::default()
    });
}

fn explained(node: &Fixture) -> Explained {
    node.report().tcp_memory.explained.unwrap()
}

/// 400 sockets of two pages each that were reset with unread data, beside 10 that are listed.
fn reset() -> Fixture {
    let mut node = Fixture::quiet();
    let page = u32::try_from(PAGE).unwrap();
    node.sockets(LEAKY, 400, TcpState::Close, fixture::received(2 * page));
    for socket in &mut node.end.as_mut().unwrap().sockets {
        socket.listed = false;
        socket.idle_ms = (socket.inode == 7_000).then_some(61_000);
    }
    node.sockets(REDIS, 10, TcpState::Established, fixture::received(page));
    around(&mut node, [810, 810], 410);
    let java = Descriptor {
        pid: 4711,
        command: "java".into(),
        fd: 33,
    };
    node.descriptors.insert(7_000, java);
    let uid = "11111111-0000-4000-8000-000000000001";
    node.memory_stats.insert(Group::Pod(uid.into()), 800 * PAGE);
    node
}

#[test]
fn sockets_in_no_table_are_found_with_owner_and_process() {
    let report = reset().report();
    let leaky = holder(&report, "shop/leaky");
    assert_eq!(
        (leaky.unlisted_sockets, leaky.unlisted_bytes),
        (400, 800 * PAGE)
    );
    assert_eq!(leaky.memory_stat_sock_bytes, Some(800 * PAGE));
    assert_eq!(leaky.states[0].state, "CLOSE");
    assert_eq!(leaky.states[0].unlisted_sockets, 400);
    assert_eq!(leaky.states[0].receive_bytes, 800 * PAGE);
    assert_eq!(leaky.states[0].idle_ms, Some(61_000));
    let redis = holder(&report, "cache/redis-0");
    assert_eq!((redis.unlisted_sockets, redis.unlisted_bytes), (0, 0));
    assert_eq!(redis.memory_stat_sock_bytes, None, "absent is not zero");
    let [first, .., last] = leaky.top_sockets.as_slice() else {
        panic!("{:?}", leaky.top_sockets)
    };
    assert_eq!(leaky.top_sockets.len(), 5);
    assert_eq!((first.pid, first.fd), (Some(4711), Some(33)));
    assert_eq!(first.command.as_deref(), Some("java"));
    assert_eq!(first.remote.as_deref(), Some("10.0.9.9:40000"));
    assert_eq!((first.held_bytes, first.listed), (2 * PAGE, false));
    assert_eq!((last.pid, last.idle_ms), (None, None));
}

#[test]
fn all_of_it_is_explained_without_a_word() {
    assert_eq!(
        explained(&reset()),
        Explained {
            share: Some(1.0),
            allocated_bytes: 810 * PAGE,
            listed_bytes: 10 * PAGE,
            unlisted_bytes: 800 * PAGE,
            reserve_bytes: Some(512 * PAGE),
            unseen_sockets: Some(0),
            reasons: Vec::new(),
        }
    );
}

#[test]
fn what_is_not_explained_has_its_reasons() {
    let mut node = reset();
    // 2,000 pages more than what was found, which moved by 20 meanwhile; 7 sockets not seen.
    around(&mut node, [2_800, 2_820], 417);
    // Of 9 that wait at a listener, 4 are listed.
    node.sockets(WEB, 5, TcpState::Established, SocketMemory::default());
    let sockets = &mut node.end.as_mut().unwrap().sockets;
    let of_web = |socket: &&mut Socket| socket.cgroup_id == Some(WEB);
    for socket in sockets.iter_mut().filter(of_web) {
        socket.inode = 0;
    }
    let listener = sockets.last_mut().unwrap();
    (listener.state, listener.unread, listener.inode) = (TcpState::Listen, 9, 77);
    let told = explained(&node);
    assert_eq!(told.allocated_bytes, 2_810 * PAGE);
    assert_eq!(told.unseen_sockets, Some(417 - 400 - 10 - 5));
    let [reserve, moved, reset, rest] = told.reasons.as_slice() else {
        panic!("{:?}", told.reasons)
    };
    assert!(reserve.contains("off by 2.0 MiB"), "{reserve}");
    assert!(moved.contains("80.0 KiB"), "{moved}");
    assert!(reset.contains("5 connections wait"), "{reset}");
    assert!(rest.contains("Multipath TCP"), "{rest}");
}

#[test]
fn holders_are_of_the_time_when_sockets_were_read() {
    let mut node = incident();
    let earlier = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    node.start.as_mut().unwrap().at = Some(earlier(1_000));
    node.end.as_mut().unwrap().at = Some(earlier(1_020));
    let memory = node.report().tcp_memory;
    assert_eq!(memory.growth_since, Some(earlier(1_000)));
    assert_eq!(memory.found_at, Some(earlier(1_020)));
    // One look knows no growth.
    node.start = None;
    let report = node.report();
    assert_eq!(report.tcp_memory.found_at, Some(earlier(1_020)));
    assert_eq!(report.tcp_memory.growth_since, None);
    assert!(report.holders.iter().all(|it| it.growth_bytes.is_none()));
}
