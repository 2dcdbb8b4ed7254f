//! Who: an owner with OpenTelemetry names, and the one name that is shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    labels,
    source::{self, Source},
};
use crate::attribute::{self, workload::WorkloadKind};

/// What an owner is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A Kubernetes pod.
    Pod,
    /// A container outside any pod.
    Container,
    /// A systemd unit.
    SystemdUnit,
    /// A process, where no cgroup tells more.
    Process,
    /// A cgroup that is none of the above.
    Cgroup,
    /// The kernel itself.
    Kernel,
    /// Counted, but the owner was lost because a table was full.
    Unattributed,
    /// Several owners, of whom only the sum was kept: a recording keeps the largest apart.
    Other,
    /// Counted, but nothing on the node names the owner.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A word on whom to call: a label or annotation of the pod.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default)]
pub struct Contact {
    /// Key of the label or annotation.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Who holds or suffers. Fields after `source` are there only where they are known.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default)]
pub struct Owner {
    /// What it is.
    pub kind: OwnerKind,
    /// The name to show, for example `shop/redis-0`.
    pub name: String,
    /// Where the most telling name came from.
    pub source: Option<Source>,
    /// Where each of the names below came from, by its key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Source>,
    /// Namespace of the pod.
    #[serde(rename = "k8s.namespace.name", skip_serializing_if = "Option::is_none")]
    pub k8s_namespace_name: Option<String>,
    /// Name of the pod.
    #[serde(rename = "k8s.pod.name", skip_serializing_if = "Option::is_none")]
    pub k8s_pod_name: Option<String>,
    /// UID of the pod.
    #[serde(rename = "k8s.pod.uid", skip_serializing_if = "Option::is_none")]
    pub k8s_pod_uid: Option<String>,
    /// Container id; absent when several containers of a pod are summed.
    #[serde(rename = "container.id", skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Name of the container in the pod; absent when several containers of a pod are summed.
    #[serde(rename = "container.name", skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// Name of its image.
    #[serde(
        rename = "container.image.name",
        skip_serializing_if = "Option::is_none"
    )]
    pub container_image_name: Option<String>,
    /// Quality-of-service class of the pod: `guaranteed`, `burstable` or `besteffort`.
    #[serde(rename = "k8s.pod.qos", skip_serializing_if = "Option::is_none")]
    pub k8s_pod_qos: Option<String>,
    /// Name of what the pod belongs to, whatever its kind.
    #[serde(rename = "k8s.workload", skip_serializing_if = "Option::is_none")]
    pub k8s_workload: Option<String>,
    /// The same where it is a Deployment for certain.
    #[serde(
        rename = "k8s.deployment.name",
        skip_serializing_if = "Option::is_none"
    )]
    pub k8s_deployment_name: Option<String>,
    /// The same where it is a StatefulSet for certain.
    #[serde(
        rename = "k8s.statefulset.name",
        skip_serializing_if = "Option::is_none"
    )]
    pub k8s_statefulset_name: Option<String>,
    /// The same where it is a DaemonSet for certain.
    #[serde(rename = "k8s.daemonset.name", skip_serializing_if = "Option::is_none")]
    pub k8s_daemonset_name: Option<String>,
    /// The same where it is a Job for certain.
    #[serde(rename = "k8s.job.name", skip_serializing_if = "Option::is_none")]
    pub k8s_job_name: Option<String>,
    /// Labels of the pod by their keys, in documents as `k8s.pod.label.KEY`, without those that the kubelet adds. That they are known,
    /// even that there are none, is in `sources`, as `k8s.pod.label`.
    #[serde(flatten, with = "labels")]
    #[schemars(with = "labels::LabelFields")]
    pub labels: BTreeMap<String, String>,
    /// Whom to call, the most telling first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<Contact>,
    /// `kata` or `gvisor` where the pod's TCP stack is not in this kernel: its sockets are not visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// systemd unit, with its suffix.
    #[serde(rename = "systemd.unit", skip_serializing_if = "Option::is_none")]
    pub systemd_unit: Option<String>,
    /// Process id.
    #[serde(rename = "process.pid", skip_serializing_if = "Option::is_none")]
    pub process_pid: Option<i32>,
    /// Command of the process.
    #[serde(rename = "process.command", skip_serializing_if = "Option::is_none")]
    pub process_command: Option<String>,
    /// Path of the cgroup from the root of its hierarchy.
    #[serde(rename = "cgroup.path", skip_serializing_if = "Option::is_none")]
    pub cgroup_path: Option<String>,
    /// Id of the cgroup.
    #[serde(rename = "cgroup.id", skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<String>,
}

impl Owner {
    /// Whom to call in a few words: the first contact, as `team payments`.
    #[must_use]
    pub fn contact_words(&self) -> Option<String> {
        let Contact { key, value } = self.contact.first()?;
        let key = key.rsplit('/').next().unwrap_or(key);
        Some(format!("{key} {value}"))
    }

