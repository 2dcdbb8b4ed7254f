//! Merging and falling back; the real kernel is asked in `tests/sources.rs`.

use super::*;
use crate::{
    fixture::Fixture,
    holders::{TcpState, socket::SocketMemory},
    indicators::Sockstat,
};

fn socket(cookie: u64, state: TcpState) -> Socket {
    Socket {
        netns_inum: 5,
        local: "10.0.0.1:1".parse().unwrap(),
        remote: "10.0.0.2:2".parse().unwrap(),
        state,
        inode: 0,
        cookie,
        cgroup_id: None,
        memory: None,
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: 0,
        unsent: 0,
    }
}

#[test]
fn from_proc_the_memory_is_a_gap() {
    let proc = Fixture::new();
    proc.file(
        "7/net/tcp",
        "heading\n 0: 0100007F:18EB 0200000A:9C41 08 0000000C:00007531 00:0 0 0 0 987\nrubbish\n",
    );
    let netns = Netns {
        inum: 5,
        name: None,
        pid: Some(7),
        paths: Vec::new(),
    };
    let place = Place {
        net: proc.path().join("7/net"),
        inside: false,
    };
    let quiet = Progress::quiet();
    let mut gathering = Gathering::new(Detail::Each, &quiet);
    let gaps = one(&netns, &place, Instant::now() + BUDGET, &mut gathering);
    let sockets = gathering.finish().0;
    assert_eq!(sockets.len(), 1);
    assert_eq!(sockets[0].memory, None);
    assert_eq!(sockets[0].unread, 30_001);
    assert_eq!(gaps.len(), 2);
    assert_eq!(gaps[0], "/proc/net/tcp: 1 lines not understood");
    assert!(gaps[1].contains("CAP_SYS_ADMIN"), "{gaps:?}");
}

#[test]
fn no_procfs_is_a_gap() {
    let scan = scan(Path::new("/nonexistent"));
    assert_eq!(scan.sockets, []);
    assert_eq!(scan.gaps.len(), 1);
}

#[test]
fn sockets_in_no_table_are_looked_for_where_there_are_many_or_much() {
    let full = |memory: u32| {
        Some(SocketMemory {
            rmem_alloc: memory,
            ..SocketMemory::default()
        })
    };
    let sockets = vec![
        Socket {
            memory: full(1 << 20),
            ..socket(1, TcpState::Established)
        },
        socket(2, TcpState::TimeWait),
        socket(3, TcpState::SynRecv),
        Socket {
            memory: full(0),
            ..socket(4, TcpState::Listen)
        },
        Socket {
            memory: full(0),
            ..socket(5, TcpState::SynRecv)
        },
    ];
    let page = page_size();
    let of = |alloc: [u64; 2], bytes: u64| {
        missing(&Scan {
            sockets: sockets.clone(),
            around: alloc.map(|alloc| Sockstat {
                alloc: Some(alloc),
                mem: Some(bytes / page),
                ..Sockstat::default()
            }),
            ..Scan::default()
        })
    };
    // Three of them are full sockets.
    assert_eq!(of([403, 503], 0), Some(400), "by the smaller number");
    assert_eq!(of([3 + 15, 3 + 15], 2 << 20), None);
    assert_eq!(of([3 + 15, 3 + 15], (2 << 20) + page), Some(15));
    assert_eq!(of([3, 3], 1 << 30), None, "there is none to be found");
    assert_eq!(of([2, 2], 1 << 30), None);
    assert_eq!(missing(&Scan::default()), None, "nothing is known");
}
