//! Looks at sockets: the largest ones of those who matter are kept singly, all others are sums.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::SocketAddr,
};

use tracer_common::TallyKey;

use crate::{
    aggregate::Group,
    attribute::{Owner, OwnerKind},
    capture::{
        Capture, Keep, Moment,
        contents::{Kin, kin},
        left_out::Rest,
        story::weight,
    },
    holders::{
        Scan, Socket, Sum, TcpState,
        part::{Part, keep_largest},
        socket::SocketMemory,
    },
};

/// Sums of all that is not kept apart are of this cgroup, which there is not.
const NO_CGROUP: u64 = u64::MAX;

impl Capture {
    /// Keeps those apart who hold most, and sums the others. Who was kept apart.
    pub(super) fn trim_scans(&mut self, keep: &Keep) -> BTreeSet<Group> {
        let apart = self.apart_of(keep);
        let others = self.number_of(Owner::of_kind(OwnerKind::Other));
        let singly = self.singly(&apart, keep.sockets);
        let mut socket_owners: HashMap<Kin, u32> = HashMap::new();
        let scans = std::mem::take(&mut self.scans);
        for (moment, scan) in scans {
            let mut held: BTreeMap<Group, u64> = BTreeMap::new();
            let mut sums: BTreeMap<(u32, u32, TcpState, bool), Sum> = BTreeMap::new();
            let mut kept = Vec::new();
            let before = scan
                .sums
                .into_iter()
                .map(|sum| (sum.example.clone(), Some(sum)));
            let sockets = scan.sockets.into_iter().map(|socket| (socket, None));
            for (socket, sum) in before.chain(sockets) {
                let number = self.socket_owners.get(&kin(&socket)).copied();
                let owner = number.and_then(|number| Some((number, self.owners.get(&number)?)));
                let unknown = Owner {
                    cgroup_id: socket.cgroup_id,
                    ..Owner::of_kind(OwnerKind::Unknown)
                };
                let group = Group::of(owner.map_or(&unknown, |(_, owner)| owner));
                let number = owner
                    .map(|(number, _)| number)
                    .filter(|_| apart.contains(&group));
                if number.is_some() && sum.is_none() && singly.contains(&identity(&socket)) {
                    socket_owners.insert(kin(&socket), number.unwrap_or(others));
                    kept.push(socket);
                    continue;
                }
                if number.is_none() && group != Group::Other {
                    let of = sum.as_ref().map_or(socket.held(), |sum| sum.part.held);
                    let held = held.entry(group).or_default();
                    *held = held.saturating_add(of);
                }
                let key = (
                    number.unwrap_or(others),
                    number.map_or(0, |_| socket.netns_inum),
                    socket.state,
                    socket.is_stand_in(),
                );
                let to = sums.entry(key).or_insert_with(|| Sum {
                    example: number.map_or_else(|| nobody(&socket), |_| bare(&socket)),
                    part: Part::default(),
                    top: Vec::new(),
                });
                socket_owners.insert(kin(&to.example), number.unwrap_or(others));
                let top = match sum {
                    Some(sum) => {
                        to.part.merge(&sum.part);
                        sum.top
                    }
                    None => {
                        to.part.add(&socket);
                        Vec::new()
                    }
                };
                if let Some(number) = number {
                    for socket in &top {
                        keep_largest(&mut to.top, socket);
                    }
                    to.top.truncate(keep.sockets);
                    socket_owners.extend(to.top.iter().map(|socket| (kin(socket), number)));
                }
            }
            self.note_rest(moment, &held);
            self.scans.insert(
                moment,
                Scan {
                    sockets: kept,
                    sums: sums.into_values().collect(),
                    at: scan.at,
                    gaps: scan.gaps,
                    around: scan.around,
                },
            );
        }
        self.socket_owners = socket_owners;
        apart
    }

    fn note_rest(&mut self, moment: Moment, held: &BTreeMap<Group, u64>) {
        let before = self.rests.get(&moment).copied().unwrap_or_default();
        let rest = Rest {
            owners: before.owners.saturating_add(held.len() as u64),
            most: held.values().copied().fold(before.most, u64::max),
        };
        if rest.owners > 0 {
            self.rests.insert(moment, rest);
        }
    }

