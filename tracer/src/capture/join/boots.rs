//! Numbers mean something else after a machine was started anew: ids of cgroups and inodes of sockets are given from the beginning.
//! Where both runs use one, that of the earlier run becomes a number of its own, so that nobody gets another's counts or sockets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::Capture;
use crate::{capture::contents::kin, holders::Socket};

/// Ids of cgroups and inodes are small numbers: what is added to tell one apart.
const APART: u64 = 1 << 56;
const INODE_APART: u32 = 1 << 31;

impl Capture {
    /// Gives what a later run of the machine numbers alike other numbers here.
    pub(super) fn set_apart(&mut self, later: &Self) {
        let theirs = later.ids();
        let mut taken = self.ids();
        taken.extend(&theirs);
        let mut apart: BTreeMap<u64, u64> = BTreeMap::new();
        for id in self.ids().intersection(&theirs) {
            let mut other = id.wrapping_add(APART);
            while taken.contains(&other) {
                other = other.wrapping_add(APART);
            }
            taken.insert(other);
            apart.insert(*id, other);
        }
        let move_id = |id: &mut u64| *id = apart.get(id).copied().unwrap_or(*id);
        let move_key = |key: &mut TallyKey| {
            move_id(&mut key.cgroup_id);
            move_id(&mut key.memcg_id);
        };
        let names = std::mem::take(&mut self.names).into_iter();
        self.names = names
            .map(|(mut key, owner)| {
                move_key(&mut key);
                (key, owner)
            })
            .collect();
        self.tallies.iter_mut().for_each(|it| move_key(&mut it.key));
        let refused = self.steps.iter_mut().flat_map(|step| &mut step.refused);
        refused.for_each(|(key, _)| move_key(key));
        for (_, state) in &mut self.socket_states {
            move_key(&mut state.owner);
        }
        for event in &mut self.events {
            move_key(&mut event.owner);
            move_id(&mut event.compared.memcg_id);
        }
        self.timeline
            .iter_mut()
            .for_each(|it| move_key(&mut it.owner));
        self.memcgs.iter_mut().for_each(|it| move_id(&mut it.id));
        let mut owners = HashMap::new();
        let mut descriptors = BTreeMap::new();
        let (known, led) = (&self.socket_owners, &self.descriptors);
        let mut move_socket = |socket: &mut Socket| {
            let (owner, descriptor) = (known.get(&kin(socket)), led.get(&socket.inode));
            if let Some(id) = &mut socket.cgroup_id {
                move_id(id);
            }
            if socket.inode != 0 {
                socket.inode ^= INODE_APART;
            }
            owners.extend(owner.map(|owner| (kin(socket), *owner)));
            descriptors.extend(descriptor.map(|it| (socket.inode, it.clone())));
        };
        for scan in self.scans.values_mut() {
            scan.sockets.iter_mut().for_each(&mut move_socket);
            for sum in &mut scan.sums {
                move_socket(&mut sum.example);
                sum.top.iter_mut().for_each(&mut move_socket);
            }
        }
        self.socket_owners = owners;
        self.descriptors = descriptors;
    }

    /// Ids of cgroups that mean one.
    fn ids(&self) -> BTreeSet<u64> {
        let keys = (self.names.keys())
            .chain(self.tallies.iter().map(|delta| &delta.key))
            .chain(self.timeline.iter().map(|moment| &moment.owner))
            .chain(self.events.iter().map(|event| &event.owner))
            .chain(self.socket_states.iter().map(|(_, state)| &state.owner));
        let sockets = self.scans.values();
        let sockets = sockets.flat_map(|scan| scan.examples().chain(scan.shown()));
        keys.flat_map(|key| [key.cgroup_id, key.memcg_id])
            .chain(self.events.iter().map(|event| event.compared.memcg_id))
            .chain(self.memcgs.iter().map(|pressed| pressed.id))
            .chain(sockets.filter_map(|socket| socket.cgroup_id))
            .filter(|id| *id != 0 && *id != OVERFLOW_ID)
            .collect()
    }
}
