//! Gathers the sockets of a scan while they are listed: each by itself, or, where that is enough, only their sums.
//!
//! A socket that changes while the kernel goes through its tables may be listed twice; it counts once, as it was listed last. A request that
//! becomes a connection, or a connection that goes to TIME-WAIT, stays in its chain (`__inet_hash`, `inet_twsk_hashdance`), so both stand close together.
//! One that is bound and not connected (state CLOSE, listed from 6.8 on) may be found again anywhere.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    part::{Part, keep_largest},
    progress::Progress,
    socket::{Socket, Sum, TcpState},
};

/// Sockets within which one that is listed twice is listed again; a chain is read by 16 at a time (`SKARR_SZ`, `inet_diag.c`).
const NEAR: usize = 32;
/// Sockets between two looks at the clock.
const TURN: u64 = 1024;
/// Sockets that are kept singly at most; what is beyond is summed.
pub(super) const MAX_KEPT: usize = 250_000;

/// What is kept of a scan.
#[derive(Clone, Copy)]
pub enum Detail<'a> {
    /// Every socket, so that it can be found again in another scan.
    Each,
    /// Only sockets whose cgroup does not tell their owner; all others are summed by cgroup, network namespace and state.
    Sums {
        /// Whether a cgroup, by its id, tells whose its sockets are.
        tells: &'a (dyn Fn(u64) -> bool + Sync),
    },
}

impl<'a> Detail<'a> {
    /// Every socket, if the node has allocated no more than so many; else sums.
    #[must_use]
    pub fn for_sockets(
        allocated: Option<u64>,
        singly_up_to: u64,
        tells: &'a (dyn Fn(u64) -> bool + Sync),
    ) -> Self {
        match allocated.unwrap_or(u64::MAX) <= singly_up_to {
            true => Self::Each,
            false => Self::Sums { tells },
        }
    }
}

type Key = (u32, Option<u64>, TcpState);
type Sums = BTreeMap<Key, Sum>;

/// What was listed so far.
pub(super) struct Gathering<'a> {
    detail: Detail<'a>,
    progress: &'a Progress<'a>,
    /// Sockets that were taken, also those listed again.
    taken: u64,
    sockets: Vec<Socket>,
    sums: Sums,
    /// Inodes of all of them.
    inodes: Vec<u32>,
    /// Sockets that were summed for want of room.
    pub(super) beyond: u64,
    /// Of the network namespace that is being read.
    current: Current,
}

/// What one network namespace has brought so far, beside its sockets at the end of the list.
#[derive(Default)]
struct Current {
    /// How many sockets and inodes there were before.
    sockets: usize,
    inodes: usize,
    beyond: u64,
    sums: Sums,
    /// The last ones listed, which may still be listed again.
    near: VecDeque<Socket>,
    /// Those in CLOSE, by cookie.
    bound: HashMap<u64, Socket>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(detail: Detail<'a>, progress: &'a Progress<'a>) -> Self {
        Self {
            detail,
            progress,
            taken: 0,
            sockets: Vec::new(),
            sums: Sums::new(),
            inodes: Vec::new(),
            beyond: 0,
            current: Current::default(),
        }
    }

    /// Begins a network namespace, or begins it again: what it has brought so far is forgotten.
    pub(super) fn begin(&mut self) {
        self.sockets.truncate(self.current.sockets);
        self.inodes.truncate(self.current.inodes);
        self.current = Current {
            sockets: self.sockets.len(),
            inodes: self.inodes.len(),
            ..Current::default()
        };
    }

    /// Takes a socket as it is listed.
    pub(super) fn take(&mut self, socket: Socket) {
        self.taken += 1;
        if self.taken.is_multiple_of(TURN) {
            self.progress.tell(|| {
                format!(
                    "reading sockets: {} so far, at network namespace {}",
                    self.taken, socket.netns_inum
                )
            });
        }
        let current = &mut self.current;
        if socket.cookie != 0 {
            let mut near = current.near.iter_mut();
            if let Some(earlier) = near.find(|earlier| earlier.cookie == socket.cookie) {
                *earlier = socket;
                return;
            }
            current.bound.remove(&socket.cookie);
            if socket.state == TcpState::Close {
                current.bound.insert(socket.cookie, socket);
                return;
            }
        }
        current.near.push_back(socket);
        if current.near.len() > NEAR
            && let Some(settled) = current.near.pop_front()
        {
            self.settle(settled);
        }
    }

    /// Ends a network namespace.
    pub(super) fn end(&mut self) {
        let near = std::mem::take(&mut self.current.near);
        let bound = std::mem::take(&mut self.current.bound);
        for socket in near.into_iter().chain(bound.into_values()) {
            self.settle(socket);
        }
        for (key, sum) in std::mem::take(&mut self.current.sums) {
            match self.sums.get_mut(&key) {
                Some(known) => known.merge(sum),
                None => drop(self.sums.insert(key, sum)),
            }
        }
        self.beyond += self.current.beyond;
        self.current = Current {
            sockets: self.sockets.len(),
            inodes: self.inodes.len(),
            ..Current::default()
        };
    }

