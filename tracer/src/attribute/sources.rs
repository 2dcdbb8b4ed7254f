//! Reads the tables of attribution from this machine.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    cgroup_ns, contact,
    cri::{Hints, Sockets},
    hierarchies::{self, ROOT_ID},
    residents,
    resolve::Attributor,
};
use crate::{
    holders::{Socket, descriptors::Bounds},
    indicators::{memcg, netns::Netns},
};

/// Time for the search through descriptors.
const DESCRIPTORS_BUDGET: Duration = Duration::from_secs(2);
/// Descriptors of one process among which a snapshot looks for the largest sockets: all of them would cost more than the rest of it.
const QUICK_DESCRIPTORS: usize = 8192;

/// Time for one asking of container runtimes.
pub const CRI_PATIENCE: Duration = Duration::from_secs(2);

/// Where the tables are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Folder of procfs.
    pub proc: PathBuf,
    /// Folder of the cgroup hierarchies.
    pub cgroup_root: PathBuf,
    /// Folder of the logs of pods.
    pub pod_logs: PathBuf,
    /// Sockets of container runtimes.
    pub cri: Sockets,
    /// What the answers of runtimes are read with.
    pub hints: Hints,
    /// How long one asking of runtimes may take, over all of them.
    pub patience: Duration,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            cgroup_root: "/sys/fs/cgroup".into(),
            pod_logs: "/var/log/pods".into(),
            cri: Sockets::Usual,
            hints: Hints {
                contact_keys: contact::DEFAULT_KEYS.map(str::to_owned).into(),
                node: Vec::new(),
            },
            patience: CRI_PATIENCE,
        }
    }
}

impl Sources {
    /// Reads cgroups and names of pods. Processes are looked for later, by [`Self::find_processes`], and container runtimes
    /// are asked by [`super::Live`].
    #[must_use]
    pub fn read(&self) -> Attributor {
        let mut attributor = Attributor::default();
        self.refresh(&mut attributor);
        attributor
    }

    /// Reads them again; what is gone keeps its names.
    pub fn refresh(&self, attributor: &mut Attributor) {
        attributor.notes.clear();
        attributor.cri.required = matches!(self.cri, Sockets::Given(_));
        attributor.pods.refresh(&self.pod_logs);
        let hierarchies = fs::read_to_string(self.proc.join("cgroups")).unwrap_or_default();
        attributor.v1_holds_pods = hierarchies::v1_holds_pods(&hierarchies);
        if attributor.v1_holds_pods {
            attributor.notes.push(
                "pods are held by cgroup v1 here, which sockets do not tell: owners are told by the process that holds a \
                 socket, else by its network namespace; of sockets that were closed by the end, those of pods on the node's \
                 own network are not told apart"
                    .to_owned(),
            );
        }
        match hierarchies::find_root(&self.cgroup_root, &self.proc) {
            Some(root) => {
                attributor.notes.extend(subtree(&root));
                attributor.cgroups.walk(&root);
                attributor.memory_unified = hierarchies::has_memory(&root);
            }
            // Not mounted, as on v1 hosts: its root is there all the same, and all sockets are in it. Then
            // the process is the owner.
            None => attributor.cgroups.learn(ROOT_ID, "/"),
        }
    }

    /// Looks which pods live in the network namespaces that are listed; with `again` also in those that were looked at before and
    /// have no cookie by which they could be known.
    pub fn find_residents(
        &self,
        attributor: &mut Attributor,
        namespaces: &[(Netns, Option<u64>)],
        again: bool,
    ) {
        let seen = residents::look(&self.proc, namespaces, &attributor.namespaces, again);
        attributor.namespaces.learn(seen);
    }

    /// Reads the events of all memory cgroups; `None` where no v2 hierarchy accounts memory.
    #[must_use]
    pub fn memory_events(&self, attributor: &Attributor) -> Option<memcg::Readings> {
        let root = hierarchies::find_root(&self.cgroup_root, &self.proc)?;
        let living = attributor.cgroups.living();
        attributor
            .memory_unified
            .then(|| memcg::read(&root, living))
    }

    /// The memory cgroups to which something happened between two readings; `None` where there is no hierarchy.
    #[must_use]
    pub fn pressed(
        &self,
        attributor: &Attributor,
        before: &memcg::Readings,
        after: &memcg::Readings,
    ) -> Option<Vec<memcg::Pressed>> {
        let root = hierarchies::find_root(&self.cgroup_root, &self.proc)?;
        let path_of = |id| attributor.cgroups.path(id);
        Some(memcg::pressed(&root, before, after, path_of))
    }

