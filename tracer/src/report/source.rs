//! Where the names of an owner came from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribute;

/// Where a name came from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The path of a cgroup.
    CgroupPath,
    /// The socket of a container runtime.
    Cri,
    /// A folder of `/var/log/pods`.
    PodLogs,
    /// The network namespace, which is that of one pod's sandbox.
    Netns,
    /// `/proc/PID`.
    Proc,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl From<attribute::Source> for Source {
    fn from(source: attribute::Source) -> Self {
        match source {
            attribute::Source::CgroupPath => Self::CgroupPath,
            attribute::Source::Cri => Self::Cri,
            attribute::Source::PodLogs => Self::PodLogs,
            attribute::Source::Netns => Self::Netns,
            attribute::Source::Proc => Self::Proc,
        }
    }
}

/// Where each name came from. Ids are what an owner was found by; names of pods have a source of their own; of the rest only a
/// container runtime tells.
pub(super) fn of(owner: &attribute::Owner) -> BTreeMap<String, Source> {
    let pod = owner.about_pod.as_deref();
    let container = owner.about_container.as_deref();
    let told = Some(attribute::Source::Cri);
    let names = [
        (
            "k8s.namespace.name",
            owner.namespace.is_some(),
            owner.source,
        ),
        ("k8s.pod.name", owner.pod.is_some(), owner.source),
        ("k8s.pod.uid", owner.pod_uid.is_some(), owner.found),
        ("k8s.pod.qos", owner.qos.is_some(), owner.found),
        ("container.id", owner.container_id.is_some(), owner.found),
        ("systemd.unit", owner.unit.is_some(), owner.found),
        ("process.command", owner.process.is_some(), owner.found),
        (
            "container.name",
            container.is_some_and(|it| it.name.is_some()),
            told,
        ),
        (
            "container.image.name",
            container.is_some_and(|it| it.image.is_some()),
            told,
        ),
        (
            "k8s.workload",
            pod.is_some_and(|it| it.workload.is_some()),
            told,
        ),
        ("k8s.pod.label", pod.is_some(), told),
        (
            "contact",
            pod.is_some_and(|it| !it.contact.is_empty()),
            told,
        ),
        ("sandbox", pod.is_some_and(|it| it.sandbox.is_some()), told),
    ];
    let known = names.into_iter().filter(|(_, known, _)| *known);
    known
        .filter_map(|(key, _, source)| Some((key.to_owned(), source?.into())))
        .collect()
}
