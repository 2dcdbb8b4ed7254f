//! The cgroup namespace of the node: within another one, as a container has, `/proc/PID/cgroup` shows paths relative to it.

use std::{fs, fs::File, io, os::fd::AsRawFd, path::Path, thread};

/// Runs something where paths of cgroups are those of the node, on a thread that goes there if this process is elsewhere. In
/// words, why it could not go there; then it runs where it is.
pub(super) fn in_node<T: Send>(
    proc: &Path,
    work: impl FnOnce() -> T + Send,
) -> (T, Option<String>) {
    let node = proc.join("1/ns/cgroup");
    let own = fs::read_link(proc.join("thread-self/ns/cgroup"));
    let same = match (&own, fs::read_link(&node)) {
        (Ok(own), Ok(node)) => *own == node,
        // Whoever may not look may not go there either, and paths are what they are.
        _ => true,
    };
    if same {
        return (work(), None);
    }
    let gone = thread::scope(|scope| {
        let there = move || {
            let gap = enter(&node).err().map(|error| {
                format!(
                    "cgroups of processes are seen from within a container only: {}: {error}",
                    node.display()
                )
            });
            (work(), gap)
        };
        scope.spawn(there).join()
    });
    match gone {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Moves the calling thread, and only it, there.
fn enter(node: &Path) -> io::Result<()> {
    let file = File::open(node)?;
    // SAFETY: the descriptor is open for the call; setns touches no memory of ours.
    match unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWCGROUP) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn at_home_nothing_moves() {
        let caller = thread::current().id();
        let (ran_on, gap) = in_node(Path::new("/proc"), || thread::current().id());
        let init = fs::read_link("/proc/1/ns/cgroup").ok();
        if init.is_none() || init == fs::read_link("/proc/self/ns/cgroup").ok() {
            assert_eq!((ran_on, gap), (caller, None));
        }
    }

    #[test]
    fn where_it_cannot_go_it_says_so_and_runs_all_the_same() {
        let proc = Fixture::new();
        proc.link("thread-self/ns/cgroup", "cgroup:[1]")
            .link("1/ns/cgroup", "cgroup:[2]");
        let (answer, gap) = in_node(proc.path(), || 42);
        assert_eq!(answer, 42);
        assert!(gap.unwrap().contains("1/ns/cgroup"));
        let bare = Fixture::new();
        assert_eq!(in_node(bare.path(), || 42), (42, None));
    }

    /// With root: a thread in a cgroup namespace of its own still sees the paths of the node.
    #[test]
    fn from_another_cgroup_namespace() {
        if let Err(error) = fs::read_link("/proc/1/ns/cgroup") {
            crate::skipped::skipped(
                module_path!(),
                format_args!("the first process may not be looked at: {error}"),
            );
            return;
        }
        let path_of_init = || fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
        let outside = path_of_init();
        let inside = thread::spawn(move || {
            // SAFETY: no pointers; only this thread, made for it, is moved.
            if unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(in_node(Path::new("/proc"), path_of_init))
        });
        match inside.join().unwrap() {
            Ok(seen) => assert_eq!(seen, (outside, None)),
            Err(error) => crate::skipped::skipped(
                module_path!(),
                format_args!("no cgroup namespace: {error}"),
            ),
        }
    }
}