    /// Those who suffered or whose memory cgroup is full, and those who hold most.
    fn apart_of(&self, keep: &Keep) -> BTreeSet<Group> {
        let group = |number: Option<&u32>| Some(Group::of(self.owners.get(number?)?));
        let mut suffered: BTreeMap<Group, u64> = BTreeMap::new();
        for delta in &self.tallies {
            if let Some(group) = group(self.names.get(&delta.key)) {
                let sum = suffered.entry(group).or_default();
                *sum = sum.saturating_add(weight(&delta.value));
            }
        }
        suffered.remove(&Group::Other);
        let full = self.memcgs.iter().filter_map(|pressed| {
            let key = TallyKey {
                cgroup_id: pressed.id,
                memcg_id: pressed.id,
                ..TallyKey::default()
            };
            group(self.names.get(&key))
        });
        let mut most: BTreeMap<Group, u64> = BTreeMap::new();
        for scan in self.scans.values() {
            let mut held: BTreeMap<Group, u64> = BTreeMap::new();
            let sockets = scan.sockets.iter().map(|socket| (socket, socket.held()));
            let sums = scan.sums.iter().map(|sum| (&sum.example, sum.part.held));
            for (socket, bytes) in sockets.chain(sums) {
                if let Some(group) = group(self.socket_owners.get(&kin(socket))) {
                    let held = held.entry(group).or_default();
                    *held = held.saturating_add(bytes);
                }
            }
            for (group, held) in held {
                let most = most.entry(group).or_default();
                *most = held.max(*most);
            }
        }
        most.retain(|group, held| *held >= keep.least_held && *group != Group::Other);
        let largest = |of: BTreeMap<Group, u64>| {
            let mut of: Vec<(Group, u64)> = of.into_iter().collect();
            of.sort_by_key(|(_, size)| Reverse(*size));
            of.truncate(keep.holders);
            of.into_iter().map(|(group, _)| group)
        };
        let mut apart: BTreeSet<Group> = full.take(keep.holders).collect();
        apart.extend(largest(suffered));
        apart.extend(largest(most));
        apart.remove(&Group::Unattributed);
        apart
    }

    /// The largest sockets of each of those, of all looks, so that the same ones are in each.
    fn singly(&self, apart: &BTreeSet<Group>, sockets: usize) -> HashSet<Identity> {
        let mut singly = HashSet::new();
        for scan in self.scans.values() {
            let mut of: BTreeMap<u32, Vec<Socket>> = BTreeMap::new();
            for socket in &scan.sockets {
                if let Some(number) = self.socket_owners.get(&kin(socket)) {
                    keep_largest(of.entry(*number).or_default(), socket);
                }
            }
            for (number, mut top) in of {
                let group = self.owners.get(&number).map(Group::of);
                if group.is_some_and(|group| apart.contains(&group)) {
                    top.truncate(sockets);
                    singly.extend(top.iter().map(identity));
                }
            }
        }
        singly
    }
}

/// What stays of a socket from one look to the next.
type Identity = (u32, SocketAddr, SocketAddr, u32);

fn identity(socket: &Socket) -> Identity {
    (socket.netns_inum, socket.local, socket.remote, socket.inode)
}

/// A socket of which only matters whose it is, its state, and whether it is a stand-in.
fn bare(socket: &Socket) -> Socket {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    Socket {
        local: nowhere,
        remote: nowhere,
        cookie: 0,
        memory: socket.memory.map(|_| SocketMemory::default()),
        clamped: None,
        idle_ms: None,
        unread: 0,
        unsent: 0,
        ..socket.clone()
    }
}

/// The same of nobody in particular.
fn nobody(socket: &Socket) -> Socket {
    Socket {
        cgroup_id: Some(NO_CGROUP),
        netns_inum: 0,
        inode: 0,
        listed: true,
        ..bare(socket)
    }
}
