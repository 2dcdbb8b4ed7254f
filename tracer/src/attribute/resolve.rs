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
//! Names are those of the log folder, then those that the container runtime tells; what contradicts the cgroup or the folder is
//! not believed.

use std::collections::{BTreeSet, HashSet};

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::{
    cgroup_path::{self, PathFacts},
    cgroups::CgroupTable,
    cri::{CriTable, table},
    netns::{NetnsTable, Resident},
    owner::{Owner, OwnerKind, Source},
    pod_logs::{self, PodLogs},
    processes::{Process, ProcessTable},
};
use crate::holders::Socket;

/// Pods that one gap names.
const NAMED_MAX: usize = 4;

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
    /// Whether pods are held by v1 hierarchies; see [`super::cgroups::v1_holds_pods`].
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
        let pods = || {
            let mut living = self.cgroups.living();
            living.any(|(_, path)| cgroup_path::parse(path).pod_uid.is_some())
        };
        if self.cri.required || !self.pods.is_empty() || pods() {
            gaps.extend(self.cri.gaps.iter().cloned());
        }
        gaps.extend(self.cri.faults());
        gaps.extend(self.contradictions());
        gaps.extend(self.invisible());
        gaps
    }

    /// In words: where the container runtime contradicts what the node itself shows.
    fn contradictions(&self) -> Vec<String> {
        let renamed = self.cri.pods().filter(|pod| {
            let folder = self.pods.get(&pod.uid);
            folder.is_some_and(|folder| *folder != pod.name)
        });
        let renamed = renamed.count();
        let moved = self.cgroups.living().filter(|(_, path)| {
            let facts = cgroup_path::parse(path);
            let told = facts
                .container_id
                .as_deref()
                .and_then(|id| self.cri.container(id));
            let uid = facts.pod_uid.as_deref();
            // Deeper cgroups are of the same container.
            let own = cgroup_path::prefix(path, facts.depth).len() == path.len();
            own && told
                .zip(uid)
                .is_some_and(|(told, uid)| !self.is_of(told, uid))
        });
        let moved = if self.cri.is_empty() {
            0
        } else {
            moved.count()
        };
        let gap = |count: usize, words: &str| (count > 0).then(|| format!("{count} {words}"));
        [
            gap(
                renamed,
                "pods have other names in the container runtime than in their log folders: the folders are believed",
            ),
            gap(
                moved,
                "containers are of another pod by the container runtime than by their cgroup: the cgroup is believed",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// In words: pods whose TCP stack is not in this kernel.
    fn invisible(&self) -> Option<String> {
        let sandboxed = self
            .cri
            .pods()
            .filter_map(|pod| Some((&pod.name, pod.facts.sandbox?)));
        let names: BTreeSet<String> = sandboxed
            .map(|(name, kind)| format!("{}/{} ({})", name.namespace, name.name, kind.name()))
            .collect();
        let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = match names.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!names.is_empty()).then(|| {
            format!(
                "TCP sockets of {}{more} are not visible: the TCP stack of these pods is not in this kernel",
                shown.join(", ")
            )
        })
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
            found: Some(Source::Proc),
            ..Owner::of_kind(OwnerKind::Process)
        }
    }

    fn named(&self, path: &str, facts: &PathFacts, found: Source) -> Owner {
        let container = facts.container_id.as_deref();
        let told = container.and_then(|id| self.cri.container(id));
        // A path may name a container and not its pod.
        let (uid, found) = match (&facts.pod_uid, told) {
            (Some(uid), _) => (Some(uid.clone()), found),
            (None, Some(told)) => match self.cri.pod(&told.uid) {
                Some(pod) => (Some(pod.uid.clone()), Source::Cri),
                None => (None, found),
            },
            (None, None) => (None, found),
        };
        let kind = if uid.is_some() {
            OwnerKind::Pod
        } else if facts.container_id.is_some() {
            OwnerKind::Container
        } else if facts.unit.is_some() {
            OwnerKind::SystemdUnit
        } else {
            OwnerKind::Cgroup
        };
        let own = match kind {
            OwnerKind::Cgroup => path.to_owned(),
            _ => cgroup_path::prefix(path, facts.depth),
        };
        let about_container =
            told.filter(|told| uid.as_deref().is_some_and(|uid| self.is_of(told, uid)));
        let owner = Owner {
            container_id: facts.container_id.clone(),
            qos: facts.qos.map(|qos| qos.name().to_owned()),
            unit: facts.unit.clone(),
            cgroup_path: Some(own),
            source: Some(found),
            found: Some(found),
            about_container: about_container.and_then(|told| told.facts.clone()),
            ..Owner::of_kind(kind)
        };
        match uid {
            Some(uid) => self.with_names(owner, uid),
            None => owner,
        }
    }

    /// The pod that lives in a network namespace.
    fn by_netns(&self, Resident { uid, qos, path }: &Resident) -> Owner {
        let owner = Owner {
            qos: qos.map(|qos| qos.name().to_owned()),
            cgroup_path: path.clone(),
            source: Some(Source::Netns),
            found: Some(Source::Netns),
            ..Owner::of_kind(OwnerKind::Pod)
        };
        self.with_names(owner, uid.clone())
    }

    /// Adds what is known of the pod with a UID.
    fn with_names(&self, owner: Owner, uid: String) -> Owner {
        let folder = self.pods.get(&uid);
        let told = self.cri.pod(&uid);
        let told = told.filter(|told| folder.is_none_or(|folder| *folder == told.name));
        let (name, source) = match (folder, told) {
            (Some(folder), _) => (Some(folder), Some(Source::PodLogs)),
            (None, Some(told)) => (Some(&told.name), Some(Source::Cri)),
            (None, None) => (None, None),
        };
        Owner {
            namespace: name.map(|name| name.namespace.clone()),
            pod: name.map(|name| name.name.clone()),
            pod_uid: Some(uid),
            source: source.or(owner.source),
            about_pod: told.map(|told| told.facts.clone()),
            // Whoever is wrong on the pod may be wrong on its containers.
            about_container: owner.about_container.filter(|_| told.is_some()),
            ..owner
        }
    }

    /// Whether a container is of the pod with a UID, which may be met by several.
    fn is_of(&self, container: &table::Container, uid: &str) -> bool {
        let same = || Some(self.cri.pod(uid)?.name == self.cri.pod(&container.uid)?.name);
        pod_logs::key(uid) == container.uid || same().unwrap_or(false)
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
