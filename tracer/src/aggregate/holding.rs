//! What an owner holds: sockets of one scan summed by group and state.

use std::collections::{BTreeMap, BTreeSet};

use super::Group;
use crate::{
    attribute::Owner,
    holders::{Scan, Socket, Sum, TcpState, part::keep_largest},
};

pub use crate::holders::part::{MAX_TOP, Part};

/// All sockets of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The owners that were summed.
    pub owners: BTreeSet<Owner>,
    /// Their network namespaces.
    pub netns: BTreeSet<u32>,
    /// By state.
    pub states: BTreeMap<TcpState, Part>,
    /// Those that hold most, most bytes first, at most [`MAX_TOP`].
    pub top: Vec<Socket>,
    /// What the memory controller says of the same: `sock` of `memory.stat` of the group's cgroup, in bytes; `None` where it
    /// was not read. It does not have what no process has accepted yet.
    pub memory_stat_sock: Option<u64>,
}

impl Holding {
    /// Over all states.
    #[must_use]
    pub fn total(&self) -> Part {
        let mut sum = Part::default();
        for part in self.states.values() {
            sum.merge(part);
        }
        sum
    }

    /// Adds one socket.
    fn add(&mut self, socket: &Socket) {
        self.netns.insert(socket.netns_inum);
        self.states.entry(socket.state).or_default().add(socket);
        keep_largest(&mut self.top, socket);
    }

    /// Adds sockets that were only summed.
    fn add_sum(&mut self, sum: &Sum) {
        let state = sum.example.state;
        self.netns.insert(sum.example.netns_inum);
        self.states.entry(state).or_default().merge(&sum.part);
        for socket in &sum.top {
            keep_largest(&mut self.top, socket);
        }
    }

    /// Notes by how much each state has grown since an earlier scan. A state that has gone stays, with nothing but that.
    pub fn grown_since(&mut self, before: Option<&Self>) {
        let held = |part: Option<&Part>| {
            i64::try_from(part.map_or(0, |part| part.held)).unwrap_or(i64::MAX)
        };
        let earlier = before.map(|before| &before.states);
        for state in earlier.into_iter().flat_map(BTreeMap::keys) {
            self.states.entry(*state).or_default();
        }
        for (state, part) in &mut self.states {
            let before = held(earlier.and_then(|states| states.get(state)));
            part.growth = Some(held(Some(part)) - before);
        }
    }
}

/// Sums the sockets of a scan by group.
#[must_use]
pub fn by_group(scan: &Scan, lookup: &dyn Fn(&Socket) -> Owner) -> BTreeMap<Group, Holding> {
    by_group_of(scan, lookup, |_, _| true)
}

/// Sums those sockets of a scan by group that are wanted, as they and their owners say.
pub fn by_group_of(
    scan: &Scan,
    lookup: &dyn Fn(&Socket) -> Owner,
    wanted: impl Fn(&Socket, &Owner) -> bool,
) -> BTreeMap<Group, Holding> {
    let mut groups: BTreeMap<Group, Holding> = BTreeMap::new();
    let mut vague: BTreeMap<Group, BTreeSet<Owner>> = BTreeMap::new();
    let mut add = |socket: &Socket, sum: Option<&Sum>| {
        let owner = lookup(socket);
        if !wanted(socket, &owner) {
            return;
        }
        let group = Group::of(&owner);
        let holding = groups.entry(group.clone()).or_default();
        match sum {
            Some(sum) => holding.add_sum(sum),
            None => holding.add(socket),
        }
        if socket.is_stand_in() {
            vague.entry(group).or_default().insert(owner);
        } else {
            holding.owners.insert(owner);
        }
    };
    for socket in &scan.sockets {
        add(socket, None);
    }
    for sum in &scan.sums {
        add(&sum.example, Some(sum));
    }
    // Stand-ins hold nothing and know no cgroup: a pod's container is not unknown because a connection of it is in TIME-WAIT.
    for (group, owners) in vague {
        let holding = groups.entry(group).or_default();
        if holding.owners.is_empty() {
            holding.owners = owners;
        }
    }
    groups
}

