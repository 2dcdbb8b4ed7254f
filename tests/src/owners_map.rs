//! The entries of tcpress's map of owners, as the kernel has them: whose they are says what is left of the dead.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::Result;
use tracer_common::TallyKey;
use zerocopy::IntoBytes as _;

use crate::bpf;
use crate::cgroup;

/// Every owner that has an entry, in words: its cgroup and its memory cgroup, by their paths where they are there, and its network namespace.
pub fn owners() -> Result<Vec<String>> {
    let mut paths = BTreeMap::new();
    for root in cgroup::roots() {
        paths.insert(fs::metadata(&root)?.ino(), root.display().to_string());
        learn(&root, &mut paths);
    }
    let named = |id: u64| match paths.get(&id) {
        _ if id == 0 => "none".to_owned(),
        Some(path) => format!("{id} {path}"),
        None => format!("{id} gone"),
    };
    let mut all = Vec::new();
    for map in bpf::maps("TALLIES")? {
        let mut key: Option<TallyKey> = None;
        loop {
            let mut next = TallyKey::default();
            let before = key.as_ref().map(|key| key.as_bytes());
            if !bpf::next_key(map.as_raw_fd(), before, next.as_mut_bytes())? {
                break;
            }
            all.push(format!(
                "cgroup {}, memory cgroup {}, network namespace {} with cookie {}",
                named(next.cgroup_id),
                named(next.memcg_id),
                next.netns_inum,
                next.netns_cookie
            ));
            key = Some(next);
        }
    }
    Ok(all)
}

/// Paths of a folder and all below it by their numbers.
fn learn(folder: &Path, paths: &mut BTreeMap<u64, String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())) {
        paths.insert(entry.ino(), entry.path().display().to_string());
        learn(&entry.path(), paths);
    }
}
