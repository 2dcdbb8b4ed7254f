//! From the ids of a tally or a socket to its owner, by tables that were read before. Pure.
//!
//! The rules, from what the kernel does (`cgroup_sk_clone`, `mem_cgroup_sk_alloc`): a socket keeps the
//! cgroup of its maker, and an accepted one that of its listener; its memory cgroup is that of the task
//! that accepted it. So the memory cgroup tells better, except where it is merely an ancestor
//! of the other, because the memory controller ends higher in the tree. A root cgroup tells nothing: there
//! the process that holds the descriptor is the owner, by its own cgroups where these tell more. Equal
//! containers give equal owners, whatever cgroup within them was meant. Where cgroup and process tell nothing, the network
//! namespace does, if it is that of one pod. A socket of which nothing is known is `Unknown`, never `Kernel`: from outside,
//! one that the kernel made for itself cannot be told from one whose holder is not visible.
//!
//! On hosts whose pods are held by v1 hierarchies the default one says little: sockets are in its root, or (hybrid) in whatever
//! cgroup the runtime was started in. There only a pod or a container is an answer.
//!
//! How an owner that was found is named is decided in `names.rs`.

use std::collections::HashSet;

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::{
    cgroup_path,
    cgroups::CgroupTable,
    cri::CriTable,
    netns::NetnsTable,
    owner::{Owner, OwnerKind, Source},
    pod_logs::PodLogs,
    processes::ProcessTable,
};
use crate::holders::Socket;

/// Everything that is known of owners.
///
/// ```
/// use tracer::attribute::{Attributor, OwnerKind};
/// use tracer_common::TallyKey;
///
/// let mut attributor = Attributor::default();
/// attributor.cgroups.learn(42, "/system.slice/redis.service");
/// let owner = attributor.owner_of(&TallyKey { cgroup_id: 42, ..TallyKey::default() });
/// assert_eq!(owner.kind, OwnerKind::SystemdUnit);
/// assert_eq!(owner.unit.as_deref(), Some("redis.service"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attributor {
    /// Paths of the default hierarchy by id.
    pub cgroups: CgroupTable,
    /// Whether ids of memory cgroups are ids of that table; see [`super::hierarchies::has_memory`].
    pub memory_unified: bool,
    /// Whether pods are held by v1 hierarchies; see [`super::hierarchies::v1_holds_pods`].
    pub v1_holds_pods: bool,
    /// Names of pods.
    pub pods: PodLogs,
    /// What container runtimes tell.
    pub cri: CriTable,
    /// Holders of sockets.
    pub processes: ProcessTable,
    /// Pods by their network namespaces.
    pub namespaces: NetnsTable,
    /// In words: what is wrong with the places that the tables were read from.
    pub notes: Vec<String>,
}

impl Attributor {
    /// Owner of a tally.
    #[must_use]
    pub fn owner_of(&self, key: &TallyKey) -> Owner {
        if key.cgroup_id == OVERFLOW_ID && key.memcg_id == OVERFLOW_ID {
            return Owner::of_kind(OwnerKind::Unattributed);
        }
        let owner = self.by_ids(key);
        let resident = self.namespaces.get(key.netns_inum, key.netns_cookie);
        match resident.filter(|_| self.is_silent(&owner)) {
            Some(resident) => self.by_netns(resident),
            None => owner,
        }
    }

    /// By what the socket's cgroups tell.
    fn by_ids(&self, key: &TallyKey) -> Owner {
        let cgroup = self.cgroups.path(key.cgroup_id);
        let (memcg_id, memcg) = match self.cgroups.path(key.memcg_id) {
            _ if !self.memory_unified => (0, None),
            // A memory cgroup at the root is none: such sockets are charged to nobody.
            Some("/") => (0, None),
            path => (key.memcg_id, path),
        };
        match (cgroup, memcg) {
            (Some(cgroup), Some(memcg)) if within(cgroup, memcg) => {
                self.by_path(cgroup, key.cgroup_id)
            }
            (_, Some(memcg)) => self.by_path(memcg, memcg_id),
            // The accepting task was in a cgroup that nothing names any more; it was not the root.
            (Some("/") | None, None) if memcg_id != 0 => unknown(memcg_id),
            (Some(cgroup), None) => self.by_path(cgroup, key.cgroup_id),
            (None, None) => unknown(key.cgroup_id),
        }
    }

