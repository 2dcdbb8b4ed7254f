//! The entries of tcpress's map of owners, as the kernel has them: whose they are says what is left of the dead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use tracer_common::TallyKey;
use zerocopy::IntoBytes as _;

use crate::bpf;
use crate::cgroup;

/// Whoever has an entry.
#[derive(Debug)]
pub struct Owner {
    /// Its cgroup and its memory cgroup, by their paths where they are there, and its network namespace.
    pub words: String,
    /// Whether nobody can count for it any more: neither of its cgroups is there, or its network namespace is not.
    pub gone: bool,
}

/// Every owner that has an entry.
pub fn owners() -> Result<Vec<Owner>> {
    let mut paths = BTreeMap::new();
    for root in cgroup::roots() {
        paths.insert(fs::metadata(&root)?.ino(), root.display().to_string());
        learn(&root, &mut paths);
    }
    let namespaces = namespaces()?;
    let mut all = Vec::new();
    for map in bpf::maps("TALLIES")? {
        let mut key: Option<TallyKey> = None;
        loop {
            let mut next = TallyKey::default();
            let before = key.as_ref().map(|key| key.as_bytes());
            if !bpf::next_key(map.as_raw_fd(), before, next.as_mut_bytes())? {
                break;
            }
            all.push(owner(&next, &paths, &namespaces));
            key = Some(next);
        }
    }
    Ok(all)
}

fn owner(key: &TallyKey, paths: &BTreeMap<u64, String>, namespaces: &BTreeSet<u32>) -> Owner {
    let named = |id: u64| match paths.get(&id) {
        _ if id == 0 => "none".to_owned(),
        Some(path) => format!("{id} {path}"),
        None => format!("{id} gone"),
    };
    let there = namespaces.contains(&key.netns_inum);
    let words = format!(
        "cgroup {}, memory cgroup {}, network namespace {}{} with cookie {}",
        named(key.cgroup_id),
        named(key.memcg_id),
        key.netns_inum,
        if there { "" } else { " gone" },
        key.netns_cookie
    );
    // Sockets of the kernel's own have no cgroup.
    let mut ids = [key.cgroup_id, key.memcg_id]
        .into_iter()
        .filter(|id| *id != 0)
        .peekable();
    let cgroups_gone = ids.peek().is_some() && ids.all(|id| !paths.contains_key(&id));
    Owner {
        words,
        gone: cgroups_gone || !there,
    }
}

/// Numbers of the network namespaces that processes are in.
fn namespaces() -> Result<BTreeSet<u32>> {
    let processes = fs::read_dir("/proc").context("cannot list processes")?;
    let links = processes
        .flatten()
        .filter_map(|it| fs::metadata(it.path().join("ns/net")).ok());
    links.map(|it| Ok(u32::try_from(it.ino())?)).collect()
}

/// Paths of a folder and all below it by their numbers.
fn learn(folder: &Path, paths: &mut BTreeMap<u64, String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())) {
        paths.insert(entry.ino(), entry.path().display().to_string());
        learn(&entry.path(), paths);
    }
}
