//! What an owner holds: sockets of one scan summed by group and state.

use std::collections::{BTreeMap, BTreeSet};

use super::Group;
use crate::{
    attribute::Owner,
    holders::{Socket, TcpState},
};

/// Sockets of one owner that are kept by themselves.
pub const MAX_TOP: usize = 5;

/// Sockets of one owner in one state. Sizes are bytes of `truesize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub sockets: u64,
    /// What they take from `tcp_mem`.
    pub held: u64,
    /// Receive and out-of-order queues.
    pub receive: u64,
    /// Send queues.
    pub send: u64,
    /// Reserved and not used yet.
    pub forward: u64,
    /// Payload that nobody has read; 0 for listeners, whose number means connections.
    pub unread: u64,
    /// Of `sockets`, those that no file holds: not accepted yet, or closed by their application.
    pub fileless: u64,
    /// What those take from `tcp_mem`.
    pub fileless_held: u64,
    /// Of `fileless`, those that were closed by their application: orphans, as `/proc/net/sockstat` counts them.
    pub orphans: u64,
    /// Of `fileless`, connections that wait at a listener: their application has not accepted them.
    pub not_accepted: u64,
    /// What those take from `tcp_mem`.
    pub not_accepted_held: u64,
    /// Of `sockets`, those that no table of the kernel lists.
    pub unlisted: u64,
    /// What those take from `tcp_mem`.
    pub unlisted_held: u64,
    /// Of `sockets`, those whose memory the kernel did not tell although they have some: their payload
    /// stands for it, which is less.
    pub unmeasured: u64,
    /// Connections that wait at listeners to be accepted, as the listeners count them.
    pub waiting: u64,
    /// Longest time since data was received, in milliseconds, of the sockets that were asked.
    pub idle_ms: Option<u32>,
    /// Change of `held` since the scan before; `None` when there was none.
    pub growth: Option<i64>,
}

impl Part {
    /// Adds one socket.
    fn add(&mut self, socket: &Socket) {
        self.sockets += 1;
        self.idle_ms = self.idle_ms.max(socket.idle_ms);
        if socket.state == TcpState::Listen {
            self.waiting += u64::from(socket.unread);
        } else {
            self.unread += u64::from(socket.unread);
        }
        match socket.memory {
            Some(memory) => {
                self.receive += u64::from(memory.rmem_alloc);
                self.send += u64::from(memory.wmem_queued);
                self.forward += u64::from(memory.forward_alloc);
            }
            None if socket.is_stand_in() => {}
            None => {
                self.unmeasured += 1;
                if socket.state != TcpState::Listen {
                    self.receive += u64::from(socket.unread);
                    self.send += u64::from(socket.unsent);
                }
            }
        }
        let held = socket.held();
        self.held += held;
        let fileless = socket.inode == 0;
        let real = fileless && !socket.is_stand_in();
        for (which, sockets, sum) in [
            (fileless, &mut self.fileless, &mut self.fileless_held),
            (
                real && waits_to_be_accepted(socket.state),
                &mut self.not_accepted,
                &mut self.not_accepted_held,
            ),
            (!socket.listed, &mut self.unlisted, &mut self.unlisted_held),
        ] {
            if which {
                *sockets += 1;
                *sum += held;
            }
        }
        self.orphans += u64::from(real && is_closed(socket.state));
    }

    /// Adds another part.
    fn merge(&mut self, other: &Self) {
        self.sockets += other.sockets;
        self.held += other.held;
        self.receive += other.receive;
        self.send += other.send;
        self.forward += other.forward;
        self.unread += other.unread;
        self.fileless += other.fileless;
        self.fileless_held += other.fileless_held;
        self.orphans += other.orphans;
        self.not_accepted += other.not_accepted;
        self.not_accepted_held += other.not_accepted_held;
        self.unlisted += other.unlisted;
        self.unlisted_held += other.unlisted_held;
        self.unmeasured += other.unmeasured;
        self.waiting += other.waiting;
        self.idle_ms = self.idle_ms.max(other.idle_ms);
        let growth = other.growth.map(|it| it + self.growth.unwrap_or(0));
        self.growth = growth.or(self.growth);
    }
}

/// States that a socket reaches only after its application has closed it, or shut it down.
const fn is_closed(state: TcpState) -> bool {
    use TcpState::{Closing, FinWait1, FinWait2, LastAck};
    matches!(state, FinWait1 | FinWait2 | Closing | LastAck)
}

/// States of a full socket without a file that nobody has closed: it is in the queue of a listener. (In SYN-RECEIVED by TCP
/// Fast Open.)
const fn waits_to_be_accepted(state: TcpState) -> bool {
    use TcpState::{CloseWait, Established, SynRecv};
    matches!(state, Established | CloseWait | SynRecv)
}

/// All sockets of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The owners that were summed.
    pub owners: BTreeSet<Owner>,
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
        self.states.entry(socket.state).or_default().add(socket);
        let held = socket.held();
        let least = self.top.last().map_or(0, Socket::held);
        if held == 0 || (self.top.len() == MAX_TOP && held <= least) {
            return;
        }
        let at = self.top.partition_point(|other| other.held() >= held);
        self.top.insert(at, socket.clone());
        self.top.truncate(MAX_TOP);
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

/// Sums sockets by group.
pub fn by_group<'a>(
    sockets: impl IntoIterator<Item = &'a Socket>,
    lookup: &dyn Fn(&Socket) -> Owner,
) -> BTreeMap<Group, Holding> {
    let mut groups: BTreeMap<Group, Holding> = BTreeMap::new();
    for socket in sockets {
        let owner = lookup(socket);
        let holding = groups.entry(Group::of(&owner)).or_default();
        holding.add(socket);
        holding.owners.insert(owner);
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
    use crate::{attribute::OwnerKind, holders::socket::SocketMemory};

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
        let groups = by_group(&sockets, &|_| Owner::of_kind(OwnerKind::Kernel));
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
        let groups = by_group(&sockets, &|_| Owner::of_kind(OwnerKind::Kernel));
        let total = groups[&Group::Kernel].total();
        assert_eq!((total.not_accepted, total.not_accepted_held), (3, 3000));
        assert_eq!((total.unlisted, total.unlisted_held), (1, 1000));
        assert_eq!((total.orphans, total.sockets), (1, 7));
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
            let sockets: Vec<Socket> = sizes.iter().map(|held| of(*held, state)).collect();
            let mut groups = by_group(&sockets, &|_| Owner::of_kind(OwnerKind::Kernel));
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
            backlog: 9999, // not charged to tcp_mem
            ..SocketMemory::default()
        };
        let sockets = [
            socket(TcpState::CloseWait, 5, Some(memory), 700),
            socket(TcpState::CloseWait, 0, Some(memory), 0),
            socket(TcpState::Established, 6, None, 11),
            socket(TcpState::TimeWait, 0, None, 0),
            socket(TcpState::Listen, 7, Some(SocketMemory::default()), 128),
        ];
        let groups = by_group(&sockets, &|_| Owner::of_kind(OwnerKind::Kernel));
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
