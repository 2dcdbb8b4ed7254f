//! Numbers mean something else after a machine was started anew: ids of cgroups and inodes of sockets are given from the beginning.
//! Those of the run that is over become numbers that no kernel gives, so that nobody gets another's counts or sockets, whichever window
//! of the later run uses a number first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::Capture;
use crate::{capture::contents::kin, holders::Socket};

/// Where numbers of earlier runs begin. Ids of cgroups are counted up from 1, 32 bits and how often these were used up
/// (`fs/kernfs/dir.c`, `__kernfs_new_node`, Linux 6.12), and inodes of sockets are 32 bits, counted up from 1 by all that has no
/// file system (`fs/inode.c`, `get_next_ino`): that of the later run may get as far, but not soon after its start.
const APART: u64 = 1 << 56;
const INODE_APART: u32 = 1 << 31;

impl Capture {
    /// Gives all that numbers mean in the run of the machine that is over other numbers, which the later run does not use.
    pub(super) fn set_apart(&mut self, later: &Self) {
        let ids = self.ids();
        let mut taken = later.ids();
        taken.extend(&ids);
        let mut free = (APART..).filter(|id| !taken.contains(id));
        let apart: BTreeMap<u64, u64> = (ids.range(..APART).copied()).zip(&mut free).collect();
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
        self.keys_mut().for_each(move_key);
        for event in &mut self.events {
            move_id(&mut event.compared.memcg_id);
        }
        self.memcgs.iter_mut().for_each(|it| move_id(&mut it.id));
        self.move_sockets(later, move_id);
    }

    fn move_sockets(&mut self, later: &Self, move_id: impl Fn(&mut u64)) {
        let inodes = self.inodes();
        let mut taken = later.inodes();
        taken.extend(&inodes);
        let mut free = (INODE_APART..=u32::MAX).filter(|inode| !taken.contains(inode));
        // 0 is none.
        let raw = inodes.range(1..INODE_APART).copied();
        let apart: BTreeMap<u32, u32> = raw.zip(&mut free).collect();
        let mut owners = HashMap::new();
        let mut descriptors = BTreeMap::new();
        let (known, led) = (&self.socket_owners, &self.descriptors);
        let mut move_socket = |socket: &mut Socket| {
            let (owner, descriptor) = (known.get(&kin(socket)), led.get(&socket.inode));
            if let Some(id) = &mut socket.cgroup_id {
                move_id(id);
            }
            socket.inode = apart.get(&socket.inode).copied().unwrap_or(socket.inode);
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
        (self.names.keys().chain(self.keys()))
            .flat_map(|key| [key.cgroup_id, key.memcg_id])
            .chain(self.events.iter().map(|event| event.compared.memcg_id))
            .chain(self.memcgs.iter().map(|pressed| pressed.id))
            .chain(self.seen().filter_map(|socket| socket.cgroup_id))
            .filter(|id| *id != 0 && *id != OVERFLOW_ID)
            .collect()
    }

    /// Inodes of all sockets that stand for themselves or for others.
    fn inodes(&self) -> BTreeSet<u32> {
        self.seen().map(|socket| socket.inode).collect()
    }

    fn seen(&self) -> impl Iterator<Item = &Socket> {
        let scans = self.scans.values();
        scans.flat_map(|scan| scan.examples().chain(scan.shown()))
    }
}
