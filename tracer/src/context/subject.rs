//! Whom to look into: owners of sockets, as scans at both ends of a window show them. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use crate::{
    aggregate::{Group, group},
    attribute::{Owner, OwnerKind},
    holders::{Socket, TcpState, tcp_info::TcpInfo},
    report::context::NetworkSocket,
};

/// Sockets of one owner that are asked for their round-trip time.
pub const MAX_SOCKETS: usize = 3;
/// Inodes by which the processes of one owner are told: of a leak of very many sockets, some are enough.
const MAX_INODES: usize = 4096;
/// Data that has lain unread so long was left alone.
const LEFT: Duration = Duration::from_secs(1);

/// An owner with its sockets at the end of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The owners that are one.
    pub owners: BTreeSet<Owner>,
    /// What its sockets take from `tcp_mem`.
    pub held: u64,
    /// Its network namespaces.
    pub netns: BTreeSet<u32>,
    /// Its connections.
    pub sockets: Vec<&'a Socket>,
    /// Inodes of the sockets that tell best who reads: those with unread data, else connections, else listeners.
    pub inodes: HashSet<u32>,
}

impl<'a> Subject<'a> {
    /// Paths of its cgroups.
    #[must_use]
    pub fn paths(&self) -> BTreeSet<String> {
        let paths = self
            .owners
            .iter()
            .filter_map(|owner| owner.cgroup_path.clone());
        paths.filter(|path| path != "/").collect()
    }

    /// The path that all of its cgroups lie within; `None` where there is none of its own.
    #[must_use]
    pub fn home(&self) -> Option<String> {
        let path = group::representative(&self.owners).cgroup_path;
        path.filter(|path| path != "/")
    }

    /// Processes that are its best name.
    pub fn processes(&self) -> impl Iterator<Item = i32> {
        let processes = self
            .owners
            .iter()
            .filter_map(|owner| owner.process.as_ref());
        processes.map(|(pid, _)| *pid)
    }

    /// The sockets that matter most: those named, then those with most unread or not acknowledged.
    #[must_use]
    pub fn worst(&self, named: &HashSet<u64>) -> Vec<&'a Socket> {
        let mut sockets = self.sockets.clone();
        sockets.sort_by_key(|socket| {
            let queued = u64::from(socket.unread) + u64::from(socket.unsent);
            Reverse((named.contains(&socket.cookie), queued, socket.cookie))
        });
        sockets.truncate(MAX_SOCKETS);
        sockets
    }

    /// Payload in sockets that were left alone: unread at both ends of the window, filling half of the receive buffer, or, as
    /// `tcp_info` tells, for a second. `None` where it has no socket.
    #[must_use]
    pub fn left_unread(&self, before: &HashSet<u64>, asked: &HashMap<u64, TcpInfo>) -> Option<u64> {
        let left = |socket: &&&Socket| {
            let full = socket
                .memory
                .is_some_and(|memory| u64::from(memory.rmem_alloc) * 2 >= u64::from(memory.rcvbuf));
            let old = asked.get(&socket.cookie).and_then(|info| info.last_data);
            full || before.contains(&socket.cookie) || old >= Some(LEFT)
        };
        let sockets = self.sockets.iter().filter(left);
        let unread = sockets.map(|socket| u64::from(socket.unread)).sum();
        (!self.sockets.is_empty()).then_some(unread)
    }
}

/// Owners of sockets. The kernel, and counts without an owner, have no threads that could be asked. Sockets with an equal `kin` are
/// of one owner, and only the first of them is looked up: a node has many times more sockets than owners.
#[must_use]
pub fn subjects<'a>(
    sockets: impl IntoIterator<Item = &'a Socket>,
    kin: &dyn Fn(&Socket) -> Option<u64>,
    lookup: &dyn Fn(&Socket) -> Owner,
) -> BTreeMap<Group, Subject<'a>> {
    let mut subjects: BTreeMap<Group, Subject<'a>> = BTreeMap::new();
    let mut known: HashMap<u64, Group> = HashMap::new();
    for socket in sockets {
        let kin = kin(socket);
        let group = match kin.and_then(|kin| known.get(&kin)) {
            Some(group) => group.clone(),
            None => {
                let owner = lookup(socket);
                let group = Group::of(&owner);
                subjects
                    .entry(group.clone())
                    .or_default()
                    .owners
                    .insert(owner);
                known.extend(kin.map(|kin| (kin, group.clone())));
                group
            }
        };
        let subject = subjects.entry(group).or_default();
        subject.held += socket.held();
        subject.netns.insert(socket.netns_inum);
        subject.sockets.push(socket);
    }
    subjects.retain(|_, subject| subject.owners.iter().all(has_threads));
    for subject in subjects.values_mut() {
        subject.inodes = readers(&subject.sockets);
        subject.sockets.retain(|socket| !listens(socket));
    }
    subjects
}

