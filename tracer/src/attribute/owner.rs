//! The answer of attribution: plain data, compared and ordered, never serialised as it is.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{contact::Contact, workload::Workload};

/// What an owner is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A Kubernetes pod, or one container of it when `container_id` is known.
    Pod,
    /// A systemd unit.
    SystemdUnit,
    /// A container outside any pod.
    Container,
    /// A process, where no cgroup tells more.
    Process,
    /// A cgroup whose path is known but is none of the above.
    Cgroup,
    /// The kernel itself: sockets that no task made.
    Kernel,
    /// A cgroup id that nothing on this node names any more.
    Unknown,
    /// Counted by the kernel programs, but their tables were full: the owner is lost, the count is not.
    Unattributed,
    /// Several owners, of whom only the sum was kept.
    Other,
}

/// Where a name came from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
}

/// Where a pod's TCP stack is, if not in this kernel.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// Kata Containers: a kernel of its own in a virtual machine.
    Kata,
    /// gVisor: a network stack in user space.
    Gvisor,
}

impl Sandbox {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kata => "kata",
            Self::Gvisor => "gvisor",
        }
    }

    /// By the name of a runtime handler, or the type of the runtime behind it: `kata-qemu`, `io.containerd.kata.v2`,
    /// `runsc`, `io.containerd.runsc.v1`. Handlers are named by whoever runs the node, so one may well be neither.
    #[must_use]
    pub fn of(handler: &str) -> Option<Self> {
        let handler = handler.to_ascii_lowercase();
        let mut words = handler.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.find_map(|word| match word {
            "kata" => Some(Self::Kata),
            "runsc" | "gvisor" => Some(Self::Gvisor),
            _ => None,
        })
    }
}

/// What the container runtime tells of a pod besides its names.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct PodFacts {
    /// What it belongs to.
    pub workload: Option<Workload>,
    /// Its labels, without those that the kubelet adds.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whom to call.
    pub contact: Vec<Contact>,
    /// Where its TCP stack is, if not in this kernel.
    pub sandbox: Option<Sandbox>,
}

/// What the container runtime tells of a container.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct ContainerFacts {
    /// Its name in the pod.
    pub name: Option<String>,
    /// Name of its image.
    pub image: Option<String>,
}

/// Who holds, suffers or refuses. Two sockets with equal owners are summed.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Owner {
    /// What it is.
    pub kind: OwnerKind,
    /// Namespace of the pod, where known.
    pub namespace: Option<String>,
    /// Name of the pod, where known.
    pub pod: Option<String>,
    /// UID of the pod as its cgroup path spells it, with dashes.
    pub pod_uid: Option<String>,
    /// Container id.
    pub container_id: Option<String>,
    /// `guaranteed`, `burstable` or `besteffort`.
    pub qos: Option<String>,
    /// systemd unit, with its suffix.
    pub unit: Option<String>,
    /// Process id and command, where a process is the best name.
    pub process: Option<(i32, String)>,
    /// Path of the cgroup from the root of its hierarchy.
    pub cgroup_path: Option<String>,
    /// Id of the cgroup.
    pub cgroup_id: Option<u64>,
    /// Where the most telling name came from.
    pub source: Option<Source>,
    /// Where its ids came from.
    pub found: Option<Source>,
    /// What the container runtime tells of the pod; shared by all owners of it.
    pub about_pod: Option<Arc<PodFacts>>,
    /// What the container runtime tells of the container.
    pub about_container: Option<Arc<ContainerFacts>>,
}

impl Owner {
    /// An owner of which only the kind is known.
    #[must_use]
    pub const fn of_kind(kind: OwnerKind) -> Self {
        Self {
            kind,
            namespace: None,
            pod: None,
            pod_uid: None,
            container_id: None,
            qos: None,
            unit: None,
            process: None,
            cgroup_path: None,
            cgroup_id: None,
            source: None,
            found: None,
            about_pod: None,
            about_container: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_by_the_words_in_their_names() {
        for handler in ["kata", "kata-qemu", "Kata_fc", "io.containerd.kata.v2"] {
            assert_eq!(Sandbox::of(handler), Some(Sandbox::Kata), "{handler}");
        }
        for handler in ["runsc", "gvisor", "io.containerd.runsc.v1", "runsc-kvm"] {
            assert_eq!(Sandbox::of(handler), Some(Sandbox::Gvisor), "{handler}");
        }
        for handler in [
            "",
            "runc",
            "io.containerd.runc.v2",
            "katana",
            "nvidia",
            "crun",
        ] {
            assert_eq!(Sandbox::of(handler), None, "{handler}");
        }
    }
}
