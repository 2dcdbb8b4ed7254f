//! Network namespaces: which there are, and a thread that goes from one to the next.
//!
//! Found through the processes and threads that live in them and through mounts of nsfs (`ip netns`,
//! CNI, Docker). There is one nsfs on a node, so the inode number alone names a namespace. One that only
//! an open descriptor keeps alive, without process or mount, is not found. Nothing here keeps a
//! namespace alive: the descriptor that leads into one is opened, used and closed, and the thread that
//! went in ends. The path by which one is entered is checked again when it is opened, because a process
//! id may have gone to somebody else.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{enter, enter::Entry, mountinfo, netstat::number};

/// Ways into one namespace that are kept: a few, because processes come and go.
const PATHS_MAX: usize = 4;
/// Time for threads that live in another namespace than their process, which is rare.
const THREADS_BUDGET: Duration = Duration::from_millis(300);

/// One network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    /// Inode number in nsfs; the kernel programs see the same as `ns.inum`.
    pub inum: u32,
    /// Name of its mount, as `ip netns` or CNI gave it.
    pub name: Option<String>,
    /// A process in it: the one with the lowest id.
    pub pid: Option<i32>,
    /// Paths that led to it when it was listed; the best first.
    pub paths: Vec<PathBuf>,
}

/// All network namespaces that can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Ordered by inode number.
    pub namespaces: Vec<Netns>,
    /// In words: what could not be looked at.
    pub gaps: Vec<String>,
}

/// Where a closure of [`visit`] finds itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder that shows `/proc/net` of the namespace.
    pub net: PathBuf,
    /// Whether the thread is in the namespace, so that a socket made now belongs to it.
    pub inside: bool,
}

/// What [`visit`] brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit<T> {
    /// One for each namespace that was reached.
    pub results: Vec<T>,
    /// In words: namespaces that could not be reached. One that is gone is no gap.
    pub gaps: Vec<String>,
}

/// Lists the network namespaces that the processes and mounts of a procfs show.
#[must_use]
pub fn list(proc: &Path) -> Listing {
    let mut found = BTreeMap::new();
    let mut gaps = Vec::new();
    mounts(proc, &mut found);
    processes(proc, &mut found, &mut gaps);
    Listing {
        namespaces: found.into_values().collect(),
        gaps,
    }
}

fn entry(found: &mut BTreeMap<u32, Netns>, inum: u32, path: PathBuf) -> &mut Netns {
    let netns = found.entry(inum).or_insert_with(|| Netns {
        inum,
        name: None,
        pid: None,
        paths: Vec::new(),
    });
    if netns.paths.len() < PATHS_MAX && !netns.paths.contains(&path) {
        netns.paths.push(path);
    }
    netns
}

/// Mounts of nsfs as this process sees them, and as the first process does: in a container with the
/// host's processes, those of the host.
fn mounts(proc: &Path, found: &mut BTreeMap<u32, Netns>) {
    for (process, root) in [("self", PathBuf::from("/")), ("1", proc.join("1/root"))] {
        let Ok(text) = fs::read(proc.join(process).join("mountinfo")) else {
            continue;
        };
        for mount in mountinfo::parse(&text) {
            if mount.fstype != "nsfs" {
                continue;
            }
            let Some(inum) = link_inum(&mount.root) else {
                continue;
            };
            let path = root.join(mount.at.strip_prefix("/").unwrap_or(&mount.at));
            let netns = entry(found, inum, path);
            let named = mount.at.parent().and_then(Path::file_name) == Some("netns".as_ref());
            if netns.name.is_none() && named {
                netns.name = mount
                    .at
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
            }
        }
    }
}

