//! Control groups as kubelet and container runtime lay them out, by either of their drivers: in the v2 hierarchy, or on hosts
//! with v1 in that of memory, and in the v2 one beside it where there is one (hybrid).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Where the kernel's cgroup v2 tree is mounted, or on hosts with v1 the folder of all trees.
const MOUNT: &str = "/sys/fs/cgroup";
/// The folders under which every pod of the lab lives, one for each driver.
const PODS: [&str; 2] = ["kubepods.slice", "kubepods"];

/// How kubelet and runtime name a pod's cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Whether by the cgroupfs driver; else by that of systemd.
    pub cgroupfs: bool,
    /// QoS class, as the kubelet sorts pods.
    pub qos: Qos,
}

/// QoS class of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos {
    /// Without a level of its own.
    Guaranteed,
    /// With some requests.
    #[default]
    Burstable,
    /// Without any.
    BestEffort,
}

impl Layout {
    /// The folder of a pod: `…/kubepods-burstable-podUID.slice`, where dashes in the uid become underscores as systemd's names
    /// demand, or `kubepods/burstable/podUID`.
    #[must_use]
    pub fn pod(self, uid: &str) -> PathBuf {
        let class = match self.qos {
            Qos::Guaranteed => "",
            Qos::Burstable => "burstable",
            Qos::BestEffort => "besteffort",
        };
        if self.cgroupfs {
            return in_first("kubepods").join(class).join(format!("pod{uid}"));
        }
        let uid = uid.replace('-', "_");
        let pods = all_pods();
        if class.is_empty() {
            return pods.join(format!("kubepods-pod{uid}.slice"));
        }
        let class = format!("kubepods-{class}");
        pods.join(format!("{class}.slice"))
            .join(format!("{class}-pod{uid}.slice"))
    }

    /// The folder of a container, or of the sandbox.
    #[must_use]
    pub fn container(self, uid: &str, id: &str) -> PathBuf {
        let pod = self.pod(uid);
        if self.cgroupfs {
            pod.join(id)
        } else {
            pod.join(format!("cri-containerd-{id}.scope"))
        }
    }
}

/// Where the hierarchies are mounted that the lab's pods are in; memory is accounted in the first.
#[must_use]
pub fn roots() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    let v1 = ["memory", "unified", "cpu"].map(|name| mount.join(name));
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

/// The slice of all pods, in the first hierarchy, by the driver of systemd.
#[must_use]
pub fn all_pods() -> PathBuf {
    in_first(PODS[0])
}

/// The folders of all pods, by either driver.
#[must_use]
pub fn all_pods_of_each() -> [PathBuf; 2] {
    PODS.map(in_first)
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

/// The folder of a pod's slice, as pods of the lab have it unless they are told otherwise.
#[must_use]
pub fn pod_path(uid: &str) -> PathBuf {
    Layout::default().pod(uid)
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
            match fs::create_dir(&at) {
                // Pods are made at the same time.
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error)
                        .with_context(|| format!("cannot make cgroup {}", at.display()));
                }
                _ => {}
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
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        for pid in processes(path) {
            // A process that has just ended needs no signal.
            let _ = crate::sys::signal(pid, libc::SIGKILL);
        }
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
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
    fn cgroups_lie_where_the_drivers_put_them() {
        let path = |cgroupfs: bool, qos: Qos| {
            let layout = Layout { cgroupfs, qos };
            let path = layout.container("a-b-c", "0f");
            assert!(everywhere(&path).unwrap().contains(&path));
            path.strip_prefix(in_first(""))
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            path(false, Qos::Burstable),
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda_b_c.slice/cri-containerd-0f.scope"
        );
        assert_eq!(
            path(false, Qos::Guaranteed),
            "kubepods.slice/kubepods-poda_b_c.slice/cri-containerd-0f.scope"
        );
        assert_eq!(
            path(true, Qos::BestEffort),
            "kubepods/besteffort/poda-b-c/0f"
        );
        assert_eq!(path(true, Qos::Guaranteed), "kubepods/poda-b-c/0f");
        assert!(everywhere(Path::new("/elsewhere")).is_err());
    }
}