    /// Whether nothing but the network namespace can tell more. On a v2 host the root is no pod's: who is in it is none.
    fn is_silent(&self, owner: &Owner) -> bool {
        match owner.kind {
            OwnerKind::Unknown => true,
            OwnerKind::Cgroup | OwnerKind::SystemdUnit => self.v1_holds_pods,
            _ => false,
        }
    }

    /// Owner of a socket.
    #[must_use]
    pub fn owner_of_socket(&self, socket: &Socket) -> Owner {
        let id = socket.cgroup_id.unwrap_or(0);
        let path = self.cgroups.path(id);
        if let Some(path) = path.filter(|path| self.tells(path)) {
            return self.by_path(path, id);
        }
        let process = self.processes.get(socket.inode);
        let owner = match (process.filter(|_| socket.inode != 0), path) {
            (Some(process), _) => self.by_process(process),
            (None, Some(path)) => self.by_path(path, id),
            (None, None) => unknown(id),
        };
        let resident = self.namespaces.of_scan(socket.netns_inum);
        match resident.filter(|_| self.is_silent(&owner)) {
            Some(resident) => self.by_netns(resident),
            None => owner,
        }
    }

    /// The pod that lives in a network namespace of this time.
    #[must_use]
    pub fn resident(&self, inum: u32, cookie: Option<u64>) -> Option<Owner> {
        let resident = match cookie {
            Some(cookie) => self.namespaces.get(inum, cookie),
            None => self.namespaces.of_scan(inum),
        };
        resident.map(|resident| self.by_netns(resident))
    }

    /// Whether the path of a socket's cgroup says whose it is.
    pub(crate) fn tells(&self, path: &str) -> bool {
        if self.v1_holds_pods {
            let facts = cgroup_path::parse(path);
            return facts.pod_uid.is_some() || facts.container_id.is_some();
        }
        path != "/"
    }

    /// Owner of a tally of which one socket is known: where the ids of the tally tell nothing, the process
    /// that holds the socket.
    #[must_use]
    pub fn owner_of_with(&self, key: &TallyKey, socket: &Socket) -> Owner {
        let owner = self.owner_of(key);
        if tells(&owner) && owner.found != Some(Source::Netns) && !self.is_silent(&owner) {
            return owner;
        }
        let other = self.owner_of_socket(socket);
        if tells(&other) { other } else { owner }
    }

    /// Whether the owner of a cgroup's sockets is told by the cgroup, and does not depend on the process that holds them.
    #[must_use]
    pub fn cgroup_tells(&self, id: u64) -> bool {
        self.cgroups.path(id).is_some_and(|path| self.tells(path))
    }

    /// Inodes of the sockets whose owner depends on the process that holds them.
    #[must_use]
    pub fn wanted_inodes<'a>(&self, sockets: impl IntoIterator<Item = &'a Socket>) -> HashSet<u32> {
        let silent = |socket: &&Socket| {
            let id = socket.cgroup_id.filter(|&id| self.cgroup_tells(id));
            socket.inode != 0 && id.is_none()
        };
        sockets
            .into_iter()
            .filter(silent)
            .map(|socket| socket.inode)
            .collect()
    }
}

/// Whether an owner is more than a number or the root.
fn tells(owner: &Owner) -> bool {
    match owner.kind {
        OwnerKind::Unknown => false,
        OwnerKind::Cgroup => owner.cgroup_path.as_deref() != Some("/"),
        _ => true,
    }
}

fn unknown(id: u64) -> Owner {
    let known = id != 0 && id != OVERFLOW_ID;
    Owner {
        cgroup_id: known.then_some(id),
        ..Owner::of_kind(OwnerKind::Unknown)
    }
}

/// Whether a path is an ancestor's or equal: `/a` of `/a/b`, not of `/ab`.
fn within(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