fn processes(proc: &Path, found: &mut BTreeMap<u32, Netns>, gaps: &mut Vec<String>) {
    let mut pids = match numbers(proc) {
        Ok(pids) => pids,
        Err(error) => {
            gaps.push(format!("{} cannot be listed: {error}", proc.display()));
            return;
        }
    };
    pids.sort_unstable();
    let (mut denied, mut unlooked) = (0_usize, 0_usize);
    let start = Instant::now();
    for &pid in &pids {
        let folder = proc.join(pid.to_string());
        let path = folder.join("ns/net");
        match fs::read_link(&path) {
            Ok(target) => {
                let Some(inum) = target.to_str().and_then(link_inum) else {
                    continue;
                };
                entry(found, inum, path).pid.get_or_insert(pid);
                let tasks = folder.join("task");
                // The link count of this folder is the number of threads and two (proc_task_getattr).
                if fs::metadata(&tasks).is_ok_and(|tasks| tasks.nlink() == 3) {
                    continue;
                }
                if start.elapsed() < THREADS_BUDGET {
                    threads(&tasks, pid, inum, found);
                } else {
                    unlooked += 1;
                }
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => denied += 1,
            // Gone, or a zombie, which has no namespaces any more.
            Err(_) => {}
        }
    }
    if denied > 0 {
        gaps.push(format!(
            "network namespaces of {denied} of {} processes are not known: their links may not be \
             read (CAP_SYS_PTRACE)",
            pids.len()
        ));
    }
    if unlooked > 0 {
        gaps.push(format!(
            "threads of {unlooked} processes were not looked at: a network namespace that only such \
             a thread uses may be missing"
        ));
    }
}

fn threads(tasks: &Path, pid: i32, leader: u32, found: &mut BTreeMap<u32, Netns>) {
    for tid in numbers(tasks).unwrap_or_default() {
        let path = tasks.join(tid.to_string()).join("ns/net");
        let inum = fs::read_link(&path)
            .ok()
            .and_then(|target| link_inum(target.to_str()?));
        // The process itself is no example of it: /proc/PID/net shows the leader's namespace.
        if let Some(inum) = inum.filter(|&inum| inum != leader && tid != pid) {
            entry(found, inum, path);
        }
    }
}

/// Names of a folder that are numbers, as those of processes and threads are.
pub(crate) fn numbers(folder: &Path) -> std::io::Result<Vec<i32>> {
    let names =
        fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter_map(|name| i32::try_from(number(&name)?).ok())
        .collect())
}

/// The number in `net:[4026531840]`.
pub(crate) fn link_inum(target: &str) -> Option<u32> {
    let digits = target.strip_prefix("net:[")?.strip_suffix(']')?;
    u32::try_from(number(digits)?).ok()
}

/// Runs a closure for each namespace, on one thread that goes from one to the next and then ends.
///
/// Where a namespace may not be entered, the closure runs outside, with a [`Place`] that shows it
/// through one of its processes; without such a process it is a gap.
///
/// ```no_run
/// use tracer::indicators::netns;
///
/// let proc = std::path::Path::new("/proc");
/// let listing = netns::list(proc);
/// let visit = netns::visit(proc, &listing.namespaces, |netns, place| {
///     (netns.inum, std::fs::read_to_string(place.net.join("sockstat")).is_ok())
/// });
/// ```
pub fn visit<T: Send>(
    proc: &Path,
    namespaces: &[Netns],
    each: impl FnMut(&Netns, &Place) -> T + Send,
) -> Visit<T> {
    let on_thread = thread::scope(|scope| {
        thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, || go(proc, namespaces, each))
            .map(|thread| thread.join())
    });
    match on_thread {
        Ok(Ok(visit)) => visit,
        Ok(Err(_)) => lost("the thread that goes through the network namespaces failed"),
        Err(error) => lost(&format!("no thread for the network namespaces: {error}")),
    }
}

fn lost<T>(gap: &str) -> Visit<T> {
    Visit {
        results: Vec::new(),
        gaps: vec![gap.to_owned()],
    }
}

fn go<T>(proc: &Path, namespaces: &[Netns], mut each: impl FnMut(&Netns, &Place) -> T) -> Visit<T> {
    let mut visit = Visit {
        results: Vec::new(),
        gaps: Vec::new(),
    };
    let own = proc.join("thread-self/ns/net");
    let mut current = fs::read_link(own)
        .ok()
        .and_then(|target| link_inum(target.to_str()?));
    let mut denied = 0_usize;
    for netns in namespaces {
        let entry = if current == Some(netns.inum) {
            Entry::Inside
        } else {
            enter::enter(netns)
        };
        let place = match entry {
            Entry::Inside => {
                current = Some(netns.inum);
                // Not /proc/net: that is the namespace of the process, not of this thread.
                Place {
                    net: proc.join("thread-self/net"),
                    inside: true,
                }
            }
            Entry::Gone => continue,
            Entry::Denied => match outside(proc, netns) {
                Some(net) => Place { net, inside: false },
                None => {
                    denied += 1;
                    continue;
                }
            },
            Entry::Failed(error) => {
                visit
                    .gaps
                    .push(format!("network namespace {}: {error}", netns.inum));
                continue;
            }
        };
        visit.results.push(each(netns, &place));
    }
    if denied > 0 {
        visit.gaps.push(format!(
            "{denied} network namespaces may not be entered (CAP_SYS_ADMIN) and no process shows them"
        ));
    }
    visit
}

/// `/proc/PID/net` of a process that is still in the namespace.
fn outside(proc: &Path, netns: &Netns) -> Option<PathBuf> {
    let folder = proc.join(netns.pid?.to_string());
    let target = fs::read_link(folder.join("ns/net")).ok()?;
    (link_inum(target.to_str()?) == Some(netns.inum)).then(|| folder.join("net"))
}

#[cfg(test)]
#[path = "netns_tests.rs"]
mod tests;
