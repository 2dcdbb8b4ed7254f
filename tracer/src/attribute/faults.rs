//! In words: what the tables of attribution lack, and what in them contradicts itself. Pure.

use std::collections::BTreeSet;

use tracer_common::{TallyKey, tally::OVERFLOW_ID};

use super::{Attributor, cgroup_path};

/// Pods that one gap names.
const NAMED_MAX: usize = 4;

impl Attributor {
    /// In words: cgroups among these that nothing on this node names, because they were removed before
    /// their path could be learnt.
    #[must_use]
    pub fn nameless<'a>(&self, keys: impl Iterator<Item = &'a TallyKey>) -> Vec<String> {
        let ids: BTreeSet<u64> = keys
            .map(|key| key.cgroup_id)
            .filter(|&id| id != 0 && id != OVERFLOW_ID && self.cgroups.path(id).is_none())
            .collect();
        ids.iter()
            .map(|id| {
                format!(
                    "cgroup {id} has no name: it was removed before its path could be learnt; \
                     its sockets are told by their memory cgroup or by the process that holds them, \
                     where these are known"
                )
            })
            .collect()
    }

    /// In words: what container runtimes did not tell, on a node that should have one.
    #[must_use]
    pub fn untold(&self) -> &[String] {
        let pods = || {
            let mut living = self.cgroups.living();
            living.any(|(_, path)| cgroup_path::parse(path).pod_uid.is_some())
        };
        match self.cri.required || !self.pods.is_empty() || pods() {
            true => &self.cri.gaps,
            false => &[],
        }
    }

    /// In words: what is missing in the tables.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = self.notes.clone();
        gaps.extend(self.cgroups.gaps());
        gaps.extend(self.pods.gaps.iter().chain(&self.processes.gaps).cloned());
        gaps.extend(self.untold().iter().cloned());
        gaps.extend(self.cri.faults());
        gaps.extend(self.contradictions());
        gaps.extend(self.invisible());
        gaps
    }

    /// In words: where the container runtime contradicts what the node itself shows.
    fn contradictions(&self) -> Vec<String> {
        let renamed = self.cri.pods().filter(|pod| {
            let folder = self.pods.get(&pod.uid);
            folder.is_some_and(|folder| *folder != pod.name)
        });
        let renamed = renamed.count();
        let moved = self.cgroups.living().filter(|(_, path)| {
            let facts = cgroup_path::parse(path);
            let told = facts
                .container_id
                .as_deref()
                .and_then(|id| self.cri.container(id));
            let uid = facts.pod_uid.as_deref();
            // Deeper cgroups are of the same container.
            let own = cgroup_path::prefix(path, facts.depth).len() == path.len();
            own && told
                .zip(uid)
                .is_some_and(|(told, uid)| !self.is_of(told, uid))
        });
        let moved = if self.cri.is_empty() {
            0
        } else {
            moved.count()
        };
        let gap = |count: usize, words: &str| (count > 0).then(|| format!("{count} {words}"));
        [
            gap(
                renamed,
                "pods have other names in the container runtime than in their log folders: the folders are believed",
            ),
            gap(
                moved,
                "containers are of another pod by the container runtime than by their cgroup: the cgroup is believed",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// In words: pods whose TCP stack is not in this kernel.
    fn invisible(&self) -> Option<String> {
        let sandboxed = self
            .cri
            .pods()
            .filter_map(|pod| Some((&pod.name, pod.facts.sandbox?)));
        let names: BTreeSet<String> = sandboxed
            .map(|(name, kind)| format!("{}/{} ({})", name.namespace, name.name, kind.name()))
            .collect();
        let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = match names.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!names.is_empty()).then(|| {
            format!(
                "TCP sockets of {}{more} are not visible: the TCP stack of these pods is not in this kernel",
                shown.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::made::attributor;

    #[test]
    fn gaps_of_all_tables() {
        let mut attributor = attributor();
        attributor.notes.push("a part".into());
        attributor.pods.gaps.push("no pods".into());
        attributor.processes.gaps.push("no processes".into());
        assert_eq!(attributor.gaps(), ["a part", "no pods", "no processes"]);
    }

    #[test]
    fn a_cgroup_that_is_gone_is_a_gap_and_a_known_one_is_none() {
        let mut attributor = Attributor::default();
        attributor.cgroups.learn(42, "/system.slice/redis.service");
        let key = |cgroup_id| TallyKey {
            cgroup_id,
            ..TallyKey::default()
        };
        let keys = [key(42), key(99), key(99), key(0), key(OVERFLOW_ID)];
        let gaps = attributor.nameless(keys.iter());
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].contains("99"), "{gaps:?}");
    }
}
