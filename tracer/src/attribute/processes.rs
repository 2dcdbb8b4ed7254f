//! Which process holds a socket: `PROC/PID/fd`, looked through only for the inodes that are asked for.
//!
//! Needed where the cgroup of a socket says nothing: hosts with v1 hierarchies only, and processes in the
//! root cgroup. The cgroups of the process then name its pod, also on v1 hosts.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::Instant,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cgroup_path::{self, PathFacts};
use crate::holders::descriptors::{self, Bounds, Go, Order};

/// How often is looked again for the sockets of processes that ended before they could be asked who they are.
const ROUNDS: usize = 2;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Command, as `/proc/PID/comm` has it; empty where it could not be read.
    pub command: String,
    /// Its cgroups.
    pub cgroups: ProcessCgroups,
}

/// The paths of `/proc/PID/cgroup` that may name an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessCgroups {
    /// Path in the default hierarchy.
    pub unified: Option<String>,
    /// Paths in the v1 hierarchies of memory, pids and systemd, in this order.
    pub v1: Vec<String>,
}

impl ProcessCgroups {
    /// Reads the text: lines of `HIERARCHY:CONTROLLERS:PATH`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut unified = None;
        let mut v1 = [None, None, None];
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            if hierarchy == "0" && controllers.is_empty() {
                unified = Some(path.to_owned());
            }
            for controller in controllers.split(',') {
                let place = ["memory", "pids", "name=systemd"]
                    .iter()
                    .position(|known| *known == controller);
                if let Some(place) = place {
                    v1[place] = Some(path.to_owned());
                }
            }
        }
        Self {
            unified,
            v1: v1.into_iter().flatten().collect(),
        }
    }

    /// The path that tells most, and what it tells: a pod before a container before a unit; the default
    /// hierarchy before the others. `None` where none tells anything.
    #[must_use]
    pub fn best(&self) -> Option<(&str, PathFacts)> {
        let rank = |facts: &PathFacts| {
            if facts.pod_uid.is_some() {
                0
            } else if facts.container_id.is_some() {
                1
            } else if facts.unit.is_some() {
                2
            } else {
                3
            }
        };
        let paths = self.unified.iter().chain(&self.v1).map(String::as_str);
        paths
            .map(|path| (path, cgroup_path::parse(path)))
            .min_by_key(|(_, facts)| rank(facts))
            .filter(|(_, facts)| rank(facts) < 3)
    }

    /// All of them.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        self.unified
            .iter()
            .chain(&self.v1)
            .map(String::as_str)
            .collect()
    }

    /// The first path that is not a root.
    #[must_use]
    pub fn any(&self) -> Option<&str> {
        let mut paths = self.unified.iter().chain(&self.v1).map(String::as_str);
        paths.find(|path| *path != "/")
    }
}

/// A descriptor of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    /// The process that has it.
    pub pid: i32,
    /// Its command.
    pub command: String,
    /// The number of the descriptor.
    pub fd: i32,
}

/// Processes by the inodes of their sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessTable {
    /// Place in `processes`, and the number of the descriptor.
    by_inode: HashMap<u32, (u32, i32)>,
    processes: Vec<Process>,
    /// In words: what searches could not see.
    pub gaps: Vec<String>,
}

impl ProcessTable {
    /// The process that holds a socket; where several do, the one with the lowest id.
    #[must_use]
    pub fn get(&self, inode: u32) -> Option<&Process> {
        let (process, _) = self.by_inode.get(&inode)?;
        self.processes.get(*process as usize)
    }

    /// The same, with the number of its descriptor.
    #[must_use]
    pub fn descriptor(&self, inode: u32) -> Option<Descriptor> {
        let (_, fd) = self.by_inode.get(&inode)?;
        let process = self.get(inode)?;
        Some(Descriptor {
            pid: process.pid,
            command: process.command.clone(),
            fd: *fd,
        })
    }

    /// Notes a process with the sockets that it holds, each by its inode and the number of a descriptor.
    pub fn insert(&mut self, process: Process, sockets: impl IntoIterator<Item = (u32, i32)>) {
        if let Some(place) = self.place(process) {
            let sockets = sockets.into_iter();
            self.by_inode
                .extend(sockets.map(|(inode, fd)| (inode, (place, fd))));
        }
    }