/// All of them together.
#[must_use]
pub fn total(holdings: &BTreeMap<Group, Holding>) -> Part {
    let mut sum = Part::default();
    for holding in holdings.values() {
        sum.merge(&holding.total());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attribute::{OwnerKind, Source},
        holders::socket::SocketMemory,
    };

    fn socket(state: TcpState, inode: u32, memory: Option<SocketMemory>, unread: u32) -> Socket {
        Socket {
            netns_inum: 1,
            local: ([10, 0, 0, 1], 80).into(),
            remote: ([10, 0, 0, 2], 4000).into(),
            state,
            inode,
            cookie: 1,
            cgroup_id: Some(1),
            memory,
            clamped: None,
            idle_ms: None,
            listed: true,
            unread,
            unsent: 0,
        }
    }

    fn scan(sockets: impl IntoIterator<Item = Socket>) -> Scan {
        Scan {
            sockets: sockets.into_iter().collect(),
            ..Scan::default()
        }
    }

    #[test]
    fn orphans_are_full_sockets_that_were_closed() {
        let memory = Some(SocketMemory::default());
        let sockets = [
            socket(TcpState::FinWait1, 0, memory, 0),
            socket(TcpState::LastAck, 0, memory, 0),
            socket(TcpState::FinWait1, 5, memory, 0), // shut down, not closed
            socket(TcpState::FinWait2, 0, None, 0),   // a stand-in
            socket(TcpState::Established, 0, memory, 0), // not accepted yet
        ];
        let groups = by_group(&scan(sockets), &|_| Owner::of_kind(OwnerKind::Kernel));
        let total = groups[&Group::Kernel].total();
        assert_eq!((total.orphans, total.fileless), (2, 4));
        assert_eq!(total.unmeasured, 0);
    }

    #[test]
    fn connections_that_wait_and_sockets_in_no_table_are_told_apart() {
        let memory = Some(SocketMemory {
            rmem_alloc: 1000,
            ..SocketMemory::default()
        });
        let sockets = [
            socket(TcpState::Established, 0, memory, 900), // waits at a listener
            socket(TcpState::CloseWait, 0, memory, 900),   // and its peer has closed
            socket(TcpState::SynRecv, 0, memory, 900),     // by TCP Fast Open
            socket(TcpState::SynRecv, 0, None, 0),         // a request
            socket(TcpState::FinWait1, 0, memory, 0),      // an orphan
            socket(TcpState::Established, 5, memory, 900), // accepted
            Socket {
                listed: false,
                ..socket(TcpState::Close, 6, memory, 900)
            },
        ];
        let groups = by_group(&scan(sockets), &|_| Owner::of_kind(OwnerKind::Kernel));
        let total = groups[&Group::Kernel].total();
        assert_eq!((total.not_accepted, total.not_accepted_held), (3, 3000));
        assert_eq!((total.unlisted, total.unlisted_held), (1, 1000));
        assert_eq!((total.orphans, total.sockets), (1, 7));
    }

    #[test]
    fn stand_ins_take_no_container_away() {
        let told = Owner {
            pod_uid: Some("u1".into()),
            container_id: Some("aa".into()),
            found: Some(Source::CgroupPath),
            ..Owner::of_kind(OwnerKind::Pod)
        };
        let by_netns = Owner {
            container_id: None,
            found: Some(Source::Netns),
            ..told.clone()
        };
        let owners = |sockets: Vec<Socket>| {
            let lookup = |socket: &Socket| match socket.memory {
                Some(_) => told.clone(),
                None => by_netns.clone(),
            };
            let mut groups = by_group(&scan(sockets), &lookup);
            groups.remove(&Group::Pod("u1".into())).unwrap().owners
        };
        let full = socket(TcpState::Established, 5, Some(SocketMemory::default()), 0);
        let stand_in = socket(TcpState::TimeWait, 0, None, 0);
        let unmeasured = socket(TcpState::Established, 6, None, 0);
        let both = owners(vec![stand_in.clone(), full.clone()]);
        assert_eq!(both, BTreeSet::from([told.clone()]));
        assert_eq!(owners(vec![stand_in]), BTreeSet::from([by_netns.clone()]));
        let both = owners(vec![full, unmeasured]);
        assert_eq!(both, BTreeSet::from([told.clone(), by_netns.clone()]));
    }

    #[test]
    fn sums_count_as_their_sockets_do() {
        let sizes = [3, 9, 1, 7, 0, 5, 8, 2];
        let sockets = || {
            sizes.into_iter().map(|held| {
                let memory = SocketMemory {
                    rmem_alloc: held,
                    ..SocketMemory::default()
                };
                socket(TcpState::CloseWait, held, Some(memory), 1)
            })
        };
        let mut sum = Sum {
            example: sockets().next().unwrap(),
            part: Part::default(),
            top: Vec::new(),
        };
        for socket in sockets().skip(2) {
            sum.part.add(&socket);
            keep_largest(&mut sum.top, &socket);
        }
        let summed = Scan {
            sums: vec![sum],
            ..scan(sockets().take(2))
        };
        let lookup = |_: &Socket| Owner::of_kind(OwnerKind::Kernel);
        assert_eq!(
            by_group(&summed, &lookup),
            by_group(&scan(sockets()), &lookup)
        );
        assert_eq!(summed.total(), scan(sockets()).total());
    }

    #[test]
    fn the_largest_are_kept_and_growth_is_by_state() {
        let of = |held: u32, state| {
            let memory = SocketMemory {
                rmem_alloc: held,
                ..SocketMemory::default()
            };
            socket(state, held, Some(memory), 0)
        };
        let sum = |sizes: &[u32], state| {
            let sockets = sizes.iter().map(|held| of(*held, state));
            let mut groups = by_group(&scan(sockets), &|_| Owner::of_kind(OwnerKind::Kernel));
            groups.remove(&Group::Kernel).unwrap()
        };
        let mut now = sum(&[3, 9, 1, 7, 0, 5, 8], TcpState::CloseWait);
        let top: Vec<u32> = now.top.iter().map(|socket| socket.inode).collect();
        assert_eq!(top, [9, 8, 7, 5, 3]);
        assert_eq!(now.total().growth, None, "one scan knows no growth");
        now.grown_since(Some(&sum(&[4, 6], TcpState::Established)));
        assert_eq!(now.states[&TcpState::CloseWait].growth, Some(33));
        assert_eq!(now.states[&TcpState::Established].growth, Some(-10));
        assert_eq!(now.total().growth, Some(23));
        let mut new = sum(&[2], TcpState::Close);
        new.grown_since(None);
        assert_eq!(new.total().growth, Some(2));
    }

    #[test]
    fn sums_by_state_and_keeps_absent_apart_from_zero() {
        let memory = SocketMemory {
            rmem_alloc: 1000,
            wmem_queued: 200,
            forward_alloc: 30,
            ..SocketMemory::default()
        };
        let sockets = [
            socket(TcpState::CloseWait, 5, Some(memory), 700),
            socket(TcpState::CloseWait, 0, Some(memory), 0),
            socket(TcpState::Established, 6, None, 11),
            socket(TcpState::TimeWait, 0, None, 0),
            socket(TcpState::Listen, 7, Some(SocketMemory::default()), 128),
        ];
        let groups = by_group(&scan(sockets), &|_| Owner::of_kind(OwnerKind::Kernel));
        let holding = &groups[&Group::Kernel];
        let leak = holding.states[&TcpState::CloseWait];
        assert_eq!(
            (leak.sockets, leak.held, leak.fileless_held),
            (2, 2 * 1230, 1230)
        );
        let total = holding.total();
        assert_eq!(total.sockets, 5);
        assert_eq!(
            total.unread,
            700 + 11,
            "a listener's number is connections, not bytes"
        );
        assert_eq!(total.waiting, 128);
        assert_eq!(
            total.unmeasured, 1,
            "a time-wait socket has no memory to tell"
        );
        // The payload of the one that tells no memory stands for it.
        assert_eq!(super::total(&groups).held, 2 * 1230 + 11);
    }
}
