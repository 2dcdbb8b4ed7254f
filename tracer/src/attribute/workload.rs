//! What a pod belongs to, from the labels and annotations that Kubernetes documents
//! (<https://kubernetes.io/docs/reference/labels-annotations-taints/>). Its kind is told only where a label says it that
//! nothing but this kind's own controller sets. Pure.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kinds of workloads that labels tell for certain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
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
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
#[path = "workload_tests.rs"]
mod tests;
