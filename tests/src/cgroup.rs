//! Control groups as kubelet and container runtime lay them out, with the systemd driver's names: in the v2 hierarchy, or on
//! hosts with v1 in that of memory, and in the v2 one beside it where there is one (hybrid).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Where the kernel's cgroup v2 tree is mounted, or on hosts with v1 the folder of all trees.
const MOUNT: &str = "/sys/fs/cgroup";
/// The slice under which every pod of the lab lives.
pub const PODS: &str = "kubepods.slice/kubepods-burstable.slice";

/// Where the hierarchies are mounted that the lab's pods are in; memory is accounted in the first.
#[must_use]
pub fn roots() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    let v1 = ["memory", "unified"].map(|name| mount.join(name));
    let v1: Vec<PathBuf> = v1.into_iter().filter(|path| path.exists()).collect();
    if v1.is_empty() {
        vec![mount.to_path_buf()]
    } else {
        v1
    }
}

/// Whether memory is accounted in the v2 hierarchy.
#[must_use]
pub fn memory_is_v2() -> bool {
    let controllers = fs::read_to_string(Path::new(MOUNT).join("cgroup.controllers"));
    controllers.is_ok_and(|text| text.split_ascii_whitespace().any(|it| it == "memory"))
}

/// The slice of all pods, in the first hierarchy.
#[must_use]
pub fn all_pods() -> PathBuf {
    in_first("kubepods.slice")
}

/// A folder in the first hierarchy.
#[must_use]
pub fn in_first(path: &str) -> PathBuf {
    let root = roots().into_iter().next();
    root.unwrap_or_else(|| MOUNT.into()).join(path)
}

/// The same folder in every hierarchy.
pub fn everywhere(path: &Path) -> Result<Vec<PathBuf>> {
    let below = path
        .strip_prefix(in_first(""))
        .with_context(|| format!("{} is no cgroup folder", path.display()))?;
    Ok(roots().into_iter().map(|root| root.join(below)).collect())
}

/// The folder of a container's scope: `…/kubepods-burstable-podUID.slice/cri-containerd-ID.scope`.
/// Dashes in the uid become underscores, as systemd's names demand.
#[must_use]
pub fn container_path(uid: &str, container: &str) -> PathBuf {
    pod_path(uid).join(format!("cri-containerd-{container}.scope"))
}

/// The folder of a pod's slice.
#[must_use]
pub fn pod_path(uid: &str) -> PathBuf {
    let uid = uid.replace('-', "_");
    in_first(PODS).join(format!("kubepods-burstable-pod{uid}.slice"))
}

/// Makes a folder and all above it in every hierarchy, with the memory, cpu and pids controllers passed down where the kernel has
/// them.
pub fn create(path: &Path) -> Result<()> {
    for (folder, mut at) in everywhere(path)?.into_iter().zip(roots()) {
        for part in folder.strip_prefix(&at)?.to_path_buf().components() {
            for controller in ["+memory", "+cpu", "+pids"] {
                // A controller that this kernel lacks, or that v1 has taken, is no matter here.
                let _ = fs::write(at.join("cgroup.subtree_control"), controller);
            }
            at.push(part);
            if !at.exists() {
                fs::create_dir(&at)
                    .with_context(|| format!("cannot make cgroup {}", at.display()))?;
            }
        }
    }
    Ok(())
}

/// Ends every process in the folder and below, in every hierarchy, then removes the folders. What is missing is already removed.
pub fn remove(path: &Path) -> Result<()> {
    everywhere(path)?.iter().try_for_each(|it| remove_one(it))
}

fn remove_one(path: &Path) -> Result<()> {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_one(&entry.path())?;
            }
        }
    }
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        for pid in processes(path) {
            // A process that has just ended needs no signal.
            let _ = crate::sys::signal(pid, libc::SIGKILL);
        }
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > end => {
                return Err(error)
                    .with_context(|| format!("cannot remove cgroup {}", path.display()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Process ids in a folder; none where it cannot be read. Never pid 0, which would mean a whole group.
fn processes(path: &Path) -> Vec<u32> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1)
        .collect()
}

/// Process ids in a folder and all below it.
#[must_use]
pub fn all_processes(path: &Path) -> Vec<u32> {
    let mut all = processes(path);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(all_processes(&entry.path()));
        }
    }
    all
}

/// The cgroup id that the kernel gives a folder: its inode number.
pub fn id(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(path)
        .with_context(|| format!("no cgroup {}", path.display()))?
        .ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_lies_where_the_systemd_driver_puts_it() {
        let slice = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda_b_c.slice";
        let path = container_path("a-b-c", "0f");
        assert!(path.ends_with(Path::new(slice).join("cri-containerd-0f.scope")));
        assert!(everywhere(&path).unwrap().contains(&path));
        assert!(everywhere(Path::new("/elsewhere")).is_err());
    }
}
