//! Makes a capture small. Sums stay what they were; what is kept singly is bounded, and what is left out is counted.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::SocketAddr,
};

use tracer_common::{SocketState, TallyKey, tally::VERDICT_SLOTS};

use super::{
    Capture, Keep, Moment,
    contents::{Kin, kin},
    join::free_number,
    left_out::Rest,
};
use crate::{
    aggregate::{
        Group,
        steps::{self, coarsen},
    },
    attribute::{Owner, OwnerKind},
    holders::{
        Scan, Socket, Sum, TcpState,
        part::{MAX_TOP, Part, keep_largest},
        socket::SocketMemory,
    },
    indicators::{Row, RowState},
    report::evidence,
};

/// Sums of all that is not kept apart are of this cgroup, which there is not.
const NO_CGROUP: u64 = u64::MAX;

impl Capture {
    /// Goes on with the window that comes next. However many come, what is kept singly is what one incident may take.
    pub fn extend(&mut self, mut window: Capture) {
        window.trim(&Keep::SECONDS);
        self.join(window);
        self.trim(&Keep::INCIDENT);
    }

    /// Leaves out what there is no room for. Counts of owners, the sums of sockets and rows in which something moved stay.
    pub fn trim(&mut self, keep: &Keep) {
        self.trim_rows();
        self.trim_evidence(keep);
        self.steps = coarsen(std::mem::take(&mut self.steps), keep.step_ns);
        for delta in &mut self.tallies {
            // By which kernel programs held evidence back.
            delta.value.last_evidence_ns = [0; VERDICT_SLOTS];
        }
        let apart = self.trim_scans(keep);
        let owners = &self.owners;
        let suffered: BTreeSet<Group> = (self.tallies.iter())
            .filter_map(|delta| owners.get(self.names.get(&delta.key)?))
            .map(Group::of)
            .collect();
        let wanted = |group: &Group| apart.contains(group) || suffered.contains(group);
        self.contexts.retain(|group, _| wanted(group));
        self.memory_stats.retain(|group, _| apart.contains(group));
        let moved: BTreeSet<u32> = self.rows.iter().map(|row| row.netns_inum).collect();
        self.residents.retain(|(inum, _)| moved.contains(inum));
        self.forget();
        self.header.records = self.count();
    }

    /// Leaves out rows in which nothing moved.
    fn trim_rows(&mut self) {
        let mut left = self.header.at_rest;
        let still = |count: Option<u64>| count.is_none_or(|count| count == 0);
        let (mut agreed, mut unknown) = (0, 0);
        self.rows.retain(|row: &Row| {
            let seen = row.state != RowState::Gone && row.kernel.is_some();
            if !still(row.kernel) || !still(row.attributed) || row.bound.unwrap_or(0) > 0 {
                return true;
            }
            match (seen, row.state) {
                (true, _) => agreed += 1,
                (false, RowState::Gone) => unknown += 1,
                // A counter that the kernel did not tell is no counter at rest.
                (false, _) => return true,
            }
            false
        });
        left.agreed = left.agreed.max(agreed);
        left.unknown = left.unknown.saturating_add(unknown);
        self.header.at_rest = left;
    }

    fn trim_evidence(&mut self, keep: &Keep) {
        let left = &mut self.header.left_out;
        let mut dropped = |kept: usize, all: usize, to: fn(&mut super::LeftOut) -> &mut u64| {
            let to = to(left);
            *to = to.saturating_add(all.saturating_sub(kept) as u64);
        };
        let all = self.events.len();
        let sample: Vec<_> = evidence::sample(&self.events, keep.events)
            .into_iter()
            .copied()
            .collect();
        dropped(sample.len(), all, |left| &mut left.events);
        self.events = sample;

        let all = self.socket_states.len();
        let weight = |state: &SocketState| {
            let verdicts = state.verdicts.iter().chain(&state.counts).copied();
            verdicts.fold(state.prunes, u64::saturating_add)
        };
        self.socket_states
            .sort_by_key(|(cookie, state)| (Reverse(weight(state)), *cookie));
        let mut of_key: HashMap<TallyKey, usize> = HashMap::new();
        self.socket_states.retain(|(_, state)| {
            let of_key = of_key.entry(state.owner).or_default();
            *of_key += 1;
            *of_key <= MAX_TOP
        });
        self.socket_states.truncate(keep.socket_states);
        dropped(self.socket_states.len(), all, |left| {
            &mut left.socket_states
        });

        let all = self.timeline.len();
        self.timeline.truncate(keep.moments);
        dropped(self.timeline.len(), all, |left| &mut left.moments);

        let all = self.orphans.len();
        thin(&mut self.orphans, keep.moments);
        dropped(self.orphans.len(), all, |left| &mut left.orphans);
    }

    /// Keeps those apart who hold most, and sums the others. Who was kept apart.
    fn trim_scans(&mut self, keep: &Keep) -> BTreeSet<Group> {
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
                let prunes = delta.value.prunes.iter().copied();
                let harm = prunes.fold(steps::refused(&delta.value), u64::saturating_add);
                let sum = suffered.entry(group).or_default();
                *sum = sum.saturating_add(harm);
            }
        }
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

    /// The number of an owner, a new one where it has none.
    pub(super) fn number_of(&mut self, owner: Owner) -> u32 {
        let known = self.owners.iter().find(|(_, known)| **known == owner);
        if let Some((number, _)) = known {
            return *number;
        }
        let next = free_number(&self.owners);
        self.owners.insert(next, owner);
        next
    }

    /// Forgets names, owners and descriptors that nothing means any more.
    fn forget(&mut self) {
        let mut ids: HashSet<u64> = self.memcgs.iter().map(|pressed| pressed.id).collect();
        let steps = self.steps.iter().flat_map(|step| &step.refused);
        let keys = (self.tallies.iter().map(|delta| &delta.key))
            .chain(steps.map(|(key, _)| key))
            .chain(self.socket_states.iter().map(|(_, state)| &state.owner))
            .chain(self.events.iter().map(|event| &event.owner))
            .chain(self.timeline.iter().map(|moment| &moment.owner));
        ids.extend(keys.flat_map(|key| [key.cgroup_id, key.memcg_id]));
        ids.extend(self.events.iter().map(|event| event.compared.memcg_id));
        self.names
            .retain(|key, _| ids.contains(&key.cgroup_id) || ids.contains(&key.memcg_id));
        let mut used: HashSet<u32> = self.names.values().copied().collect();
        used.extend(self.residents.iter().map(|(_, number)| number));
        used.extend(self.socket_owners.values());
        self.owners.retain(|number, _| used.contains(number));
        let inodes: HashSet<u32> = (self.scans.values().flat_map(Scan::shown))
            .map(|socket| socket.inode)
            .collect();
        self.descriptors.retain(|inode, _| inodes.contains(inode));
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

/// Keeps so many of a list at most, the last of them, and the others evenly spread.
fn thin<T>(list: &mut Vec<T>, most: usize) {
    let all = list.len();
    if all <= most {
        return;
    }
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        // The last one that falls into each of `most` equal parts.
        at * most / all > (at - 1) * most / all
    });
}

#[cfg(test)]
#[path = "trim_tests.rs"]
mod tests;
