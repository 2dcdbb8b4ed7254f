//! From the messages of a runtime to what we keep of them. Pure. Nothing in them is trusted: what does not look as Kubernetes
//! makes it, or contradicts itself, is left out and counted.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use serde_json::Value;
use tracer_cri::v1;

use crate::attribute::{
    contact,
    owner::{ContainerFacts, PodFacts, Sandbox},
    pod_logs::PodName,
    workload::{Marks, Workload},
};

/// Sandboxes that one answer may list; a node has a few hundred.
pub const SANDBOXES_MAX: usize = 4096;
/// Containers that one answer may list.
pub const CONTAINERS_MAX: usize = 16_384;
/// Longest UID or id (`validation.DNS1123SubdomainMaxLength`).
const TOKEN_MAX: usize = 253;
/// Longest name of an image that is kept.
const IMAGE_MAX: usize = 512;

/// Labels of one pod that are kept.
const LABELS_MAX: usize = 64;
/// Longest key of a label that is kept: a domain, a slash, and a name (Kubernetes' `IsQualifiedName`).
const KEY_MAX: usize = 253 + 1 + 63;
/// Longest value of a label that is kept (Kubernetes' `LabelValueMaxLength`).
const VALUE_MAX: usize = 63;
/// Before the keys of labels that the kubelet adds, which repeat the names.
const KUBELETS_OWN: &str = "io.kubernetes.";

/// What messages are read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Keys of labels and annotations that tell whom to call.
    pub contact_keys: Vec<String>,
    /// Names that this node has.
    pub node: Vec<String>,
}

/// A pod's sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPod {
    /// Id of the sandbox.
    pub sandbox: String,
    /// UID of the pod.
    pub uid: String,
    /// Other UIDs by which the pod may be met: a static pod has the hash of its manifest, and its mirror in the API
    /// another one.
    pub aliases: Vec<String>,
    /// Its names.
    pub name: PodName,
    /// What else is known.
    pub facts: PodFacts,
    /// Whether its handler has a name that says nothing of what is behind it.
    pub handler_open: bool,
    /// Whether it is ready: of several sandboxes of a pod, at most one is.
    pub ready: bool,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenContainer {
    /// Its id.
    pub id: String,
    /// Id of its sandbox.
    pub sandbox: String,
    /// UID of its pod, where a label says it.
    pub uid: Option<String>,
    /// What else is known; the name of the image may be an id still.
    pub facts: ContainerFacts,
}

/// What the verbose status of a sandbox says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenStatus {
    /// Id of the sandbox.
    pub sandbox: String,
    /// Its first process.
    pub pid: Option<i32>,
    /// Where its network namespace is mounted.
    pub netns: Option<PathBuf>,
    /// What is behind its runtime handler.
    pub kind: Option<Sandbox>,
}

/// One answer, as far as it can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Sandboxes.
    pub pods: Vec<SeenPod>,
    /// Containers.
    pub containers: Vec<SeenContainer>,
    /// Entries that were beyond what is read.
    pub beyond: usize,
    /// Entries that are not as Kubernetes makes them.
    pub odd: usize,
    /// Entries that contradict themselves.
    pub contradictory: usize,
    /// Labels that were not kept.
    pub labels: usize,
}

impl Listing {
    /// Takes the sandboxes of an answer.
    pub fn add_sandboxes(&mut self, items: Vec<v1::PodSandbox>, hints: &Hints) {
        self.beyond += items.len().saturating_sub(SANDBOXES_MAX);
        for item in items.into_iter().take(SANDBOXES_MAX) {
            match sandbox(item, hints) {
                Ok((pod, lost)) => {
                    self.pods.push(pod);
                    self.labels += lost;
                }
                Err(fault) => self.count(fault),
            }
        }
    }

    /// Takes the containers of an answer.
    pub fn add_containers(&mut self, items: Vec<v1::Container>) {
        self.beyond += items.len().saturating_sub(CONTAINERS_MAX);
        for item in items.into_iter().take(CONTAINERS_MAX) {
            match container(item) {
                Ok(container) => self.containers.push(container),
                Err(fault) => self.count(fault),
            }
        }
    }

    const fn count(&mut self, fault: Fault) {
        match fault {
            Fault::Odd => self.odd += 1,
            Fault::Contradictory => self.contradictory += 1,
        }
    }

    /// In words: what of it could not be used.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let counts = [
            (
                self.beyond,
                "entries too many in one answer: they were not read",
            ),
            (
                self.odd,
                "entries that are not as Kubernetes makes them: they were not read",
            ),
            (
                self.contradictory,
                "entries whose labels contradict their names: they are not believed",
            ),
            (
                self.labels,
                "labels too many or longer than Kubernetes makes them: they were not read",
            ),
        ];
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// Why an entry is left out.
enum Fault {
    Odd,
    Contradictory,
}

