//! Whether payload in receive queues is being read: the same sockets seen twice.

use std::collections::{BTreeMap, HashMap};

use super::Group;
use crate::{
    attribute::Owner,
    holders::{Socket, TcpState},
};

/// Open connections of one owner that had something to read, in bytes that they hold at the second look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// Seen twice with payload, and no less of it the second time: nobody has read, or less than came.
    pub stuck: u64,
    /// Seen twice, and there was less to read the second time.
    pub moving: u64,
    /// Without payload at the first look, or not there at all.
    pub fresh: u64,
}

impl Movement {
    /// Of what was seen twice, the part that is stuck, 0 to 1; `None` where too little was seen twice to speak for the rest.
    ///
    /// Queues of a reader that keeps up rise and fall: about half of them hold less at a second look.
    #[must_use]
    pub fn stuck_part(&self) -> Option<f64> {
        let twice = self.stuck.saturating_add(self.moving);
        if twice == 0 || twice < self.fresh / 4 {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "a ratio of sums of u32 sizes")]
        let part = self.stuck as f64 / twice as f64;
        Some(part)
    }
}

/// Compares two looks at all sockets, the earlier one first.
pub fn by_group(
    first: &[Socket],
    second: &[Socket],
    lookup: &dyn Fn(&Socket) -> Owner,
) -> BTreeMap<Group, Movement> {
    let before: HashMap<_, u32> = first
        .iter()
        .filter(|socket| is_open(socket))
        .map(|socket| (identity(socket), socket.unread))
        .collect();
    let mut groups: BTreeMap<Group, Movement> = BTreeMap::new();
    for socket in second.iter().filter(|socket| is_open(socket)) {
        let earlier = before.get(&identity(socket)).copied().unwrap_or(0);
        if earlier == 0 && socket.unread == 0 {
            continue;
        }
        let movement = groups.entry(Group::of(&lookup(socket))).or_default();
        let to = match (earlier, socket.unread) {
            (0, _) => &mut movement.fresh,
            (earlier, now) if now >= earlier => &mut movement.stuck,
            _ => &mut movement.moving,
        };
        *to = to.saturating_add(socket.held());
    }
    groups
}

/// An open connection that an application has accepted.
fn is_open(socket: &Socket) -> bool {
    socket.inode != 0 && matches!(socket.state, TcpState::Established | TcpState::FinWait2)
}

/// What stays of a socket while it lives. Kernels give a cookie when they are first asked for one, so the ends tell as well.
fn identity(socket: &Socket) -> (u32, std::net::SocketAddr, std::net::SocketAddr, u32) {
    (socket.netns_inum, socket.local, socket.remote, socket.inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attribute::OwnerKind, holders::socket::SocketMemory};

    fn socket(port: u16, unread: u32) -> Socket {
        Socket {
            netns_inum: 1,
            local: ([10, 0, 0, 1], 80).into(),
            remote: ([10, 0, 0, 2], port).into(),
            state: TcpState::Established,
            inode: u32::from(port),
            cookie: 0,
            cgroup_id: None,
            memory: Some(SocketMemory {
                rmem_alloc: 1000,
                ..SocketMemory::default()
            }),
            clamped: None,
            idle_ms: None,
            listed: true,
            unread,
            unsent: 0,
        }
    }

    fn movement(first: &[Socket], second: &[Socket]) -> Movement {
        by_group(first, second, &|_| Owner::of_kind(OwnerKind::Kernel))
            .remove(&Group::Kernel)
            .unwrap_or_default()
    }

    #[test]
    fn what_shrinks_is_read() {
        let first = [socket(1, 10), socket(2, 10), socket(3, 10), socket(4, 0)];
        let second = [
            socket(1, 10),
            socket(2, 11),
            socket(3, 9),
            socket(4, 5),
            socket(5, 5),
        ];
        let seen = movement(&first, &second);
        let want = Movement {
            stuck: 2000,
            moving: 1000,
            fresh: 2000,
        };
        assert_eq!(seen, want);
        assert!((seen.stuck_part().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_few_old_ones_do_not_speak_for_many_new_ones() {
        let mut second: Vec<Socket> = (1..=9).map(|port| socket(port, 7)).collect();
        assert_eq!(movement(&[], &second).stuck_part(), None);
        // 1 of 9 seen twice is less than a quarter of the other 8; 2 of 9 are more than a quarter of 7.
        assert_eq!(movement(&[socket(1, 7)], &second).stuck_part(), None);
        assert_eq!(
            movement(&[socket(1, 7), socket(2, 7)], &second).stuck_part(),
            Some(1.0)
        );
        second.clear();
        assert_eq!(movement(&[], &second).stuck_part(), None);
    }

    #[test]
    fn only_open_and_accepted_connections_count() {
        let mut waiting = socket(1, 10);
        waiting.inode = 0;
        let mut closed = socket(2, 10);
        closed.state = TcpState::CloseWait;
        let both = [waiting, closed];
        assert_eq!(movement(&both, &both), Movement::default());
    }
}
