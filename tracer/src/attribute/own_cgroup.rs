//! The cgroup of this process.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    cgroup_ns,
    hierarchies::{ROOT_ID, find_root},
    processes::ProcessCgroups,
    sources::Sources,
};

impl Sources {
    /// The folder of the cgroup, in the default hierarchy, that this process is in.
    ///
    /// # Errors
    /// In words, when it is not known.
    pub fn own_cgroup(&self) -> Result<PathBuf, String> {
        let root = find_root(&self.cgroup_root, &self.proc)
            .ok_or_else(|| "the default hierarchy of cgroups is not mounted".to_owned())?;
        let whole = fs::metadata(&root).is_ok_and(|it| it.ino() == ROOT_ID);
        let own = match whole {
            true => match cgroup_ns::in_node(&self.proc, || read(&self.proc)) {
                (own, None) => own,
                (_, Some(gap)) => return Err(gap),
            },
            // What is mounted in a container is what its cgroup namespace shows.
            false => read(&self.proc),
        }?;
        Ok(folder(&root, &own))
    }
}

fn read(proc: &Path) -> Result<String, String> {
    let file = proc.join("self/cgroup");
    let text = fs::read_to_string(&file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    (ProcessCgroups::parse(&text).unified)
        .ok_or_else(|| format!("{} names no cgroup of version 2", file.display()))
}

fn folder(root: &Path, cgroup: &str) -> PathBuf {
    match cgroup.trim_start_matches('/') {
        "" => root.to_owned(),
        below => root.join(below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_cgroup_is_a_folder_below_the_root() {
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(folder(root, "/"), root);
        assert_eq!(
            folder(root, "/system.slice/tcpress.service"),
            Path::new("/sys/fs/cgroup/system.slice/tcpress.service")
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        let machine = Fixture::new();
        assert!(read(machine.path()).unwrap_err().contains("self/cgroup"));
        machine.file("self/cgroup", "4:memory:/a\n");
        assert!(read(machine.path()).unwrap_err().contains("version 2"));
        machine.file("self/cgroup", "4:memory:/a\n0::/b\n");
        assert_eq!(read(machine.path()).unwrap(), "/b");
        let sources = Sources {
            proc: machine.path().into(),
            cgroup_root: machine.path().into(),
            ..Sources::default()
        };
        assert!(sources.own_cgroup().unwrap_err().contains("not mounted"));
    }
}