    fn settle(&mut self, socket: Socket) {
        if socket.inode != 0 {
            self.inodes.push(socket.inode);
        }
        let keep = match self.detail {
            Detail::Each => true,
            Detail::Sums { tells } => !socket.cgroup_id.is_some_and(tells),
        };
        if keep && self.sockets.len() < MAX_KEPT {
            self.sockets.push(socket);
            return;
        }
        self.current.beyond += u64::from(keep);
        let key = (socket.netns_inum, socket.cgroup_id, socket.state);
        let sums = &mut self.current.sums;
        let sum = sums.entry(key).or_insert_with(|| Sum {
            example: socket.clone(),
            part: Part::default(),
            top: Vec::new(),
        });
        sum.part.add(&socket);
        keep_largest(&mut sum.top, &socket);
    }

    /// The sockets that were kept, the sums of the others, and the inodes of all.
    pub(super) fn finish(self) -> (Vec<Socket>, Vec<Sum>, Vec<u32>) {
        (self.sockets, self.sums.into_values().collect(), self.inodes)
    }
}

impl Sum {
    fn merge(&mut self, other: Self) {
        self.part.merge(&other.part);
        for socket in &other.top {
            keep_largest(&mut self.top, socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::socket::SocketMemory;

    fn socket(cookie: u64, state: TcpState) -> Socket {
        Socket {
            netns_inum: 5,
            local: "10.0.0.1:1".parse().unwrap(),
            remote: "10.0.0.2:2".parse().unwrap(),
            state,
            inode: cookie as u32,
            cookie,
            cgroup_id: Some(9),
            memory: Some(SocketMemory {
                rmem_alloc: 100 * cookie as u32,
                ..SocketMemory::default()
            }),
            clamped: None,
            idle_ms: None,
            listed: true,
            unread: 0,
            unsent: 0,
        }
    }

    fn gathered<'a>(
        detail: Detail<'a>,
        quiet: &'a Progress<'a>,
        listed: impl IntoIterator<Item = Socket>,
    ) -> Gathering<'a> {
        let mut gathering = Gathering::new(detail, quiet);
        gathering.begin();
        listed.into_iter().for_each(|socket| gathering.take(socket));
        gathering.end();
        gathering
    }

    #[test]
    fn a_cookie_is_listed_once_and_the_later_entry_stays() {
        let mut listed = vec![socket(900, TcpState::Close)];
        listed.extend((1..=100).map(|cookie| socket(cookie, TcpState::Established)));
        // Close by, far away but bound before, and without a cookie.
        listed.insert(60, socket(55, TcpState::TimeWait));
        listed.push(socket(900, TcpState::Established));
        listed.push(socket(0, TcpState::Established));
        listed.push(socket(0, TcpState::Established));
        let quiet = Progress::quiet();
        let (kept, sums, inodes) = gathered(Detail::Each, &quiet, listed).finish();
        assert_eq!((kept.len(), inodes.len(), sums), (103, 101, vec![]));
        let of = |cookie: u64| -> Vec<TcpState> {
            let found = kept.iter().filter(|socket| socket.cookie == cookie);
            found.map(|socket| socket.state).collect()
        };
        assert_eq!(of(55), [TcpState::TimeWait]);
        assert_eq!(of(900), [TcpState::Established]);
        assert_eq!(of(0).len(), 2);
    }

    #[test]
    fn one_that_stays_bound_is_kept() {
        let quiet = Progress::quiet();
        let kept = gathered(Detail::Each, &quiet, [socket(7, TcpState::Close)])
            .finish()
            .0;
        assert_eq!(kept, [socket(7, TcpState::Close)]);
    }

    #[test]
    fn sums_are_those_of_cgroups_that_tell() {
        let listed = || {
            (1..=10).map(|cookie| Socket {
                cgroup_id: (cookie % 2 == 0).then_some(9),
                ..socket(cookie, TcpState::Established)
            })
        };
        let detail = Detail::Sums {
            tells: &|id| id == 9,
        };
        let quiet = Progress::quiet();
        let mut gathering = gathered(detail, &quiet, listed());
        // A namespace that was begun again counts once.
        gathering.begin();
        listed().for_each(|socket| gathering.take(socket));
        gathering.begin();
        let own = listed().map(|socket| Socket {
            netns_inum: 6,
            cookie: socket.cookie + 100,
            ..socket
        });
        own.for_each(|socket| gathering.take(socket));
        gathering.end();
        let (kept, sums, inodes) = gathering.finish();
        assert_eq!((kept.len(), sums.len(), inodes.len()), (10, 2, 20));
        // 2, 4, 6, 8 and 10.
        assert_eq!(sums[0].part.held, 3000);
        assert_eq!((sums[0].part.sockets, sums[1].part.sockets), (5, 5));
        assert_eq!(sums[0].top[0].cookie, 10);
        assert_eq!(sums[1].example.netns_inum, 6);
    }
}
