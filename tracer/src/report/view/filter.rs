//! Whose lines are shown. Values of one filter are alternatives; several filters must all hold.

use super::Selector;
use crate::report::{Owner, OwnerKind, Report};

/// Whose lines are shown; one that is empty holds for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Namespaces of pods.
    pub namespaces: Vec<String>,
    /// Names of pods, also as `NAMESPACE/NAME`; `*` stands for any characters.
    pub pods: Vec<String>,
    /// What labels of pods must be.
    pub labels: Option<Selector>,
    /// Paths of cgroups with all that is below them, or their ids.
    pub cgroups: Vec<String>,
    /// Inode numbers of network namespaces.
    pub netns: Vec<String>,
}

/// The key under which an owner says where its labels came from.
const LABELS: &str = "k8s.pod.label";

impl Filter {
    /// Whether everybody is shown.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
            && self.pods.is_empty()
            && self.labels.is_none()
            && self.cgroups.is_empty()
            && self.netns.is_empty()
    }

    /// Each as the option that gives it.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let of = |option: &'static str, values: &[String]| -> Vec<String> {
            let values = values.iter();
            values.map(|value| format!("{option}={value}")).collect()
        };
        let labels = self.labels.iter().map(|it| format!("label={it}"));
        [
            of("namespace", &self.namespaces),
            of("pod", &self.pods),
            labels.collect(),
            of("cgroup", &self.cgroups),
            of("netns", &self.netns),
        ]
        .concat()
    }

    /// Whether an owner that lives in these network namespaces is shown.
    #[must_use]
    pub fn shows(&self, owner: &Owner, netns: &[String]) -> bool {
        let lives = |wanted: &String| netns.contains(wanted);
        (self.netns.is_empty() || self.netns.iter().any(lives)) && self.shows_owner(owner)
    }

    /// Whether a memory cgroup is shown, which is in no network namespace.
    #[must_use]
    pub(super) fn shows_cgroup(&self, owner: &Owner) -> bool {
        self.netns.is_empty() && self.shows_owner(owner)
    }

    fn shows_owner(&self, owner: &Owner) -> bool {
        let namespace = owner.k8s_namespace_name.as_deref();
        let pod = owner.k8s_pod_name.as_deref();
        let in_namespace = |wanted: &String| namespace == Some(wanted);
        let is_pod = |wanted: &String| {
            let (of, name) = match wanted.split_once('/') {
                Some((of, name)) => (Some(of), name),
                None => (None, wanted.as_str()),
            };
            of.is_none_or(|of| namespace == Some(of)) && pod.is_some_and(|pod| is_like(pod, name))
        };
        let in_cgroup = |wanted: &String| is_within(owner, wanted);
        (self.namespaces.is_empty() || self.namespaces.iter().any(in_namespace))
            && (self.pods.is_empty() || self.pods.iter().any(is_pod))
            && (self.cgroups.is_empty() || self.cgroups.iter().any(in_cgroup))
            && self
                .labels
                .as_ref()
                .is_none_or(|selector| knows_labels(owner) && selector.matches(&owner.labels))
    }

    /// Pods of a report whose labels are not known although a selector asks for them.
    pub(super) fn labels_unknown(&self, report: &Report) -> u64 {
        if self.labels.is_none() {
            return 0;
        }
        let victims = report.victims.iter().map(|it| &it.owner);
        let holders = report.holders.iter().map(|it| &it.owner);
        let mut pods: Vec<&Owner> = victims
            .chain(holders)
            .filter(|owner| owner.kind == OwnerKind::Pod && !knows_labels(owner))
            .collect();
        pods.sort();
        pods.dedup();
        pods.len() as u64
    }
}

/// Whether somebody has told the labels of an owner, even that it has none.
fn knows_labels(owner: &Owner) -> bool {
    owner.sources.contains_key(LABELS)
}

/// Whether a name is as a pattern says, in which `*` stands for any characters.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = name.find(part) else {
            return false;
        };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

/// Whether an owner's cgroup is the one that is wanted, or below it.
fn is_within(owner: &Owner, wanted: &str) -> bool {
    let path = owner.cgroup_path.as_deref().unwrap_or_default();
    let wanted_path = wanted.trim_end_matches('/');
    let below = path.strip_prefix(wanted_path);
    let is_path = wanted.starts_with('/')
        && !path.is_empty()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_path || owner.cgroup_id.as_deref() == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (name, pattern, like) in [
            ("web-7f9c", "web-*", true),
            ("web-7f9c", "web", false),
            ("web", "web*", true),
            ("my-web-1", "*web*", true),
            ("a-b-c", "a*b*c", true),
            ("a-c-b", "a*b*c", false),
            ("aba", "ab*ba", false),
            ("anything", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), like, "{name} {pattern}");
        }
    }

    #[test]
    fn cgroups_end_at_a_slash() {
        let owner = Owner {
            cgroup_path: Some("/kubepods/pod1/c".into()),
            cgroup_id: Some("77".into()),
            ..Owner::default()
        };
        for (wanted, within) in [
            ("/kubepods", true),
            ("/kubepods/", true),
            ("/kubepods/pod1/c", true),
            ("/kubepods/pod", false),
            ("/", true),
            ("kubepods", false),
            ("77", true),
            ("7", false),
        ] {
            assert_eq!(is_within(&owner, wanted), within, "{wanted}");
        }
        assert!(!is_within(&Owner::default(), "/"), "unknown is not within");
    }
}