    /// Looks for the processes that hold those sockets whose cgroup tells nothing.
    pub fn find_processes<'a>(
        &self,
        attributor: &mut Attributor,
        sockets: impl IntoIterator<Item = &'a Socket>,
    ) {
        let wanted = attributor.wanted_inodes(sockets);
        let processes = &mut attributor.processes;
        processes.gaps.clear();
        let find = || processes.find(&self.proc, wanted, Bounds::within(DESCRIPTORS_BUDGET));
        let ((), gap) = cgroup_ns::in_node(&self.proc, find);
        attributor.processes.gaps.extend(gap);
    }

    /// Looks for the descriptors of sockets of which none is known yet, by their inodes; `quick` among the first few thousand of each
    /// process only.
    pub fn find_descriptors(
        &self,
        attributor: &mut Attributor,
        inodes: &HashSet<u32>,
        quick: bool,
    ) {
        let processes = &mut attributor.processes;
        let unknown = inodes.iter().copied();
        let unknown = unknown.filter(|&inode| processes.get(inode).is_none());
        let unknown: HashSet<u32> = unknown.collect();
        let bounds = Bounds {
            time: DESCRIPTORS_BUDGET,
            of_process: if quick { QUICK_DESCRIPTORS } else { usize::MAX },
        };
        let find = || processes.find(&self.proc, unknown, bounds);
        cgroup_ns::in_node(&self.proc, find);
    }

    /// Socket memory by the memory controller, in bytes, of those of some cgroups that have such a figure.
    #[must_use]
    pub fn memory_stats<T: Ord>(
        &self,
        attributor: &Attributor,
        paths: impl Iterator<Item = (T, String)>,
    ) -> BTreeMap<T, u64> {
        match hierarchies::find_root(&self.cgroup_root, &self.proc) {
            Some(root) if attributor.memory_unified => paths
                .filter(|(_, path)| path != "/")
                .filter_map(|(of, path)| Some((of, memcg::sock_of(&root, &path)?)))
                .collect(),
            _ => BTreeMap::new(),
        }
    }
}

/// A gap where a folder is not the root of its hierarchy, as in a container with a cgroup namespace.
fn subtree(root: &Path) -> Option<String> {
    let id = fs::metadata(root).ok()?.ino();
    (id != ROOT_ID).then(|| {
        format!(
            "{} shows a part of the cgroups only: owners outside it may be unknown",
            root.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn names_of_the_gone_stay() {
        let machine = Fixture::new();
        machine.dir("logs/shop_redis-0_1111");
        let sources = Sources {
            proc: machine.path().join("proc"),
            cgroup_root: machine.path().join("cgroup"),
            pod_logs: machine.path().join("logs"),
            ..Sources::default()
        };
        let mut attributor = sources.read();
        assert_eq!(attributor.gaps(), Vec::<String>::new());
        assert_eq!(attributor.cgroups.path(1), Some("/"));
        assert!(!attributor.memory_unified);
        fs::remove_dir_all(machine.path().join("logs")).unwrap();
        sources.refresh(&mut attributor);
        assert_eq!(attributor.gaps().len(), 1);
        assert_eq!(attributor.pods.get("1111").unwrap().name, "redis-0");
    }

    #[test]
    fn a_host_whose_pods_are_held_by_v1_says_what_is_weaker() {
        let machine = Fixture::new();
        machine.dir("logs").file(
            "proc/cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t90\t1\n",
        );
        let sources = Sources {
            proc: machine.path().join("proc"),
            cgroup_root: machine.path().join("cgroup"),
            pod_logs: machine.path().join("logs"),
            ..Sources::default()
        };
        let attributor = sources.read();
        assert!(attributor.v1_holds_pods);
        assert!(
            attributor.gaps()[0].contains("cgroup v1"),
            "{:?}",
            attributor.gaps()
        );
    }

    #[test]
    fn a_part_of_the_tree_is_a_gap() {
        let part = Fixture::new();
        assert!(
            subtree(part.path())
                .unwrap()
                .contains("a part of the cgroups only")
        );
        // Inode 1 is the root of every procfs as well.
        assert_eq!(subtree(Path::new("/proc")), None);
    }
}
