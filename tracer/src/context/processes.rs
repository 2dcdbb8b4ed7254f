//! Which processes read for an owner: those in its cgroups that hold its sockets.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::Instant,
};

use crate::{
    aggregate::group::is_within, attribute::processes::ProcessCgroups,
    holders::descriptors::socket_inode, indicators::netns::numbers,
};

/// Processes of one owner that are looked at.
pub const MAX_PROCESSES: usize = 4;

/// Processes with their cgroups at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    processes: Vec<(i32, ProcessCgroups)>,
    /// Processes that there was no time for.
    pub left_out: usize,
}

/// Reads the cgroups of all processes until the deadline. The files of cgroups would list them as well, but by ids of our own
/// namespace of processes, which need not be those of this procfs.
#[must_use]
pub fn list(proc: &Path, deadline: Instant) -> Listing {
    let mut pids = numbers(proc).unwrap_or_default();
    pids.sort_unstable();
    let mut listing = Listing::default();
    for (index, pid) in pids.iter().enumerate() {
        if Instant::now() >= deadline {
            listing.left_out = pids.len() - index;
            break;
        }
        // Gone meanwhile, or a lie: then it is nobody's.
        if let Ok(text) = fs::read(proc.join(pid.to_string()).join("cgroup")) {
            let cgroups = ProcessCgroups::parse(&String::from_utf8_lossy(&text));
            listing.processes.push((*pid, cgroups));
        }
    }
    listing
}

impl Listing {
    /// Processes in some cgroups and below.
    #[must_use]
    pub fn within(&self, paths: &BTreeSet<String>) -> Vec<i32> {
        let is_in = |cgroups: &ProcessCgroups| {
            let mut own = cgroups.unified.iter().chain(&cgroups.v1);
            own.any(|own| paths.iter().any(|path| is_within(own, path)))
        };
        let found = self.processes.iter().filter(|(_, cgroups)| is_in(cgroups));
        found.map(|(pid, _)| *pid).collect()
    }
}

/// Of some processes those that hold one of these sockets, [`MAX_PROCESSES`] at most; where none can be found to, the first of them
/// all: they are the owner's all the same.
#[must_use]
pub fn readers(proc: &Path, pids: &[i32], inodes: &HashSet<u32>, deadline: Instant) -> Vec<i32> {
    let mut found: Vec<i32> = Vec::new();
    if pids.len() > 1 && !inodes.is_empty() {
        for pid in pids {
            if found.len() >= MAX_PROCESSES || Instant::now() >= deadline {
                break;
            }
            if holds(proc, *pid, inodes, deadline) {
                found.push(*pid);
            }
        }
    }
    if found.is_empty() {
        found = pids.iter().copied().take(MAX_PROCESSES).collect();
    }
    found
}

fn holds(proc: &Path, pid: i32, inodes: &HashSet<u32>, deadline: Instant) -> bool {
    let Ok(entries) = fs::read_dir(proc.join(pid.to_string()).join("fd")) else {
        return false;
    };
    let mut links = entries
        .flatten()
        .take_while(|_| Instant::now() < deadline)
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| {
        let inode = socket_inode(link.as_os_str().as_bytes());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::Fixture;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn paths(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn processes_are_those_of_the_subtree_on_any_hierarchy() {
        let proc = Fixture::new();
        proc.file("7/cgroup", "0::/pod/a\n")
            .file("8/cgroup", "0::/pod/a/inner\n")
            .file("9/cgroup", "0::/pod/ab\n")
            .file("10/cgroup", "3:memory:/pod/a\n0::/\n")
            .file("11/cgroup", "\0\n:::")
            .dir("12");
        let listing = list(proc.path(), soon());
        assert_eq!(listing.within(&paths(&["/pod/a"])), [7, 8, 10]);
        assert_eq!(listing.within(&paths(&[])), Vec::<i32>::new());
        let late = list(proc.path(), Instant::now());
        assert_eq!(
            (late.left_out, late.within(&paths(&["/pod/a"]))),
            (6, Vec::new())
        );
    }

    #[test]
    fn who_holds_the_sockets_reads() {
        let proc = Fixture::new();
        proc.link("7/fd/0", "/dev/null")
            .link("8/fd/3", "socket:[5]")
            .link("9/fd/3", "socket:[6]");
        let of = |inodes: &[u32]| {
            let inodes = inodes.iter().copied().collect();
            readers(proc.path(), &[7, 8, 9], &inodes, soon())
        };
        assert_eq!(of(&[5]), [8]);
        assert_eq!(of(&[4]), [7, 8, 9], "nobody can be found to hold it");
        assert_eq!(of(&[]), [7, 8, 9]);
        let alone = readers(proc.path(), &[7], &HashSet::from([5]), Instant::now());
        assert_eq!(alone, [7]);
    }
}
