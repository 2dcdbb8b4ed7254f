//! The answer of attribution: plain data, compared and ordered, never serialised as it is.

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
}

/// Where a name came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The path of a cgroup.
    CgroupPath,
    /// A folder of `/var/log/pods`.
    PodLogs,
    /// `/proc/PID`.
    Proc,
}

/// Who holds, suffers or refuses. Two sockets with equal owners are summed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
        }
    }
}
