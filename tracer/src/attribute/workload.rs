//! What a pod belongs to, from the labels and annotations that Kubernetes documents
//! (<https://kubernetes.io/docs/reference/labels-annotations-taints/>). Its kind is told only where a label says it that
//! nothing but this kind's own controller sets. Pure.

use std::collections::HashMap;

/// Kinds of workloads that labels tell for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// `pod-template-hash`, and the name of the pod has it: set by the Deployment controller alone.
    Deployment,
    /// `statefulset.kubernetes.io/pod-name`.
    StatefulSet,
    /// `controller-revision-hash` with `pod-template-generation`, which no other controller sets.
    DaemonSet,
    /// `batch.kubernetes.io/job-name`, or before Kubernetes 1.27 `job-name` with `controller-uid`.
    Job,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// Its kind, where that is certain.
    pub kind: Option<WorkloadKind>,
    /// Its name.
    pub name: String,
}

/// What names a pod's workload.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// Name of the pod.
    pub pod: &'a str,
    /// Its labels.
    pub labels: &'a HashMap<String, String>,
    /// Its annotations.
    pub annotations: &'a HashMap<String, String>,
    /// Names that this node has; those of its static pods end in one.
    pub node: &'a [String],
}

/// Longest value of a label (`validation.LabelValueMaxLength`).
pub const LABEL_MAX: usize = 63;
/// Letters behind the last dash of a name that a controller has made (`names.SimpleNameGenerator`).
const RANDOM: usize = 5;

impl Workload {
    /// The workload of a pod; `None` where nothing documented tells it.
    #[must_use]
    pub fn of(marks: Marks<'_>) -> Option<Self> {
        let certain = |kind: WorkloadKind, name: Option<&str>| {
            name.map(|name| Self {
                kind: Some(kind),
                name: name.to_owned(),
            })
        };
        let named = |name: Option<&str>| {
            name.map(|name| Self {
                kind: None,
                name: name.to_owned(),
            })
        };
        certain(WorkloadKind::StatefulSet, marks.stateful_set())
            .or_else(|| certain(WorkloadKind::Job, marks.job()))
            .or_else(|| certain(WorkloadKind::Deployment, marks.deployment()))
            .or_else(|| marks.daemon_set())
            .or_else(|| named(marks.static_pod()))
            .or_else(|| named(marks.label("app.kubernetes.io/name")))
    }
}

impl<'a> Marks<'a> {
    fn label(&self, key: &str) -> Option<&'a str> {
        self.labels
            .get(key)
            .map(String::as_str)
            .filter(|value| is_label(value))
    }

    /// `NAME-ORDINAL`, and the label repeats the whole.
    fn stateful_set(&self) -> Option<&'a str> {
        let label = self.label("statefulset.kubernetes.io/pod-name")?;
        let (name, ordinal) = self.pod.rsplit_once('-')?;
        let counted = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
        (label == self.pod && counted && !name.is_empty()).then_some(name)
    }

    fn job(&self) -> Option<&'a str> {
        self.label("batch.kubernetes.io/job-name").or_else(|| {
            self.label("controller-uid")?;
            let name = self.label("job-name")?;
            self.pod.starts_with(name).then_some(name)
        })
    }

    /// `NAME-HASH-RANDOM`; of a name that was too long for its parts, the workload is not told.
    fn deployment(&self) -> Option<&'a str> {
        let hash = self.label("pod-template-hash")?;
        let (name, last) = without_random(self.pod)?.rsplit_once('-')?;
        (last == hash && !name.is_empty()).then_some(name)
    }

    /// `NAME-RANDOM`.
    fn daemon_set(&self) -> Option<Workload> {
        self.label("controller-revision-hash")?;
        let name = without_random(self.pod)?;
        Some(Workload {
            kind: self
                .label("pod-template-generation")
                .map(|_| WorkloadKind::DaemonSet),
            name: name.to_owned(),
        })
    }

    /// A pod that the kubelet runs of its own accord: `NAME-NODE`.
    fn static_pod(&self) -> Option<&'a str> {
        let source = self.annotations.get("kubernetes.io/config.source")?;
        if !matches!(source.as_str(), "file" | "http") {
            return None;
        }
        let without = |node: &String| self.pod.strip_suffix(node.as_str())?.strip_suffix('-');
        let name = self
            .node
            .iter()
            .filter(|node| !node.is_empty())
            .find_map(without)?;
        (!name.is_empty()).then_some(name)
    }
}

/// A generated name without its last five letters.
fn without_random(pod: &str) -> Option<&str> {
    let (name, random) = pod.rsplit_once('-')?;
    let generated =
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (generated && !name.is_empty()).then_some(name)
}