    /// The name with whom to call, as `payments/api-7f9c (team payments)`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.contact_words() {
            Some(contact) => format!("{} ({contact})", self.name),
            None => self.name.clone(),
        }
    }
}

impl From<&attribute::Owner> for Owner {
    fn from(owner: &attribute::Owner) -> Self {
        let pod = owner.about_pod.as_deref();
        let container = owner.about_container.as_deref();
        let workload = pod.and_then(|pod| pod.workload.as_ref());
        let of_kind = |kind: WorkloadKind| {
            let workload = workload.filter(|workload| workload.kind == Some(kind));
            workload.map(|workload| workload.name.clone())
        };
        let contact = pod.map_or(&[][..], |pod| pod.contact.as_slice()).iter();
        Self {
            kind: owner.kind.into(),
            name: shown_name(owner),
            source: owner.source.map(Into::into),
            sources: source::of(owner),
            k8s_namespace_name: owner.namespace.clone(),
            k8s_pod_name: owner.pod.clone(),
            k8s_pod_uid: owner.pod_uid.clone(),
            container_id: owner.container_id.clone(),
            container_name: container.and_then(|container| container.name.clone()),
            container_image_name: container.and_then(|container| container.image.clone()),
            k8s_pod_qos: owner.qos.clone(),
            k8s_workload: workload.map(|workload| workload.name.clone()),
            k8s_deployment_name: of_kind(WorkloadKind::Deployment),
            k8s_statefulset_name: of_kind(WorkloadKind::StatefulSet),
            k8s_daemonset_name: of_kind(WorkloadKind::DaemonSet),
            k8s_job_name: of_kind(WorkloadKind::Job),
            labels: pod.map(|pod| pod.labels.clone()).unwrap_or_default(),
            contact: contact
                .map(|contact| Contact {
                    key: contact.key.clone(),
                    value: contact.value.clone(),
                })
                .collect(),
            sandbox: pod
                .and_then(|pod| pod.sandbox)
                .map(|kind| kind.name().to_owned()),
            systemd_unit: owner.unit.clone(),
            process_pid: owner.process.as_ref().map(|(pid, _)| *pid),
            process_command: owner.process.as_ref().map(|(_, command)| command.clone()),
            cgroup_path: owner.cgroup_path.clone(),
            cgroup_id: owner.cgroup_id.map(|id| id.to_string()),
        }
    }
}

impl From<attribute::OwnerKind> for OwnerKind {
    fn from(kind: attribute::OwnerKind) -> Self {
        match kind {
            attribute::OwnerKind::Pod => Self::Pod,
            attribute::OwnerKind::Container => Self::Container,
            attribute::OwnerKind::SystemdUnit => Self::SystemdUnit,
            attribute::OwnerKind::Process => Self::Process,
            attribute::OwnerKind::Cgroup => Self::Cgroup,
            attribute::OwnerKind::Kernel => Self::Kernel,
            attribute::OwnerKind::Unknown => Self::Unknown,
            attribute::OwnerKind::Unattributed => Self::Unattributed,
            attribute::OwnerKind::Other => Self::Other,
        }
    }
}

/// Digits of a container id that are shown, as container tools do.
const SHORT_ID: usize = 12;

/// The name by which people know an owner, raw: renderings make it safe.
fn shown_name(owner: &attribute::Owner) -> String {
    let best = match owner.kind {
        attribute::OwnerKind::Pod => match (&owner.namespace, &owner.pod, &owner.pod_uid) {
            (Some(namespace), Some(pod), _) => Some(format!("{namespace}/{pod}")),
            (None, Some(pod), _) => Some(pod.clone()),
            (_, None, Some(uid)) => Some(format!("pod {uid}")),
            (_, None, None) => None,
        },
        attribute::OwnerKind::Container => owner.container_id.as_ref().map(|id| {
            format!(
                "container {}",
                id.chars().take(SHORT_ID).collect::<String>()
            )
        }),
        attribute::OwnerKind::SystemdUnit => owner.unit.clone(),
        attribute::OwnerKind::Process => owner
            .process
            .as_ref()
            .map(|(pid, command)| format!("{command}[{pid}]")),
        attribute::OwnerKind::Cgroup => owner.cgroup_path.clone(),
        attribute::OwnerKind::Kernel => Some("kernel".to_owned()),
        attribute::OwnerKind::Unattributed => Some("unattributed (tables full)".to_owned()),
        attribute::OwnerKind::Other => Some("all others".to_owned()),
        attribute::OwnerKind::Unknown => None,
    };
    best.or_else(|| owner.cgroup_path.clone())
        .or_else(|| owner.cgroup_id.map(|id| format!("unknown (cgroup {id})")))
        .unwrap_or_else(|| "unknown".to_owned())
}
