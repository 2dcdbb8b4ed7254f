//! From the ids of a tally or a socket to its owner, by tables that were read before. Pure.
//!
//! The rules, from what the kernel does (`cgroup_sk_clone`, `mem_cgroup_sk_alloc`): a socket keeps the
//! cgroup of its maker, and an accepted one that of its listener; its memory cgroup is that of the task
//! that accepted it. So the memory cgroup tells better, except where it is merely an ancestor
//! of the other, because the memory controller ends higher in the tree. A root cgroup tells nothing: there
//! the process that holds the descriptor is the owner, by its own cgroups where these tell more. Equal
//! containers give equal owners, whatever cgroup within them was meant. A socket without cgroup and
//! process is `Unknown`, never `Kernel`: from outside, one that the kernel made for itself cannot be told from one
//! whose holder is not visible.

use std::collections::{BTreeSet, HashSet};

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::{
    cgroup_path::{self, PathFacts},
    cgroups::CgroupTable,
    owner::{Owner, OwnerKind, Source},
    pod_logs::PodLogs,
    processes::{Process, ProcessTable},
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
    /// Whether ids of memory cgroups are ids of that table; see [`super::cgroups::has_memory`].
    pub memory_unified: bool,
    /// Names of pods.
    pub pods: PodLogs,
    /// Holders of sockets.
    pub processes: ProcessTable,
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

    /// Owner of a socket.
    #[must_use]
    pub fn owner_of_socket(&self, socket: &Socket) -> Owner {
        let id = socket.cgroup_id.unwrap_or(0);
        let path = self.cgroups.path(id);
        if let Some(path) = path.filter(|path| *path != "/") {
            return self.by_path(path, id);
        }
        match (self.processes.get(socket.inode), path) {
            (Some(process), _) if socket.inode != 0 => self.by_process(process),
            (_, Some(path)) => self.by_path(path, id),
            _ => unknown(id),
        }
    }

    /// Owner of a tally of which one socket is known: where the ids of the tally tell nothing, the process
    /// that holds the socket.
    #[must_use]
    pub fn owner_of_with(&self, key: &TallyKey, socket: &Socket) -> Owner {
        let owner = self.owner_of(key);
        if tells(&owner) {
            return owner;
        }
        let other = self.owner_of_socket(socket);
        if tells(&other) { other } else { owner }
    }

    /// Inodes of the sockets whose owner depends on the process that holds them.
    #[must_use]
    pub fn wanted_inodes(&self, sockets: &[Socket]) -> HashSet<u32> {
        let silent = |socket: &&Socket| {
            let path = socket.cgroup_id.and_then(|id| self.cgroups.path(id));
            socket.inode != 0 && path.is_none_or(|path| path == "/")
        };
        sockets
            .iter()
            .filter(silent)
            .map(|socket| socket.inode)
            .collect()
    }

    /// In words: cgroups among these that nothing on this node names, because they were removed before
    /// their path could be learnt.
    #[must_use]
    pub fn nameless<'a>(&self, keys: impl Iterator<Item = &'a TallyKey>) -> Vec<String> {
        let ids: BTreeSet<u64> = keys
            .map(|key| key.cgroup_id)
            .filter(|&id| id != 0 && id != OVERFLOW_ID && self.cgroups.path(id).is_none())
            .collect();
        ids.iter()
            .map(|id| {
                format!(
                    "cgroup {id} has no name: it was removed before its path could be learnt; \
                     its sockets are told by their memory cgroup or by the process that holds them, \
                     where these are known"
                )
            })
            .collect()
    }

    /// In words: what is missing in the tables.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = self.notes.clone();
        gaps.extend(self.cgroups.gaps());
        gaps.extend(self.pods.gaps.iter().chain(&self.processes.gaps).cloned());
        gaps
    }

    fn by_path(&self, path: &str, id: u64) -> Owner {
        let mut owner = self.named(path, &cgroup_path::parse(path), Source::CgroupPath);
        // Deeper cgroups of a container count as the container: its own id, where that is known.
        owner.cgroup_id = if owner.cgroup_path.as_deref() == Some(path) {
            Some(id)
        } else {
            owner
                .cgroup_path
                .as_deref()
                .and_then(|path| self.cgroups.id(path))
        };
        owner
    }

    fn by_process(&self, process: &Process) -> Owner {
        if let Some((path, facts)) = process.cgroups.best() {
            let mut owner = self.named(path, &facts, Source::Proc);
            if process.cgroups.unified.as_deref() == Some(path) {
                owner.cgroup_id = owner
                    .cgroup_path
                    .as_deref()
                    .and_then(|path| self.cgroups.id(path));
            }
            return owner;
        }
        Owner {
            process: Some((process.pid, process.command.clone())),
            cgroup_path: process.cgroups.any().map(str::to_owned),
            source: Some(Source::Proc),
            ..Owner::of_kind(OwnerKind::Process)
        }
    }

    fn named(&self, path: &str, facts: &PathFacts, source: Source) -> Owner {
        let kind = if facts.pod_uid.is_some() {
            OwnerKind::Pod
        } else if facts.container_id.is_some() {
            OwnerKind::Container
        } else if facts.unit.is_some() {
            OwnerKind::SystemdUnit
        } else {
            OwnerKind::Cgroup
        };
        let pod = facts.pod_uid.as_deref().and_then(|uid| self.pods.get(uid));
        let own = match kind {
            OwnerKind::Cgroup => path.to_owned(),
            _ => cgroup_path::prefix(path, facts.depth),
        };
        Owner {
            namespace: pod.map(|pod| pod.namespace.clone()),
            pod: pod.map(|pod| pod.name.clone()),
            pod_uid: facts.pod_uid.clone(),
            container_id: facts.container_id.clone(),
            qos: facts.qos.map(|qos| qos.name().to_owned()),
            unit: facts.unit.clone(),
            cgroup_path: Some(own),
            source: Some(if pod.is_some() {
                Source::PodLogs
            } else {
                source
            }),
            ..Owner::of_kind(kind)
        }
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
