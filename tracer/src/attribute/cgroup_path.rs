//! What the path of a cgroup says: pod, container, runtime, QoS class, systemd unit. Pure.
//!
//! Paths are made by the kubelet, by runtimes and by systemd, in two styles ("drivers"): cgroupfs,
//! `/kubepods/burstable/pod<uid>/<cid>`, and systemd,
//! `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid_>.slice/cri-containerd-<cid>.scope`,
//! both possibly below other cgroups (nodes in containers) and with deeper ones inside. The outermost pod
//! or container of this node is meant: what runs within it made its own cgroups. Who reads within a cgroup
//! namespace sees `..` for what lies above its own cgroup: `/../pod<uid>/<cid>`. The text is not trusted:
//! whatever does not fit is no pod.
//!
//! ```
//! use tracer::attribute::cgroup_path::parse;
//!
//! let facts = parse("/kubepods/besteffort/pod6c2c2d3e-0000-4000-8000-00000000000a/4f1e5a7b9c3d");
//! assert_eq!(facts.pod_uid.as_deref(), Some("6c2c2d3e-0000-4000-8000-00000000000a"));
//! assert_eq!(facts.container_id.as_deref(), Some("4f1e5a7b9c3d"));
//! ```

/// QoS class of a pod, as the kubelet sorts cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qos {
    /// Requests equal limits; these pods have no level of their own in the tree.
    Guaranteed,
    /// Some requests.
    Burstable,
    /// No requests.
    BestEffort,
}

impl Qos {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
            Self::Burstable => "burstable",
            Self::BestEffort => "besteffort",
        }
    }
}

/// What a path says. Whatever it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    /// UID of the pod, with the dashes that the systemd driver takes away.
    pub pod_uid: Option<String>,
    /// Id of the container.
    pub container_id: Option<String>,
    /// Runtime, where its name stands in the path: a hint.
    pub runtime: Option<&'static str>,
    /// QoS class of the pod.
    pub qos: Option<Qos>,
    /// systemd unit, for what is neither a pod nor a container.
    pub unit: Option<String>,
    /// How many components of the path name all that; deeper ones belong to what is named.
    pub depth: usize,
}

/// Longest UID or id taken for one.
const TOKEN_MAX: usize = 253;

/// What stands before the id of a container; longer ones first.
const PREFIXES: [(&str, &str); 10] = [
    ("cri-containerd-", "containerd"),
    ("crio-conmon-", "cri-o"),
    ("crio-", "cri-o"),
    ("docker-", "docker"),
    ("libpod-conmon-", "podman"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("nerdctl-", "containerd"),
    ("containerd-", "containerd"),
    ("cri-dockerd-", "docker"),
];

/// Reads a path from the root of its hierarchy.
#[must_use]
pub fn parse(path: &str) -> PathFacts {
    let components: Vec<&str> = components(path).collect();
    pod(&components)
        .or_else(|| container(&components))
        .unwrap_or_else(|| unit(&components))
}

/// The first components of a path, as many as given.
#[must_use]
pub fn prefix(path: &str, depth: usize) -> String {
    components(path)
        .take(depth)
        .flat_map(|component| ["/", component])
        .collect()
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

fn pod(components: &[&str]) -> Option<PathFacts> {
    let relative = components.first() == Some(&"..");
    let mut inside = false;
    // Without a word on it a pod is guaranteed, unless that word may stand in what is not seen.
    let mut qos = (!relative).then_some(Qos::Guaranteed);
    for (index, &component) in components.iter().enumerate() {
        let (slice, wrong_driver) = match component.split_once(':') {
            // The runtime was told cgroupfs and the kubelet systemd: SLICE:PREFIX:ID in one component.
            Some((slice, rest)) => (slice, rest.split_once(':')),
            None => (component, None),
        };
        let found = if let Some((class, uid)) = pod_slice(slice) {
            Some((Some(class), token(uid)?.replace('_', "-")))
        } else if let Some(uid) = component.strip_prefix("pod").and_then(token)
            && (inside || relative && is_uid(uid))
        {
            Some((qos, uid.to_owned()))
        } else {
            None
        };
        if let Some((qos, uid)) = found {
            let mut facts = PathFacts {
                pod_uid: Some(uid),
                qos,
                depth: index + 1,
                ..PathFacts::default()
            };
            let inner = match wrong_driver {
                Some((runtime, id)) => {
                    token(id).map(|id| (id, runtime_of(&format!("{runtime}-")), index + 1))
                }
                None => components
                    .get(index + 1)
                    .and_then(|inner| in_pod(inner))
                    .map(|(id, runtime)| (id, runtime, index + 2)),
            };
            if let Some((id, runtime, depth)) = inner {
                facts.container_id = Some(id.to_owned());
                facts.runtime = runtime;
                facts.depth = depth;
            }
            return Some(facts);
        }
        match component {
            "kubepods" => (inside, qos) = (true, Some(Qos::Guaranteed)),
            "burstable" if inside || relative => qos = Some(Qos::Burstable),
            "besteffort" if inside || relative => qos = Some(Qos::BestEffort),
            _ => {}
        }
    }
    None
}

/// `…kubepods[-CLASS]-pod<uid>.slice`
fn pod_slice(component: &str) -> Option<(Qos, &str)> {
    let (parent, uid) = component.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let (parent, qos) = if let Some(parent) = parent.strip_suffix("-burstable") {
        (parent, Qos::Burstable)
    } else if let Some(parent) = parent.strip_suffix("-besteffort") {
        (parent, Qos::BestEffort)
    } else {
        (parent, Qos::Guaranteed)
    };
    (parent == "kubepods" || parent.ends_with("-kubepods")).then_some((qos, uid))
}

/// A direct child of a pod, which only kubelet and runtime make: its id may be anything.
fn in_pod(component: &str) -> Option<(&str, Option<&'static str>)> {
    let (name, scope) = match component.strip_suffix(".scope") {
        Some(name) => (name, true),
        None => (component, false),
    };
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix) {
            return Some((token(id)?, Some(runtime)));
        }
    }
    if scope {
        let (_, id) = name.rsplit_once('-')?;
        return is_id(id).then_some((id, None));
    }
    (!is_unit(name) && !name.ends_with(".slice"))
        .then(|| token(name))?
        .map(|id| (id, None))
}