/// The pod of a sandbox, and how many of its labels are not kept.
fn sandbox(item: v1::PodSandbox, hints: &Hints) -> Result<(SeenPod, usize), Fault> {
    let metadata = item.metadata.ok_or(Fault::Odd)?;
    let sound = is_token(&item.id)
        && is_token(&metadata.uid)
        && is_label(&metadata.namespace)
        && is_subdomain(&metadata.name);
    if !sound {
        return Err(Fault::Odd);
    }
    // The kubelet repeats all three in labels of its own.
    for (key, value) in [
        ("io.kubernetes.pod.name", &metadata.name),
        ("io.kubernetes.pod.namespace", &metadata.namespace),
        ("io.kubernetes.pod.uid", &metadata.uid),
    ] {
        if item.labels.get(key).is_some_and(|label| label != value) {
            return Err(Fault::Contradictory);
        }
    }
    let aliases = ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"];
    let aliases = aliases.iter().filter_map(|key| item.annotations.get(*key));
    let aliases = aliases.filter(|uid| **uid != metadata.uid && is_token(uid));
    let by_name = Sandbox::of(&item.runtime_handler);
    let (labels, lost) = labels(&item.labels);
    let pod = SeenPod {
        aliases: aliases.cloned().collect(),
        facts: PodFacts {
            workload: Workload::of(Marks {
                pod: &metadata.name,
                labels: &item.labels,
                annotations: &item.annotations,
                node: &hints.node,
            }),
            labels,
            contact: contact::of(&hints.contact_keys, &item.labels, &item.annotations),
            sandbox: by_name,
        },
        handler_open: by_name.is_none()
            && !matches!(item.runtime_handler.as_str(), "" | "runc" | "crun"),
        ready: item.state == v1::PodSandboxState::SandboxReady as i32,
        sandbox: item.id,
        uid: metadata.uid,
        name: PodName {
            namespace: metadata.namespace,
            name: metadata.name,
        },
    };
    Ok((pod, lost))
}

/// The labels that somebody gave the pod, and how many of them are not kept.
fn labels(all: &HashMap<String, String>) -> (BTreeMap<String, String>, usize) {
    let given: BTreeMap<&String, &String> = all
        .iter()
        .filter(|(key, _)| !key.starts_with(KUBELETS_OWN))
        .collect();
    let count = given.len();
    let kept: BTreeMap<String, String> = given
        .into_iter()
        .filter(|(key, value)| key.len() <= KEY_MAX && value.len() <= VALUE_MAX)
        .take(LABELS_MAX)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let lost = count - kept.len();
    (kept, lost)
}

fn container(item: v1::Container) -> Result<SeenContainer, Fault> {
    let metadata = item.metadata.ok_or(Fault::Odd)?;
    if !is_token(&item.id) || !is_token(&item.pod_sandbox_id) || !is_label(&metadata.name) {
        return Err(Fault::Odd);
    }
    let label = |key: &str| item.labels.get(key);
    if label("io.kubernetes.container.name").is_some_and(|name| *name != metadata.name) {
        return Err(Fault::Contradictory);
    }
    let uid = label("io.kubernetes.pod.uid")
        .filter(|uid| is_token(uid))
        .cloned();
    let image = item.image.unwrap_or_default();
    let said = [image.user_specified_image, image.image, item.image_ref];
    Ok(SeenContainer {
        id: item.id,
        sandbox: item.pod_sandbox_id,
        uid,
        facts: ContainerFacts {
            name: Some(metadata.name),
            image: said.into_iter().find(|image| is_image(image)),
        },
    })
}

/// The tags of images by their ids: containers are listed with the id of their image, in older runtimes.
#[must_use]
pub fn image_names(images: Vec<v1::Image>) -> HashMap<String, String> {
    let name = |image: v1::Image| {
        let names = image.repo_tags.into_iter().chain(image.repo_digests);
        Some((image.id, names.into_iter().find(|name| is_image(name))?))
    };
    images
        .into_iter()
        .take(CONTAINERS_MAX)
        .filter_map(name)
        .collect()
}

/// Whether the name of an image is only its id.
#[must_use]
pub fn is_image_id(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads the status of a sandbox: `info["info"]` is JSON as the runtime likes it; containerd and CRI-O agree on what is read
/// here, and what is not there is not known.
#[must_use]
pub fn status(sandbox: &str, info: &HashMap<String, String>) -> SeenStatus {
    let text = info.get("info").map_or("", String::as_str);
    let info: Value = serde_json::from_str(text).unwrap_or_default();
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array();
    let netns = namespaces
        .into_iter()
        .flatten()
        .find(|namespace| namespace["type"] == "network")
        .and_then(|namespace| namespace["path"].as_str())
        .filter(|path| !path.is_empty());
    let kind = info["runtimeType"].as_str().and_then(Sandbox::of);
    SeenStatus {
        sandbox: sandbox.to_owned(),
        pid: info["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok())
            .filter(|pid| *pid > 0),
        netns: netns.map(PathBuf::from),
        kind,
    }
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// RFC 1123, as for namespaces and containers.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_subdomain(text) && !text.contains('.')
}

/// RFC 1123, as for pods.
fn is_subdomain(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=TOKEN_MAX).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| letter(byte) || b"-.".contains(byte))
        && bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
}

fn is_image(text: &str) -> bool {
    (1..=IMAGE_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
