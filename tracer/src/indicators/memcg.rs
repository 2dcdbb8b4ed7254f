//! Memory cgroups (v2) under pressure. From 6.1 on a full cgroup hardly ever refuses a segment: the charge
//! goes through in softirq, its events count up, and the windows of its sockets are kept small. That is a
//! slow pod without any drop, and only these files tell (`Documentation/admin-guide/cgroup-v2.rst`).

use std::{collections::BTreeMap, fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most cgroups that are read.
const MAX_CGROUPS: usize = 4096;

/// Counts of `memory.events.local`: of the cgroup itself, not of those below it. `None` where the kernel has no such
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// Charges that went over `memory.high`.
    pub high: Option<u64>,
    /// Charges that met `memory.max`.
    pub max: Option<u64>,
    /// Times that nothing could be reclaimed.
    pub oom: Option<u64>,
    /// Processes killed for it.
    pub oom_kill: Option<u64>,
    /// Times that a socket found itself under pressure of this cgroup (6.19 and later).
    pub sock_throttled: Option<u64>,
}

impl Events {
    /// From the text of the file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let of = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let (_, count) = lines.find(|(key, _)| *key == name)?;
            count.trim().parse().ok()
        };
        Self {
            high: of("high"),
            max: of("max"),
            oom: of("oom"),
            oom_kill: of("oom_kill"),
            sock_throttled: of("sock_throttled"),
        }
    }

    /// How far they have risen.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let rise = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        Self {
            high: rise(self.high, before.high),
            max: rise(self.max, before.max),
            oom: rise(self.oom, before.oom),
            oom_kill: rise(self.oom_kill, before.oom_kill),
            sock_throttled: rise(self.sock_throttled, before.sock_throttled),
        }
    }

    /// Whether anything happened.
    #[must_use]
    pub fn any(&self) -> bool {
        [
            self.high,
            self.max,
            self.oom,
            self.oom_kill,
            self.sock_throttled,
        ]
        .into_iter()
        .flatten()
        .any(|count| count > 0)
    }
}

/// Events of each cgroup, by its id.
pub type Readings = BTreeMap<u64, Events>;

/// A cgroup to which something happened within the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pressed {
    /// Its id.
    pub id: u64,
    /// What happened.
    pub events: Events,
    /// `memory.current`, in bytes.
    pub usage_bytes: Option<u64>,
    /// `memory.max`, in bytes; `None` when there is no limit.
    pub max_bytes: Option<u64>,
    /// Socket memory in it (`sock` of `memory.stat`), in bytes.
    pub sock_bytes: Option<u64>,
    /// Sockets in it whose receive window is held small; `None` where that was not asked for, or no answer came.
    pub windows_clamped: Option<u64>,
}

/// Reads the events of all cgroups of the mount of the v2 hierarchy; those without a memory controller have none.
#[must_use]
pub fn read<'a>(root: &Path, cgroups: impl Iterator<Item = (u64, &'a str)>) -> Readings {
    // The same ones each time, or none of them could be compared.
    let mut cgroups: Vec<_> = cgroups.collect();
    cgroups.sort_unstable_by_key(|(id, _)| *id);
    cgroups
        .into_iter()
        .take(MAX_CGROUPS)
        .filter_map(|(id, path)| {
            let file = folder(root, path).join("memory.events.local");
            Some((id, Events::parse(&fs::read_to_string(file).ok()?)))
        })
        .collect()
}

/// The cgroups to which something happened between two readings. One that was born between them began at 0.
#[must_use]
pub fn pressed<'a>(
    root: &Path,
    before: &Readings,
    after: &Readings,
    path_of: impl Fn(u64) -> Option<&'a str>,
) -> Vec<Pressed> {
    let risen = after.iter().map(|(id, events)| {
        let before = before.get(id).copied().unwrap_or_default();
        (*id, events.since(before))
    });
    risen
        .filter(|(_, events)| events.any())
        .filter_map(|(id, events)| {
            let folder = folder(root, path_of(id)?);
            let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
            let number = |name: &str| text(name)?.trim().parse().ok();
            Some(Pressed {
                id,
                events,
                usage_bytes: number("memory.current"),
                max_bytes: number("memory.max"),
                sock_bytes: text("memory.stat").as_deref().and_then(sock),
                windows_clamped: None,
            })
        })
        .collect()
}

fn folder(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Socket memory in a cgroup and those below it, in bytes; `None` where it has no memory controller, or is gone.
#[must_use]
pub fn sock_of(root: &Path, path: &str) -> Option<u64> {
    sock(&fs::read_to_string(folder(root, path).join("memory.stat")).ok()?)
}

/// The line `sock` of `memory.stat`.
#[must_use]
pub fn sock(stat: &str) -> Option<u64> {
    let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == "sock")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn what_a_kernel_does_not_count_is_absent() {
        let events = Events::parse("low 0\nhigh 1\nmax 25\noom 3\noom_kill 0\n");
        assert_eq!((events.max, events.oom), (Some(25), Some(3)));
        assert_eq!(events.sock_throttled, None);
        assert_eq!(Events::parse("max x\nmaximum 3"), Events::default());
        let newer = Events::parse("max 30\nsock_throttled 7\n").since(events);
        assert_eq!((newer.max, newer.sock_throttled), (Some(5), Some(7)));
        assert!(newer.any() && !Events::parse("max 0\n").any());
    }

    #[test]
    fn only_cgroups_to_which_something_happened_are_pressed() {
        let machine = Fixture::new();
        let pods = ["quiet", "tight", "bare"];
        let known = || pods.iter().zip(1_u64..).map(|(path, id)| (id, *path));
        for pod in pods {
            machine.dir(pod);
        }
        machine.file("quiet/memory.events.local", "max 5\n");
        machine.file("tight/memory.events.local", "max 5\n");
        let before = read(machine.path(), known());
        assert_eq!(before.len(), 2, "one has no memory controller");
        machine.file("tight/memory.events.local", "max 9\n");
        machine.file("tight/memory.current", "4096\n");
        machine.file("tight/memory.max", "max\n");
        machine.file("tight/memory.stat", "anon 1\nsock 2048\nsockets 1\n");
        let after = read(machine.path(), known());
        let path_of = |id: u64| pods.get(id as usize - 1).copied();
        let found = pressed(machine.path(), &before, &after, path_of);
        let [tight] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((tight.id, tight.events.max), (2, Some(4)));
        assert_eq!((tight.usage_bytes, tight.max_bytes), (Some(4096), None));
        assert_eq!(tight.sock_bytes, Some(2048));
    }
}
