//! Pods as a runtime tells of them: what kubelet hands over when it makes them.

use std::collections::HashMap;

use serde_json::json;
use tracer_cri::v1;

use crate::pod::Pod;

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeContainer {
    /// Its id.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// Its image, as its user wrote it.
    pub image: String,
}

/// A pod with its sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimePod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
    /// Kubernetes uid.
    pub uid: String,
    /// Id of the sandbox.
    pub sandbox: String,
    /// Labels of the pod; the kubelet's own are added.
    pub labels: Vec<(String, String)>,
    /// Annotations of the pod.
    pub annotations: Vec<(String, String)>,
    /// Runtime handler; empty for the default.
    pub handler: String,
    /// Its containers.
    pub containers: Vec<RuntimeContainer>,
    /// Type of the runtime behind the handler, told in the verbose status only.
    pub runtime_type: String,
    /// First process of the sandbox, told there too; 0 where there is none.
    pub pid: u32,
    /// Where its network namespace is mounted, told there too; empty where that is not.
    pub netns: String,
}

impl RuntimePod {
    /// A pod with one container `app`.
    #[must_use]
    pub fn new(namespace: &str, name: &str, uid: &str, sandbox: &str, container: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            sandbox: sandbox.to_owned(),
            containers: vec![RuntimeContainer {
                id: container.to_owned(),
                name: "app".to_owned(),
                image: format!("registry.example/{name}:1"),
            }],
            ..Self::default()
        }
    }

    /// A pod of the lab.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        Self::new(
            &pod.namespace,
            &pod.name,
            &pod.uid,
            &pod.sandbox,
            &pod.container,
        )
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The labels that the kubelet gives sandboxes and containers (`kubernetes.io` names of `kuberuntime/labels.go`).
    fn own_labels(&self) -> HashMap<String, String> {
        let own = [
            ("io.kubernetes.pod.name", &self.name),
            ("io.kubernetes.pod.namespace", &self.namespace),
            ("io.kubernetes.pod.uid", &self.uid),
        ];
        own.into_iter()
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    pub(super) fn sandbox(&self) -> v1::PodSandbox {
        let mut labels = self.own_labels();
        labels.extend(self.labels.iter().cloned());
        v1::PodSandbox {
            id: self.sandbox.clone(),
            metadata: Some(v1::PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: self.namespace.clone(),
                attempt: 0,
            }),
            state: v1::PodSandboxState::SandboxReady.into(),
            created_at: 1,
            labels,
            annotations: self.annotations.iter().cloned().collect(),
            runtime_handler: self.handler.clone(),
        }
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = v1::Container> {
        let container = |container: &RuntimeContainer| {
            let mut labels = self.own_labels();
            labels.insert(
                "io.kubernetes.container.name".to_owned(),
                container.name.clone(),
            );
            v1::Container {
                id: container.id.clone(),
                pod_sandbox_id: self.sandbox.clone(),
                metadata: Some(v1::ContainerMetadata {
                    name: container.name.clone(),
                    attempt: 0,
                }),
                image: Some(v1::ImageSpec {
                    image: image_id(&container.image),
                    ..v1::ImageSpec::default()
                }),
                image_ref: image_id(&container.image),
                state: v1::ContainerState::ContainerRunning.into(),
                created_at: 1,
                labels,
                ..v1::Container::default()
            }
        };
        self.containers.iter().map(container)
    }

    pub(super) fn images(&self) -> impl Iterator<Item = v1::Image> {
        self.containers.iter().map(|container| v1::Image {
            id: image_id(&container.image),
            repo_tags: vec![container.image.clone()],
            size: 1,
            ..v1::Image::default()
        })
    }

    /// What the verbose status has, in the shape that containerd gives it.
    pub(super) fn info(&self) -> HashMap<String, String> {
        let mut network = json!({"type": "network"});
        if !self.netns.is_empty() {
            network["path"] = self.netns.clone().into();
        }
        let info = json!({
            "pid": self.pid,
            "runtimeHandler": self.handler,
            "runtimeType": self.runtime_type,
            "runtimeSpec": {"linux": {"namespaces": [{"type": "pid"}, network]}},
        });
        HashMap::from([("info".to_owned(), info.to_string())])
    }
}

/// An id for an image: in lists, containerd tells this and not the name.
fn image_id(name: &str) -> String {
    let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("sha256:{}", format!("{sum:016x}").repeat(4))
}
