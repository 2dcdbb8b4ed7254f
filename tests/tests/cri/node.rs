//! A node made by hand, and what is known of its one container.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tcpress_lab::cri::RuntimePod;
use tracer::attribute::{Attributor, Live, Owner, Sources, cri::Sockets};
use tracer_common::TallyKey;

use crate::folder::Folder;

pub(crate) const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";
/// Id of a cgroup, and of the container in it.
pub(crate) const CGROUP: u64 = 42;
pub(crate) const CONTAINER: &str =
    "4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e";
/// Longer than any answer takes that comes at all.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// For those that never come.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
/// For everything that is not waiting, on a machine that does other things too.
pub(crate) const SLACK: Duration = Duration::from_secs(20);

/// A node: a folder for a socket and for logs, and one container in the table of cgroups.
pub(crate) struct Node {
    folder: Folder,
    pub(crate) sources: Sources,
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let sources = Sources {
            proc: folder.path().join("proc"),
            cgroup_root: folder.path().join("cgroup"),
            pod_logs: folder.path().join("logs"),
            cri: Sockets::Given(vec![folder.path().join("cri.sock")]),
            patience: LONG,
            ..Sources::default()
        };
        Self { folder, sources }
    }

    /// The same with little patience, for whoever does not answer at all.
    pub(crate) fn hasty() -> Self {
        let mut node = Self::new();
        node.sources.patience = SHORT;
        node
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("cri.sock")
    }

    /// The log folder that the kubelet makes.
    pub(crate) fn log(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(format!("logs/shop_{name}_{UID}"))).unwrap();
    }

    /// The tables after one window's worth of asking, and the time that it took.
    pub(crate) fn look(&self) -> (Attributor, Duration) {
        let start = Instant::now();
        let mut live = Live::start(&self.sources);
        let mut attributor = self.sources.read();
        attributor.cgroups.learn(CGROUP, &path());
        live.settle(&mut attributor);
        (attributor, start.elapsed())
    }
}

pub(crate) fn path() -> String {
    format!("/kubepods/burstable/pod{UID}/{CONTAINER}")
}

pub(crate) fn pod() -> RuntimePod {
    RuntimePod::new("shop", "api-7d4b9c6f58-x2x9z", UID, "sandbox", CONTAINER)
        .label("pod-template-hash", "7d4b9c6f58")
        .label("team", "payments")
}

pub(crate) fn owner(attributor: &Attributor) -> Owner {
    attributor.owner_of(&TallyKey {
        cgroup_id: CGROUP,
        ..TallyKey::default()
    })
}

pub(crate) fn names(owner: &Owner) -> Option<(&str, &str)> {
    owner.namespace.as_deref().zip(owner.pod.as_deref())
}

/// What a runtime tells of the owner.
pub(crate) fn told(owner: &Owner) -> (Option<&str>, Option<&str>, Option<&str>) {
    let pod = owner.about_pod.as_deref();
    let container = owner.about_container.as_deref();
    (
        pod.and_then(|pod| Some(pod.workload.as_ref()?.name.as_str())),
        pod.and_then(|pod| Some(pod.contact.first()?.value.as_str())),
        container.and_then(|container| container.name.as_deref()),
    )
}