    /// Forgets all sockets but these, and the processes that hold none of them.
    pub fn keep_only(&mut self, inodes: &HashSet<u32>) {
        self.by_inode.retain(|inode, _| inodes.contains(inode));
        let mut places = HashMap::new();
        let mut kept = Vec::new();
        for (place, _) in self.by_inode.values_mut() {
            *place = *places.entry(*place).or_insert_with(|| {
                kept.extend(self.processes.get(*place as usize).cloned());
                (kept.len() - 1) as u32
            });
        }
        self.processes = kept;
    }

    /// The place of a process among those that are known, where it is put if it is new; `None` where there is no room.
    fn place(&mut self, process: Process) -> Option<u32> {
        let known = self.processes.iter().rposition(|it| *it == process);
        let place = u32::try_from(known.unwrap_or(self.processes.len())).ok()?;
        if known.is_none() {
            self.processes.push(process);
        }
        Some(place)
    }

    /// Looks for the holders of the wanted sockets, until all are found or the time is up. What was
    /// found earlier and is not wanted now stays.
    pub(crate) fn find(&mut self, proc: &Path, wanted: HashSet<u32>, bounds: Bounds) {
        self.find_with(proc, wanted, bounds, |_| {});
    }

    /// The same; `between` is told each process after one of its descriptors was found, before it is asked who it is.
    fn find_with(
        &mut self,
        proc: &Path,
        wanted: HashSet<u32>,
        bounds: Bounds,
        mut between: impl FnMut(i32),
    ) {
        let start = Instant::now();
        let mut missing = wanted;
        missing.remove(&0);
        // Whoever ends before it can be asked has no name any more; somebody else may hold the same sockets.
        let mut ended = 0_usize;
        for _ in 0..ROUNDS {
            if missing.is_empty() {
                return;
            }
            let left = Bounds {
                time: bounds.time.saturating_sub(start.elapsed()),
                ..bounds
            };
            let lost = self.walk(proc, &mut missing, left, &mut |pid| {
                between(pid);
                let process = read(&proc.join(pid.to_string()), pid);
                ended += usize::from(process.is_none());
                process
            });
            if lost.is_empty() && (ended == 0 || missing.is_empty()) {
                return;
            }
            if lost.is_empty() {
                break;
            }
            missing = lost;
        }
        self.gaps.push(format!(
            "{ended} processes that held sockets ended while they were looked at: who they were is not known"
        ));
    }

    /// Goes through descriptors; finds what is missing, and takes it out there. `who` is asked once for each process that has some.
    /// What was held by those who had ended by then is returned.
    fn walk(
        &mut self,
        proc: &Path,
        missing: &mut HashSet<u32>,
        bounds: Bounds,
        who: &mut dyn FnMut(i32) -> Option<Process>,
    ) -> HashSet<u32> {
        let mut lost = HashSet::new();
        let mut current = None;
        let walk = descriptors::sockets(proc, Order::Oldest, bounds, |it| {
            if missing.remove(&it.inode) {
                let place = match current {
                    Some((pid, place)) if pid == it.pid => place,
                    _ => who(it.pid).and_then(|process| self.place(process)),
                };
                current = Some((it.pid, place));
                match place {
                    Some(place) => drop(self.by_inode.insert(it.inode, (place, it.fd))),
                    None => drop(lost.insert(it.inode)),
                }
            }
            if missing.is_empty() {
                Go::Enough
            } else {
                Go::On
            }
        });
        match walk {
            // Who is not looked for any more may stay unseen.
            Ok(walk) if !missing.is_empty() => {
                let cut = (walk.cut > 0).then(|| {
                    format!(
                        "whose descriptors lead to some large sockets is not known: only the first {} of each process were looked at \
                         ({} of {} have more); a report over a time looks at all",
                        bounds.of_process, walk.cut, walk.processes
                    )
                });
                for gap in walk.gaps().into_iter().chain(cut) {
                    if !self.gaps.contains(&gap) {
                        self.gaps.push(gap);
                    }
                }
            }
            Ok(_) => {}
            Err(error) => self
                .gaps
                .push(format!("{} cannot be listed: {error}", proc.display())),
        }
        lost
    }
}

/// Who a process is; `None` when it is gone.
fn read(folder: &Path, pid: i32) -> Option<Process> {
    let text = |name: &str| {
        let bytes = fs::read(folder.join(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (command, cgroups) = (text("comm"), text("cgroup"));
    if command.is_none() && cgroups.is_none() {
        return None;
    }
    let command = command.unwrap_or_default();
    Some(Process {
        pid,
        command: command.strip_suffix('\n').unwrap_or(&command).to_owned(),
        cgroups: ProcessCgroups::parse(&cgroups.unwrap_or_default()),
    })
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
