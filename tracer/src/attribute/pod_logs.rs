//! Names of pods from the folders that the kubelet makes for their logs: `NAMESPACE_NAME_UID`.
//!
//! No credentials are needed, and the names of static pods are there too: their UID is the hash of their
//! manifest, 32 hexadecimal digits, the same as in the path of their cgroup. UIDs are matched whether they
//! are written with dashes or without.

use std::{collections::HashSet, fs, path::Path};

use super::kept::Kept;

/// Names that are kept, those of the dead among them; a node has a few hundred pods.
pub const PODS_MAX: usize = 20_000;
/// Folders that one reading looks at.
const FOLDERS_MAX: usize = 100_000;

/// Namespace and name of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Names of pods by UID.
#[derive(Clone, Debug)]
pub struct PodLogs {
    by_uid: Kept<String, PodName>,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
}

impl Default for PodLogs {
    fn default() -> Self {
        Self {
            by_uid: Kept::with_max(PODS_MAX),
            gaps: Vec::new(),
        }
    }
}

impl PodLogs {
    /// Reads the folder. Without it nothing is known, and a gap says so.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let mut logs = Self::default();
        logs.refresh(dir);
        logs
    }

    /// Reads the folder again: the names of pods that are gone stay, the gaps of the last reading are replaced.
    pub fn refresh(&mut self, dir: &Path) {
        self.gaps.clear();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                self.gaps.push(format!(
                    "names of pods are not known from {}: {error}",
                    dir.display()
                ));
                return;
            }
        };
        let mut living = HashSet::new();
        for (number, entry) in entries.enumerate() {
            if number >= FOLDERS_MAX {
                self.gaps.push(format!(
                    "more than {FOLDERS_MAX} folders in {}",
                    dir.display()
                ));
                return;
            }
            match entry {
                // A name that is not UTF-8 is not the kubelet's.
                Ok(entry) => {
                    if let Some(uid) = entry.file_name().to_str().and_then(|it| self.learn(it)) {
                        living.insert(uid);
                    }
                }
                Err(error) => {
                    self.gaps.push(format!("{}: {error}", dir.display()));
                    return;
                }
            }
        }
        self.by_uid.retain(|uid| living.contains(uid));
        if self.by_uid.refused() > 0 {
            self.gaps.push(format!(
                "more than {PODS_MAX} pods in {}: the rest have no names from there",
                dir.display()
            ));
        }
    }

    /// Takes the name of one folder; the UID as it is looked up, or `None` when the folder is not one of a pod.
    pub fn learn(&mut self, folder: &str) -> Option<String> {
        let (uid, name) = parse(folder)?;
        self.by_uid.learn(uid.clone(), name).then_some(uid)
    }

    /// Notes that a folder is gone; its name stays until the room is needed.
    pub fn forget(&mut self, folder: &str) {
        if let Some((uid, _)) = parse(folder) {
            self.by_uid.forget(&uid);
        }
    }

    /// Name of the pod with a UID.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&PodName> {
        self.by_uid.get(&key(uid))
    }

    /// Whether no pod is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }
}

/// `NAMESPACE_NAME_UID`. Neither namespaces nor names may hold an underscore (RFC 1123).
fn parse(folder: &str) -> Option<(String, PodName)> {
    let mut parts = folder.splitn(3, '_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, key(parts.next()?));
    let whole = !namespace.is_empty() && !name.is_empty() && !uid.is_empty();
    whole.then(|| {
        let name = PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        (uid, name)
    })
}

/// A UID as tables of this room have it: UIDs are written with dashes or without, as those of static pods.
pub(super) fn key(uid: &str) -> String {
    uid.chars()
        .filter(|&letter| letter != '-')
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn pod(namespace: &str, name: &str) -> PodName {
        PodName {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn reads_folders() {
        let dir = Fixture::new();
        dir.dir("shop_redis-0_6c2c2d3e-1111-4222-8333-00000000000a/redis")
            .dir("kube-system_etcd-node1.example_0123456789abcdef0123456789abcdef")
            .dir("rubbish")
            .dir("a_b")
            .dir("_b_c")
            .dir("a_b_-");
        let logs = PodLogs::read(dir.path());
        assert_eq!(logs.gaps, Vec::<String>::new());
        assert_eq!(logs.by_uid.len(), 2);
        let redis = pod("shop", "redis-0");
        assert_eq!(
            logs.get("6c2c2d3e-1111-4222-8333-00000000000a"),
            Some(&redis)
        );
        assert_eq!(logs.get("6C2C2D3E111142228333-00000000000a"), Some(&redis));
        let etcd = pod("kube-system", "etcd-node1.example");
        assert_eq!(logs.get("0123456789abcdef0123456789abcdef"), Some(&etcd));
        assert_eq!(
            logs.get("01234567-89ab-cdef-0123-456789abcdef"),
            Some(&etcd)
        );
        assert_eq!(logs.get("other"), None);
        assert_eq!(logs.get(""), None);
    }

    #[test]
    fn absent_is_a_gap() {
        let logs = PodLogs::read(Path::new("/nonexistent/pods"));
        assert_eq!(logs.by_uid.len(), 0);
        assert_eq!(logs.gaps.len(), 1);
        assert!(
            logs.gaps[0].contains("/nonexistent/pods"),
            "{:?}",
            logs.gaps
        );
    }

    #[test]
    fn the_dead_keep_their_names() {
        let dir = Fixture::new();
        dir.dir("shop_gone_1111");
        let mut logs = PodLogs::read(dir.path());
        fs::remove_dir(dir.path().join("shop_gone_1111")).unwrap();
        dir.dir("shop_new_2222");
        logs.refresh(dir.path());
        assert_eq!(logs.get("1111"), Some(&pod("shop", "gone")));
        assert_eq!(logs.get("2222"), Some(&pod("shop", "new")));
        logs.forget("shop_new_2222");
        logs.forget("rubbish");
        assert_eq!(logs.get("2222"), Some(&pod("shop", "new")));
        logs.refresh(Path::new("/nonexistent"));
        assert_eq!((logs.gaps.len(), logs.by_uid.len()), (1, 2));
    }
}
