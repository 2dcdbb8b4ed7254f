//! What the kubelet does around a container runtime: the pod's cgroup, the folders of logs, and what it asks for in its requests
//! (kubernetes/pkg/kubelet: kuberuntime, cm).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tracer_cri::v1 as cri;

use super::pod::SHARED;
use crate::pod::LOGS;

/// CFS period of the kubelet, in microseconds.
pub(super) const PERIOD: i64 = 100_000;

/// What a pod asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    /// Kubernetes namespace.
    pub(super) namespace: String,
    /// Kubernetes name.
    pub(super) name: String,
    /// Whether it shares the node's network.
    pub(super) host_network: bool,
    /// The pod's own labels.
    pub(super) labels: Vec<(String, String)>,
    /// Limit of memory in bytes.
    pub(super) memory: Option<i64>,
}

impl Spec {
    /// A pod `NAMESPACE/NAME` without limits.
    #[must_use]
    pub(super) fn new(full_name: &str) -> Self {
        let (namespace, name) = full_name.split_once('/').unwrap_or(("default", full_name));
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// On the node's network.
    #[must_use]
    pub(super) fn on_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// With a limit of memory in bytes.
    #[must_use]
    pub(super) fn memory(mut self, bytes: i64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// With a label.
    #[must_use]
    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// The pod's cgroup as the kubelet's cgroupfs driver names it.
pub(super) fn parent(uid: &str) -> String {
    format!("kubepods/burstable/pod{uid}")
}

/// The folder of the pod's logs.
pub(super) fn logs(spec: &Spec, uid: &str) -> PathBuf {
    let folder = format!("{}_{}_{uid}", spec.namespace, spec.name);
    Path::new(LOGS).join(folder)
}

fn namespaces(host_network: bool) -> cri::NamespaceOption {
    let network = if host_network {
        cri::NamespaceMode::Node
    } else {
        cri::NamespaceMode::Pod
    };
    cri::NamespaceOption {
        network: network.into(),
        pid: cri::NamespaceMode::Container.into(),
        ipc: cri::NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

/// What it asks of the runtime for a pod.
pub(super) fn sandbox_config(spec: &Spec, uid: &str) -> cri::PodSandboxConfig {
    let mut labels: HashMap<String, String> = spec.labels.iter().cloned().collect();
    labels.extend(pod_labels(spec, uid));
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: spec.name.clone(),
            uid: uid.to_owned(),
            namespace: spec.namespace.clone(),
            attempt: 0,
        }),
        hostname: if spec.host_network {
            String::new()
        } else {
            spec.name.clone()
        },
        log_directory: logs(spec, uid).to_string_lossy().into_owned(),
        labels,
        annotations: HashMap::from(
            [
                ("kubernetes.io/config.seen", "2026-01-01T00:00:00Z"),
                ("kubernetes.io/config.source", "api"),
            ]
            .map(owned),
        ),
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}", parent(uid)),
            security_context: Some(cri::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(spec.host_network)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The log of a container below the pod's folder of logs.
pub(super) fn log(name: &str, attempt: u32) -> String {
    format!("{name}/{attempt}.log")
}

/// What it asks of the runtime for a container.
pub(super) fn container_config(
    spec: &Spec,
    uid: &str,
    (name, attempt): (&str, u32),
    image: &str,
    command: Vec<String>,
) -> cri::ContainerConfig {
    let linux = cri::LinuxContainerConfig {
        resources: Some(cri::LinuxContainerResources {
            cpu_period: PERIOD,
            memory_limit_in_bytes: spec.memory.unwrap_or(0),
            oom_score_adj: 999,
            ..Default::default()
        }),
        security_context: Some(cri::LinuxContainerSecurityContext {
            namespace_options: Some(namespaces(spec.host_network)),
            ..Default::default()
        }),
    };
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata {
            name: name.to_owned(),
            attempt,
        }),
        image: Some(cri::ImageSpec {
            image: image.to_owned(),
            ..Default::default()
        }),
        command,
        mounts: vec![cri::Mount {
            container_path: SHARED.to_owned(),
            host_path: SHARED.to_owned(),
            ..Default::default()
        }],
        labels: container_labels(spec, uid, name),
        annotations: container_annotations(attempt),
        log_path: log(name, attempt),
        linux: Some(linux),
        ..Default::default()
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn pod_labels(spec: &Spec, uid: &str) -> [(String, String); 3] {
    [
        ("io.kubernetes.pod.name", spec.name.as_str()),
        ("io.kubernetes.pod.namespace", &spec.namespace),
        ("io.kubernetes.pod.uid", uid),
    ]
    .map(owned)
}

fn container_labels(spec: &Spec, uid: &str, name: &str) -> HashMap<String, String> {
    let own = owned(("io.kubernetes.container.name", name));
    pod_labels(spec, uid).into_iter().chain([own]).collect()
}

fn container_annotations(attempt: u32) -> HashMap<String, String> {
    let attempt = attempt.to_string();
    HashMap::from(
        [
            ("io.kubernetes.container.hash", "5f3759df"),
            ("io.kubernetes.container.restartCount", attempt.as_str()),
            (
                "io.kubernetes.container.terminationMessagePath",
                "/dev/termination-log",
            ),
            ("io.kubernetes.container.terminationMessagePolicy", "File"),
            ("io.kubernetes.pod.terminationGracePeriod", "30"),
        ]
        .map(owned),
    )
}