/// Whether a text may be the value of a label and is not empty.
#[must_use]
pub fn is_label(text: &str) -> bool {
    (1..=LABEL_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn of(
        pod: &str,
        labels: &[(&str, &str)],
        annotations: &[(&str, &str)],
    ) -> Option<(Option<WorkloadKind>, String)> {
        let node = ["node-7.example".to_owned(), String::new()];
        let workload = Workload::of(Marks {
            pod,
            labels: &map(labels),
            annotations: &map(annotations),
            node: &node,
        });
        workload.map(|workload| (workload.kind, workload.name))
    }

    fn sure(kind: WorkloadKind, name: &str) -> Option<(Option<WorkloadKind>, String)> {
        Some((Some(kind), name.to_owned()))
    }

    fn unsure(name: &str) -> Option<(Option<WorkloadKind>, String)> {
        Some((None, name.to_owned()))
    }

    #[test]
    fn controllers_that_say_so() {
        let hash = [("pod-template-hash", "7d4b9c6f58")];
        assert_eq!(
            of("api-gateway-7d4b9c6f58-x2x9z", &hash, &[]),
            sure(WorkloadKind::Deployment, "api-gateway")
        );
        let set = [
            ("statefulset.kubernetes.io/pod-name", "redis-0"),
            ("controller-revision-hash", "redis-6f9d"),
        ];
        assert_eq!(
            of("redis-0", &set, &[]),
            sure(WorkloadKind::StatefulSet, "redis")
        );
        let daemon = [
            ("controller-revision-hash", "6f9d"),
            ("pod-template-generation", "3"),
        ];
        assert_eq!(
            of("node-exporter-abcde", &daemon, &[]),
            sure(WorkloadKind::DaemonSet, "node-exporter")
        );
        let job = [
            ("batch.kubernetes.io/job-name", "report-28000000"),
            ("job-name", "other"),
        ];
        assert_eq!(
            of("report-28000000-abcde", &job, &[]),
            sure(WorkloadKind::Job, "report-28000000")
        );
        let old = [
            ("job-name", "report"),
            ("controller-uid", "6c2c2d3e-1111-4222-8333-00000000000a"),
        ];
        assert_eq!(
            of("report-abcde", &old, &[]),
            sure(WorkloadKind::Job, "report")
        );
    }

    #[test]
    fn what_is_not_certain_has_no_kind() {
        // Other controllers keep revisions too.
        assert_eq!(
            of("cache-abcde", &[("controller-revision-hash", "6f9d")], &[]),
            unsure("cache")
        );
        assert_eq!(
            of("bare", &[("app.kubernetes.io/name", "shop")], &[]),
            unsure("shop")
        );
        // The hash is not in the name, because the name was cut: the label alone tells no name.
        assert_eq!(
            of(
                "very-long-7d4b9c-abcde",
                &[("pod-template-hash", "7d4b9c6f58")],
                &[]
            ),
            None
        );
        assert_eq!(
            of("x", &[("job-name", "x")], &[]),
            None,
            "anybody may set this label"
        );
        assert_eq!(
            of(
                "redis-0",
                &[("statefulset.kubernetes.io/pod-name", "redis-1")],
                &[]
            ),
            None
        );
        assert_eq!(
            of(
                "redis-x",
                &[("statefulset.kubernetes.io/pod-name", "redis-x")],
                &[]
            ),
            None
        );
        assert_eq!(of("bare", &[], &[]), None);
    }

    #[test]
    fn static_pods_lose_the_name_of_their_node() {
        let file = [
            ("kubernetes.io/config.source", "file"),
            ("kubernetes.io/config.hash", "0f"),
        ];
        assert_eq!(of("etcd-node-7.example", &[], &file), unsure("etcd"));
        assert_eq!(of("etcd-node-8.example", &[], &file), None);
        assert_eq!(of("node-7.example", &[], &file), None);
        let api = [("kubernetes.io/config.source", "api")];
        assert_eq!(of("etcd-node-7.example", &[], &api), None);
    }

    #[test]
    fn hostile_labels_name_nothing() {
        let long = "a".repeat(LABEL_MAX + 1);
        for value in ["", "a\u{1b}[31m", "a/b", "ä", &long] {
            assert_eq!(
                of("x", &[("app.kubernetes.io/name", value)], &[]),
                None,
                "{value:?}"
            );
            assert_eq!(
                of("x-abcde", &[("batch.kubernetes.io/job-name", value)], &[]),
                None,
                "{value:?}"
            );
        }
        for pod in ["", "-", "--", "-abcde", "-h-abcde", "-0"] {
            assert_eq!(
                of(
                    pod,
                    &[
                        ("pod-template-hash", "h"),
                        ("statefulset.kubernetes.io/pod-name", pod)
                    ],
                    &[]
                ),
                None,
                "{pod:?}"
            );
        }
    }
}
