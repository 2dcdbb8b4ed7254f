//! Control groups (v2) as kubelet and container runtime lay them out, with the systemd driver's names.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Where the kernel's cgroup v2 tree is mounted.
pub const ROOT: &str = "/sys/fs/cgroup";
/// The slice under which every pod of the lab lives.
pub const PODS: &str = "kubepods.slice/kubepods-burstable.slice";

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
    Path::new(ROOT)
        .join(PODS)
        .join(format!("kubepods-burstable-pod{uid}.slice"))
}

/// Makes a folder and all above it, with the memory, cpu and pids controllers passed down where the kernel has them.
pub fn create(path: &Path) -> Result<()> {
    let below = path.strip_prefix(ROOT).context("not a cgroup folder")?;
    let mut at = PathBuf::from(ROOT);
    for part in below.components() {
        for controller in ["+memory", "+cpu", "+pids"] {
            // A controller that this kernel lacks, or that v1 has taken, is no matter here.
            let _ = fs::write(at.join("cgroup.subtree_control"), controller);
        }
        at.push(part);
        if !at.exists() {
            fs::create_dir(&at).with_context(|| format!("cannot make cgroup {}", at.display()))?;
        }
    }
    Ok(())
}

/// Ends every process in the folder and below, then removes the folders. What is missing is already removed.
pub fn remove(path: &Path) -> Result<()> {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path())?;
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
        assert_eq!(
            container_path("a-b-c", "0f"),
            Path::new(
                "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda_b_c.slice/cri-containerd-0f.scope"
            )
        );
    }
}