fn runtime_of(prefix: &str) -> Option<&'static str> {
    PREFIXES
        .iter()
        .find(|(known, _)| *known == prefix)
        .map(|(_, runtime)| *runtime)
}

fn container(components: &[&str]) -> Option<PathFacts> {
    components
        .iter()
        .enumerate()
        .find_map(|(index, &component)| {
            let parent = index
                .checked_sub(1)
                .and_then(|parent| components.get(parent))
                .copied();
            let (id, runtime) = named(component, parent)?;
            Some(PathFacts {
                container_id: Some(id.to_owned()),
                runtime,
                depth: index + 1,
                ..PathFacts::default()
            })
        })
}

/// A container outside any pod: anybody may have made the cgroup, so its id must look like one.
fn named<'a>(component: &'a str, parent: Option<&str>) -> Option<(&'a str, Option<&'static str>)> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((id, Some(runtime)));
        }
    }
    if let Some(id) = component.strip_prefix("lxc.payload.").and_then(token) {
        return Some((id, Some("lxc")));
    }
    match parent {
        Some("lxc") => token(component).map(|id| (id, Some("lxc"))),
        Some("docker") if is_id(component) => Some((component, Some("docker"))),
        _ => (component.len() == 64 && is_id(component)).then_some((component, None)),
    }
}

fn unit(components: &[&str]) -> PathFacts {
    // What systemd manages itself is the outermost unit; a slice only where nothing is below it.
    let found = components
        .iter()
        .position(|component| is_unit(component))
        .or_else(|| {
            components
                .len()
                .checked_sub(1)
                .filter(|&at| is_slice(components[at]))
        });
    let Some(index) = found else {
        return PathFacts {
            depth: components.len(),
            ..PathFacts::default()
        };
    };
    // systemd puts an underscore before names that the kernel might take for files of its own.
    let name = components[index];
    let name = name.strip_prefix('_').unwrap_or(name);
    PathFacts {
        unit: Some(name.to_owned()),
        depth: index + 1,
        ..PathFacts::default()
    }
}

fn is_unit(component: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"]
        .iter()
        .any(|suffix| component.len() > suffix.len() && component.ends_with(suffix))
}

fn is_slice(component: &str) -> bool {
    component.len() > ".slice".len() && component.ends_with(".slice")
}

/// UIDs of pods are UUIDs, those of static pods 32 hexadecimal digits.
fn is_uid(text: &str) -> bool {
    let digits = text.bytes().filter(|byte| *byte != b'-');
    matches!(text.len(), 32 | 36)
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        && digits.count() == 32
}

/// Ids of containers are 64 hexadecimal digits, or 12 of them where they were shortened.
fn is_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Letters, digits, dash, underscore and dot, not too many.
fn token(text: &str) -> Option<&str> {
    let fits = (1..=TOKEN_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    fits.then_some(text)
}

#[cfg(test)]
#[path = "cgroup_path_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "cgroup_path_odd_tests.rs"]
mod odd_tests;
