//! Names of pods from the folders that the kubelet makes for their logs: `NAMESPACE_NAME_UID`.
//!
//! No credentials are needed, and the names of static pods are there too: their UID is the hash of their
//! manifest, 32 hexadecimal digits, the same as in the path of their cgroup. UIDs are matched whether they
//! are written with dashes or without.

use std::{collections::HashMap, fs, path::Path};

/// Folders that are read at most; a node has a few hundred.
const PODS_MAX: usize = 100_000;

/// Namespace and name of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Names of pods by UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodLogs {
    by_uid: HashMap<String, PodName>,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
}

impl PodLogs {
    /// Reads the folder. Without it nothing is known, and a gap says so.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let mut logs = Self::default();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                logs.gaps.push(format!(
                    "names of pods are not known from {}: {error}",
                    dir.display()
                ));
                return logs;
            }
        };
        for entry in entries {
            if logs.by_uid.len() >= PODS_MAX {
                logs.gaps
                    .push(format!("more than {PODS_MAX} folders in {}", dir.display()));
                break;
            }
            match entry {
                // A name that is not UTF-8 is not the kubelet's.
                Ok(entry) => {
                    if let Some(folder) = entry.file_name().to_str() {
                        logs.learn(folder);
                    }
                }
                Err(error) => {
                    logs.gaps.push(format!("{}: {error}", dir.display()));
                    break;
                }
            }
        }
        logs
    }

    /// Takes the name of one folder; `false` when it is not one of a pod.
    pub fn learn(&mut self, folder: &str) -> bool {
        // Neither namespaces nor names may hold an underscore (RFC 1123).
        let mut parts = folder.splitn(3, '_');
        let (Some(namespace), Some(name), Some(uid)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let uid = key(uid);
        if namespace.is_empty() || name.is_empty() || uid.is_empty() {
            return false;
        }
        let pod = PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.by_uid.insert(uid, pod);
        true
    }

    /// Adds what a newer reading knows; the names of pods that are gone stay.
    pub fn merge(&mut self, newer: Self) {
        self.by_uid.extend(newer.by_uid);
        self.gaps = newer.gaps;
    }

    /// Name of the pod with a UID.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&PodName> {
        self.by_uid.get(&key(uid))
    }
}

fn key(uid: &str) -> String {
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
        let mut logs = PodLogs::default();
        assert!(logs.learn("shop_gone_1111"));
        let mut newer = PodLogs::default();
        assert!(newer.learn("shop_new_2222"));
        logs.merge(newer);
        assert_eq!(logs.get("1111"), Some(&pod("shop", "gone")));
        assert_eq!(logs.get("2222"), Some(&pod("shop", "new")));
    }
}
