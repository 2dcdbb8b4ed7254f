//! What an owner holds: sockets of one scan summed by group and state.

use std::collections::{BTreeMap, BTreeSet};

use super::Group;
use crate::{
    attribute::Owner,
    holders::{Socket, TcpState},
};

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
    /// Of `sockets`, those whose memory the kernel did not tell although they have some: their payload
    /// stands for it, which is less.
    pub unmeasured: u64,
    /// Connections that wait at listeners to be accepted.
    pub waiting: u64,
}

impl Part {
    /// Adds one socket.
    fn add(&mut self, socket: &Socket) {
        self.sockets += 1;
        if socket.state == TcpState::Listen {
            self.waiting += u64::from(socket.unread);
        } else {
            self.unread += u64::from(socket.unread);
        }
        let fileless = socket.inode == 0;
        self.fileless += u64::from(fileless);
        let closed = matches!(
            socket.state,
            TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing | TcpState::LastAck
        );
        // What is in FIN-WAIT-2 without memory is a stand-in for TIME-WAIT (`tcp_time_wait`).
        let stand_in = fileless && socket.state == TcpState::FinWait2 && socket.memory.is_none();
        self.orphans += u64::from(fileless && closed && !stand_in);
        match socket.memory {
            Some(memory) => {
                self.held += memory.held();
                self.receive += u64::from(memory.rmem_alloc);
                self.send += u64::from(memory.wmem_queued);
                self.forward += u64::from(memory.forward_alloc);
                self.fileless_held += if fileless { memory.held() } else { 0 };
            }
            // Both are small stand-ins without queues (`inet_timewait_sock`, `request_sock`): the
            // kernel tells no memory because there is none.
            None if stand_in || matches!(socket.state, TcpState::TimeWait | TcpState::SynRecv) => {}
            // Payload is less than the memory it lies in, but a leak shows by it all the same.
            None => {
                self.unmeasured += 1;
                if socket.state != TcpState::Listen {
                    let (receive, send) = (u64::from(socket.unread), u64::from(socket.unsent));
                    self.held += receive + send;
                    self.receive += receive;
                    self.send += send;
                    self.fileless_held += if fileless { receive + send } else { 0 };
                }
            }
        }
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
        self.unmeasured += other.unmeasured;
        self.waiting += other.waiting;
    }
}

/// All sockets of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The owners that were summed.
    pub owners: BTreeSet<Owner>,
    /// By state.
    pub states: BTreeMap<TcpState, Part>,
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
        holding.states.entry(socket.state).or_default().add(socket);
        holding.owners.insert(owner);
    }
    groups
}

/// Bytes that all of them take from `tcp_mem`.
#[must_use]
pub fn found(holdings: &BTreeMap<Group, Holding>) -> u64 {
    holdings.values().map(|holding| holding.total().held).sum()
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
        assert_eq!(found(&groups), 2 * 1230 + 11);
    }
}
