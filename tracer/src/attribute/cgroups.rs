//! Which cgroup an id means: the default (v2) hierarchy, learnt by a walk and from births told by the kernel.
//!
//! The id of a cgroup is the inode number of its directory, and its path is that from the root of the
//! hierarchy. Ids of different hierarchies are different numbers with overlapping values, so only the
//! default one stands here: the v1 memory hierarchy, to which memory cgroup ids belong on v1 hosts, is left out, and
//! there the process tells the owner. Paths outlive their cgroups, because counts come late: of the dead those that died last are kept.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::Path,
    sync::Arc,
};

use tracer_common::tally::OVERFLOW_ID;

use super::kept;

/// Cgroups that are kept at most.
pub const CGROUPS_MAX: usize = 200_000;
/// Of these, dead ones: a pod has two or more.
const DEAD_MAX: usize = 2 * kept::DEAD_MAX;
/// Levels that a walk goes down.
pub const DEPTH_MAX: usize = 64;

/// Paths by id.
#[derive(Clone, Debug)]
pub struct CgroupTable {
    by_id: HashMap<u64, Entry>,
    by_path: HashMap<Arc<str>, u64>,
    /// The dead in the order of their deaths; an id may stand here though it was learnt anew.
    dead: VecDeque<u64>,
    max: usize,
    refused: u64,
    walk_gaps: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    path: Arc<str>,
    dead: bool,
}

impl Default for CgroupTable {
    fn default() -> Self {
        Self::with_max(CGROUPS_MAX)
    }
}

impl CgroupTable {
    /// An empty table that keeps at most so many.
    #[must_use]
    pub fn with_max(max: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            dead: VecDeque::new(),
            max,
            refused: 0,
            walk_gaps: Vec::new(),
        }
    }

    /// Takes the path of a cgroup of the default hierarchy (`hierarchy` 0 of its birth). The last word
    /// on an id or a path counts.
    pub fn learn(&mut self, id: u64, path: &str) {
        if id == 0 || id == OVERFLOW_ID {
            return;
        }
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.dead = false;
            if *entry.path == *path {
                self.by_path.insert(entry.path.clone(), id);
                return;
            }
            let old = entry.path.clone();
            if self.by_path.get(&old) == Some(&id) {
                self.by_path.remove(&old);
            }
        } else if self.by_id.len() >= self.max && !self.bury_one() {
            self.refused += 1;
            return;
        }
        let path: Arc<str> = path.into();
        self.by_path.insert(path.clone(), id);
        self.by_id.insert(id, Entry { path, dead: false });
    }

    /// Notes that a cgroup is gone. Its path stays until the room is needed, or so many have died after it.
    pub fn forget(&mut self, id: u64) {
        if let Some(entry) = self.by_id.get_mut(&id)
            && !entry.dead
        {
            entry.dead = true;
            self.dead.push_back(id);
            if self.dead.len() > DEAD_MAX {
                self.bury_one();
            }
        }
    }

    /// Gives the room of the longest dead away; `false` when all live.
    fn bury_one(&mut self) -> bool {
        while let Some(id) = self.dead.pop_front() {
            if self.by_id.get(&id).is_none_or(|entry| !entry.dead) {
                continue;
            }
            if let Some(entry) = self.by_id.remove(&id)
                && self.by_path.get(&entry.path) == Some(&id)
            {
                self.by_path.remove(&entry.path);
            }
            return true;
        }
        false
    }

    /// Path of a cgroup, dead or alive.
    #[must_use]
    pub fn path(&self, id: u64) -> Option<&str> {
        Some(&self.by_id.get(&id)?.path)
    }

    /// Id of the cgroup that had a path last.
    #[must_use]
    pub fn id(&self, path: &str) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    /// Those that live, with their paths.
    pub fn living(&self) -> impl Iterator<Item = (u64, &str)> {
        let living = self.by_id.iter().filter(|(_, entry)| !entry.dead);
        living.map(|(id, entry)| (*id, &*entry.path))
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// In words: what is missing.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = self.walk_gaps.clone();
        if self.refused > 0 {
            gaps.push(format!(
                "{} cgroups found no room in the table of {}: their owners are unknown",
                self.refused, self.max
            ));
        }
        gaps
    }

    /// Walks the mount of the default hierarchy: learns every cgroup, and notes which are gone. The gaps
    /// of the last walk are replaced.
    pub fn walk(&mut self, root: &Path) {
        self.walk_with(root, |_| {});
    }

    /// The same; `before` is told each folder before it is listed.
    fn walk_with(&mut self, root: &Path, mut before: impl FnMut(&Path)) {
        let mut seen = HashSet::new();
        let (mut deep, mut unreadable) = (0_u64, 0_u64);
        self.walk_gaps.clear();
        let root_id = match fs::metadata(root) {
            Ok(metadata) => {
                self.learn(metadata.ino(), "/");
                seen.insert(metadata.ino());
                metadata.ino()
            }
            Err(error) => {
                self.walk_gaps.push(format!("{}: {error}", root.display()));
                return;
            }
        };
        let mut pending = vec![(root_id, root.to_path_buf(), String::new(), 0_usize)];
        let mut full = false;
        while let Some((id, folder, path, depth)) = pending.pop() {
            before(&folder);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // Gone between listing and looking: no gap, its name is known.
                Err(error) if is_gone(&error) => {
                    seen.remove(&id);
                    continue;
                }
                Err(_) => {
                    unreadable += 1;
                    continue;
                }
            };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if depth + 1 >= DEPTH_MAX {
                    deep += 1;
                    continue;
                }
                if seen.len() >= self.max {
                    full = true;
                    break;
                }
                let child = format!("{path}/{}", entry.file_name().to_string_lossy());
                self.learn(entry.ino(), &child);
                seen.insert(entry.ino());
                pending.push((entry.ino(), entry.path(), child, depth + 1));
            }
            if full {
                break;
            }
        }
        if full {
            self.walk_gaps.push(format!(
                "more than {} cgroups: the rest is unknown",
                self.max
            ));
        } else {
            let gone: Vec<u64> = self
                .by_id
                .keys()
                .copied()
                .filter(|id| !seen.contains(id))
                .collect();
            gone.into_iter().for_each(|id| self.forget(id));
        }
        if deep > 0 {
            self.walk_gaps
                .push(format!("{deep} cgroups deeper than {DEPTH_MAX} levels"));
        }
        if unreadable > 0 {
            self.walk_gaps
                .push(format!("{unreadable} cgroups may not be read"));
        }
    }
}

/// What the kernel answers for a folder that was removed, before and after it was opened.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
#[path = "cgroups_tests.rs"]
mod tests;
