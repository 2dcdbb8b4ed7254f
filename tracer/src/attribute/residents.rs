//! Who lives in the network namespaces of this machine: by the cgroups of a few processes of each.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::{
    cgroup_ns,
    netns::{self, NetnsTable, Resident, Seen},
    processes::ProcessCgroups,
};
use crate::indicators::netns::{Netns, link_inum};

/// Looks who lives in each of the namespaces that are listed, where `known` does not know it yet; `again`: also in those that only
/// their number tells from one another.
#[must_use]
pub(super) fn look(
    proc: &Path,
    namespaces: &[(Netns, Option<u64>)],
    known: &NetnsTable,
    again: bool,
) -> Vec<Seen> {
    let node = inum(&proc.join("1/ns/net"));
    let look = || {
        let seen = namespaces.iter().map(|(netns, cookie)| {
            let known = known.knows(netns.inum, *cookie) && !(again && cookie.is_none());
            // Without knowing which one is the node's, none may be taken for a pod's.
            let may = !known && node.is_some_and(|node| node != netns.inum);
            Seen {
                inum: netns.inum,
                cookie: *cookie,
                resident: may.then(|| resident(netns)).flatten(),
            }
        });
        seen.collect()
    };
    cgroup_ns::in_node(proc, look).0
}

/// The number of the namespace behind a link of `/proc`.
pub(super) fn inum(path: &Path) -> Option<u32> {
    link_inum(fs::read_link(path).ok()?.to_str()?)
}

/// The number of the namespace that is mounted on a file. Another file has another number, which no namespace need have.
pub(super) fn mounted(path: &Path) -> Option<u32> {
    u32::try_from(fs::metadata(path).ok()?.ino()).ok()
}

fn resident(netns: &Netns) -> Option<Resident> {
    let processes: Vec<ProcessCgroups> = netns
        .paths
        .iter()
        .filter_map(|path| cgroups(path, netns.inum))
        .collect();
    let paths: Vec<Vec<&str>> = processes.iter().map(ProcessCgroups::paths).collect();
    netns::resident(&paths)
}

/// The cgroups of the process behind `PROC/PID/ns/net`; `None` for another path, and where the process is not there any more.
fn cgroups(path: &Path, expected: u32) -> Option<ProcessCgroups> {
    let folder = path.parent()?.parent()?;
    let text = fs::read_to_string(folder.join("cgroup")).ok()?;
    // Its number may be another process's by now.
    (inum(path)? == expected).then(|| ProcessCgroups::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const POD: &str = "0::/kubepods/burstable/pod6c2c2d3e-1111-4222-8333-00000000000a/c1\n";

    fn netns(proc: &Fixture, inum: u32, paths: &[&str]) -> (Netns, Option<u64>) {
        let netns = Netns {
            inum,
            name: None,
            pid: None,
            paths: paths.iter().map(|path| proc.path().join(path)).collect(),
        };
        (netns, Some(u64::from(inum)))
    }

    fn node() -> Fixture {
        let proc = Fixture::new();
        proc.link("1/ns/net", "net:[1]")
            .link("7/ns/net", "net:[2]")
            .file("7/cgroup", POD)
            .link("8/ns/net", "net:[9]")
            .file("8/cgroup", POD)
            .link("9/ns/net", "net:[1]")
            .file("9/cgroup", POD);
        proc
    }

    fn uids(seen: &[Seen]) -> Vec<Option<&str>> {
        let uid = |seen: &Seen| seen.resident.is_some();
        seen.iter()
            .map(|seen| uid(seen).then(|| seen.resident.as_ref().unwrap().uid.as_str()))
            .collect()
    }

    #[test]
    fn by_processes_never_for_the_node_and_never_by_one_that_left() {
        let proc = node();
        let namespaces = [
            netns(&proc, 2, &["run/netns/cni-1", "7/ns/net", "77/ns/net"]),
            // A host-network pod.
            netns(&proc, 1, &["9/ns/net"]),
            // The process number belongs to somebody in another namespace by now.
            netns(&proc, 3, &["8/ns/net"]),
            netns(&proc, 4, &[]),
        ];
        let seen = look(proc.path(), &namespaces, &NetnsTable::default(), true);
        let uid = Some("6c2c2d3e-1111-4222-8333-00000000000a");
        assert_eq!(uids(&seen), [uid, None, None, None]);
        let mut known = NetnsTable::default();
        known.learn(seen);
        fs::remove_file(proc.path().join("7/cgroup")).unwrap();
        known.learn(look(proc.path(), &namespaces, &known, false));
        assert_eq!(
            known.get(2, 2).map(|resident| resident.uid.as_str()),
            uid,
            "the dead stay known"
        );
    }

    #[test]
    fn where_the_node_is_not_known_nobody_lives_anywhere() {
        let proc = node();
        fs::remove_file(proc.path().join("1/ns/net")).unwrap();
        let namespaces = [netns(&proc, 2, &["7/ns/net"])];
        assert_eq!(
            uids(&look(
                proc.path(),
                &namespaces,
                &NetnsTable::default(),
                true
            )),
            [None]
        );
    }
}
