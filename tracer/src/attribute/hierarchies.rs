//! Which hierarchies of cgroups this machine has, and what they are good for.

use std::{
    ffi::CString,
    fs,
    mem::MaybeUninit,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::indicators::mountinfo;

/// Id of the root of a hierarchy: the first number that kernfs gives (`__kernfs_new_node`).
pub const ROOT_ID: u64 = 1;

/// Where the default hierarchy is mounted: the given folder, its `unified` (hybrid hosts), the same as the first process of
/// the node sees them, or what mountinfo names; the first that shows it from its root on, else the first that shows a part. `None`
/// on hosts that have only v1.
#[must_use]
pub fn find_root(cgroup_root: &Path, proc: &Path) -> Option<PathBuf> {
    let own = [cgroup_root.to_path_buf(), cgroup_root.join("unified")];
    let node = proc.join("1/root");
    let of_node = own.each_ref().map(|path| {
        let below = path.strip_prefix("/").unwrap_or(path);
        node.join(below)
    });
    let named = fs::read(proc.join("self/mountinfo")).unwrap_or_default();
    let named = mountinfo::parse(&named).into_iter().map(|mount| mount.at);
    let mut all = own.into_iter().chain(of_node).chain(named);
    let mut part = None;
    let whole = all.find(|path| {
        if !is_cgroup2(path) {
            return false;
        }
        let whole = fs::metadata(path).is_ok_and(|root| root.ino() == ROOT_ID);
        if !whole && part.is_none() {
            part = Some(path.clone());
        }
        whole
    });
    whole.or(part)
}

/// Whether memory is accounted in the default hierarchy, so that ids of memory cgroups are ids of this table.
/// (On a hybrid host they belong to the v1 memory hierarchy, where the same number is another cgroup.)
#[must_use]
pub fn has_memory(root: &Path) -> bool {
    fs::read_to_string(root.join("cgroup.controllers")).is_ok_and(|text| {
        text.split_ascii_whitespace()
            .any(|controller| controller == "memory")
    })
}

/// Whether controllers by which pods are held are those of v1 hierarchies, given the text of `/proc/cgroups`: then pods have no
/// cgroups of their own in the default one, or their sockets do not tell them.
#[must_use]
pub fn v1_holds_pods(text: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let (name, hierarchy) = (words.next(), words.next());
        let enabled = words.nth(1) == Some("1");
        let holds = matches!(name, Some("memory" | "pids" | "cpu"));
        holds && enabled && hierarchy.is_some_and(|number| number != "0")
    })
}

fn is_cgroup2(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let mut answer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in NUL, and the kernel fills the whole structure when it returns 0.
    let filled = unsafe { libc::statfs(path.as_ptr(), answer.as_mut_ptr()) } == 0;
    // SAFETY: filled, as just checked.
    filled && unsafe { answer.assume_init() }.f_type == libc::CGROUP2_SUPER_MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn hierarchies_of_controllers() {
        let head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
        let v2 = format!("{head}cpu\t0\t90\t1\nmemory\t0\t90\t1\nnet_cls\t3\t1\t1\n");
        assert!(!v1_holds_pods(&v2), "a v1 hierarchy that holds no pods");
        assert!(v1_holds_pods(&v2.replace("memory\t0", "memory\t9")));
        assert!(v1_holds_pods(&v2.replace("cpu\t0", "cpu\t9")));
        assert!(
            !v1_holds_pods(&v2.replace("memory\t0\t90\t1", "memory\t9\t1\t0")),
            "disabled"
        );
        for text in ["", "memory", "memory\n\n", "memory\tx"] {
            assert!(!v1_holds_pods(text), "{text:?}");
        }
    }

    #[test]
    fn memory_stands_among_the_controllers() {
        let root = Fixture::new();
        assert!(!has_memory(root.path()));
        root.file("cgroup.controllers", "cpuset cpu io memory pids\n");
        assert!(has_memory(root.path()));
        root.file("cgroup.controllers", "cpuset memoryless\n");
        assert!(!has_memory(root.path()));
    }

    #[test]
    fn a_folder_that_is_no_cgroup2_is_not_taken() {
        let root = Fixture::new();
        assert_eq!(find_root(root.path(), root.path()), None);
        root.file(
            "self/mountinfo",
            "9 3 0:4 / /proc rw - cgroup2 cgroup2 rw\n",
        );
        assert_eq!(find_root(root.path(), root.path()), None);
    }
}
