//! How an owner that was found is named. Pure.
//!
//! Names are those of the log folder, then those that the container runtime tells; of a runtime that contradicts the cgroup or the
//! folder nothing is believed.

use super::{
    Attributor,
    cgroup_path::{self, PathFacts},
    cri::table,
    netns::Resident,
    owner::{Owner, OwnerKind, Source},
    pod_logs,
    processes::Process,
};

impl Attributor {
    pub(super) fn by_path(&self, path: &str, id: u64) -> Owner {
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

    pub(super) fn by_process(&self, process: &Process) -> Owner {
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
    pub(super) fn by_netns(&self, Resident { uid, qos, path }: &Resident) -> Owner {
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
    pub(super) fn is_of(&self, container: &table::Container, uid: &str) -> bool {
        let same = || Some(self.cri.pod(uid)?.name == self.cri.pod(&container.uid)?.name);
        pod_logs::key(uid) == container.uid || same().unwrap_or(false)
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