fn has_threads(owner: &Owner) -> bool {
    !matches!(
        owner.kind,
        OwnerKind::Kernel | OwnerKind::Unattributed | OwnerKind::Other | OwnerKind::Unknown
    )
}

fn listens(socket: &Socket) -> bool {
    socket.state == TcpState::Listen
}

/// Inodes of the sockets that tell best who reads.
fn readers(sockets: &[&Socket]) -> HashSet<u32> {
    let inodes = |wanted: &dyn Fn(&Socket) -> bool| -> HashSet<u32> {
        let wanted = sockets.iter().filter(|socket| wanted(socket));
        let inodes = wanted
            .map(|socket| socket.inode)
            .filter(|inode| *inode != 0);
        inodes.take(MAX_INODES).collect()
    };
    let unread = inodes(&|socket| socket.unread > 0 && !listens(socket));
    let connected = || inodes(&|socket| !listens(socket));
    let all = || inodes(&|_| true);
    if !unread.is_empty() {
        return unread;
    }
    Some(connected())
        .filter(|inodes| !inodes.is_empty())
        .unwrap_or_else(all)
}

/// Cookies of connections with unread data.
#[must_use]
pub fn unread(sockets: &[Socket]) -> HashSet<u64> {
    let unread = |socket: &&Socket| {
        socket.unread > 0 && socket.state != TcpState::Listen && socket.cookie != 0
    };
    sockets
        .iter()
        .filter(unread)
        .map(|socket| socket.cookie)
        .collect()
}

/// What `tcp_info` tells of a socket.
#[must_use]
pub fn network_socket(socket: &Socket, info: &TcpInfo) -> NetworkSocket {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    NetworkSocket {
        local: socket.local.to_string(),
        remote: socket.remote.to_string(),
        rtt_ns: info.rtt.map(ns),
        min_rtt_ns: info.min_rtt.map(ns),
        retransmitted: info.retransmitted,
        out_of_order: info.out_of_order,
        last_data_ns: info.last_data.map(ns),
        unread_bytes: u64::from(socket.unread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::socket::SocketMemory;

    fn socket(cookie: u64, state: TcpState, unread: u32, rmem_alloc: u32) -> Socket {
        Socket {
            netns_inum: 1,
            local: ([10, 0, 0, 1], 80).into(),
            remote: ([10, 0, 0, 2], 4000).into(),
            state,
            inode: u32::try_from(cookie).unwrap() + 100,
            cookie,
            cgroup_id: Some(1),
            memory: Some(SocketMemory {
                rmem_alloc,
                rcvbuf: 1000,
                ..SocketMemory::default()
            }),
            clamped: None,
            idle_ms: None,
            listed: true,
            unread,
            unsent: 0,
        }
    }

    fn pod() -> Owner {
        Owner {
            pod_uid: Some("u".into()),
            cgroup_path: Some("/pod/a".into()),
            ..Owner::of_kind(OwnerKind::Pod)
        }
    }

    #[test]
    fn who_reads_is_told_by_unread_sockets_first() {
        let of = |sockets: &[Socket]| {
            let subjects = subjects(sockets, &|_| Some(7), &|_| pod());
            let mut inodes: Vec<u32> = subjects[&Group::of(&pod())]
                .inodes
                .iter()
                .copied()
                .collect();
            inodes.sort_unstable();
            inodes
        };
        let listener = socket(1, TcpState::Listen, 5, 0);
        let (quiet, unread) = (
            socket(2, TcpState::Established, 0, 0),
            socket(3, TcpState::CloseWait, 9, 0),
        );
        assert_eq!(of(&[listener.clone(), quiet.clone(), unread]), [103]);
        assert_eq!(of(&[listener.clone(), quiet]), [102]);
        assert_eq!(of(&[listener]), [101]);
    }

    #[test]
    fn kin_are_looked_up_once_and_all_counted() {
        let sockets: Vec<Socket> = (1..=6)
            .map(|cookie| socket(cookie, TcpState::Established, 0, 10))
            .collect();
        let asked = std::cell::Cell::new(0);
        let lookup = |socket: &Socket| {
            asked.set(asked.get() + 1);
            Owner {
                container_id: Some((socket.cookie % 2).to_string()),
                ..pod()
            }
        };
        let subjects = subjects(&sockets, &|socket| Some(socket.cookie % 2), &lookup);
        let subject = &subjects[&Group::of(&pod())];
        assert_eq!(
            (asked.get(), subject.owners.len()),
            (2, 2),
            "two containers of one pod"
        );
        assert_eq!((subject.sockets.len(), subject.held), (6, 60));
    }

    #[test]
    fn the_kernel_and_the_unknown_have_no_threads() {
        for kind in [
            OwnerKind::Kernel,
            OwnerKind::Unknown,
            OwnerKind::Unattributed,
        ] {
            let sockets = [socket(1, TcpState::Established, 1, 1)];
            let none = subjects(&sockets, &|_| None, &|_| Owner::of_kind(kind));
            assert!(none.is_empty());
        }
    }

    #[test]
    fn data_is_left_unread_by_any_of_three_signs() {
        let sockets = [
            socket(1, TcpState::Established, 10, 100),
            socket(2, TcpState::Established, 200, 499),
            socket(3, TcpState::Established, 3000, 500),
            socket(4, TcpState::Established, 40_000, 100),
        ];
        let subjects = subjects(&sockets, &|_| None, &|_| pod());
        let subject = &subjects[&Group::of(&pod())];
        assert_eq!(subject.held, 100 + 499 + 500 + 100);
        let asked = |cookie, seconds| {
            HashMap::from([(
                cookie,
                TcpInfo {
                    last_data: Some(Duration::from_secs(seconds)),
                    ..TcpInfo::default()
                },
            )])
        };
        assert_eq!(
            subject.left_unread(&HashSet::new(), &HashMap::new()),
            Some(3000),
            "half full"
        );
        assert_eq!(
            subject.left_unread(&HashSet::from([1]), &HashMap::new()),
            Some(3010),
            "unread before"
        );
        assert_eq!(
            subject.left_unread(&HashSet::new(), &asked(4, 1)),
            Some(43_000),
            "for a second"
        );
        assert_eq!(
            subject.left_unread(&HashSet::new(), &asked(4, 0)),
            Some(3000)
        );
        assert_eq!(unread(&sockets).len(), 4);
        let none = Subject::default().left_unread(&HashSet::new(), &HashMap::new());
        assert_eq!(none, None, "without a socket it is not known");
        let worst = subject.worst(&HashSet::from([1]));
        let cookies: Vec<u64> = worst.iter().map(|socket| socket.cookie).collect();
        assert_eq!(cookies, [1, 4, 3], "the named one, then by what is queued");
    }

    #[test]
    fn home_is_what_its_cgroups_share() {
        let mut subject = Subject::default();
        let other = Owner {
            cgroup_path: Some("/pod/b".into()),
            ..pod()
        };
        subject.owners.insert(pod());
        assert_eq!(subject.home().as_deref(), Some("/pod/a"));
        subject.owners.insert(other);
        assert_eq!(subject.home().as_deref(), Some("/pod"));
        assert_eq!(subject.paths().len(), 2);
        let root = Owner {
            cgroup_path: Some("/".into()),
            ..Owner::of_kind(OwnerKind::Process)
        };
        let subject = Subject {
            owners: BTreeSet::from([root]),
            ..Subject::default()
        };
        assert_eq!((subject.home(), subject.paths().len()), (None, 0));
    }
}
