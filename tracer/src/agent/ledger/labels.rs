//! By which labels an owner is told in metrics: those that kube-state-metrics uses, so that series join. Owners with equal
//! labels are one set of series: a container that was restarted, a pod that comes back under its name.

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

use crate::{
    attribute::{Owner, OwnerKind},
    output::text,
};

/// Longest value of a label, in characters: that of a name in Kubernetes, which is the longest name that others join by.
pub const VALUE_MAX: usize = 253;

/// The labels of an owner. What is not known is empty, which in Prometheus is the same as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerLabels {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container in the pod.
    pub container: String,
    /// What it is: a kind of owner, or [`Self::OTHER`].
    pub kind: &'static str,
    /// For what has no name of a pod: systemd unit, container id, command, path of a cgroup, UID of a pod that nothing names yet.
    pub name: String,
}

impl OwnerLabels {
    /// Kind of the one that all stand for who have no series of their own.
    pub const OTHER: &'static str = "other";

    /// Names of the labels, in the order of the page.
    pub const NAMES: [&'static str; 5] = ["namespace", "pod", "container", "kind", "name"];

    /// Those of an owner. Names are made safe to show and no longer than [`VALUE_MAX`]; names of Kubernetes stay as they are.
    #[must_use]
    pub fn of(owner: &Owner) -> Self {
        let value = |name: Option<&str>| text::clean(name.unwrap_or_default(), VALUE_MAX);
        let container = owner.about_container.as_deref();
        let container = container.and_then(|about| about.name.as_deref());
        let name = match owner.kind {
            OwnerKind::Pod if owner.pod.is_some() => None,
            OwnerKind::Pod => owner.pod_uid.as_deref(),
            OwnerKind::Container => owner.container_id.as_deref(),
            OwnerKind::SystemdUnit => owner.unit.as_deref(),
            // Without its number: a command that is run again and again is one owner.
            OwnerKind::Process => owner.process.as_ref().map(|(_, command)| command.as_str()),
            OwnerKind::Cgroup => owner.cgroup_path.as_deref(),
            OwnerKind::Kernel | OwnerKind::Unattributed | OwnerKind::Other | OwnerKind::Unknown => {
                None
            }
        };
        Self {
            namespace: value(owner.namespace.as_deref()),
            pod: value(owner.pod.as_deref()),
            container: value(container),
            kind: kind(owner.kind),
            name: value(name),
        }
    }

    /// Those of the one that stands for the rest.
    #[must_use]
    pub fn other() -> Self {
        Self {
            kind: Self::OTHER,
            ..Self::default()
        }
    }

    /// Every label with its value.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        let [namespace, pod, container, kind, name] = Self::NAMES;
        [
            (namespace, &self.namespace),
            (pod, &self.pod),
            (container, &self.container),
            (kind, self.kind),
            (name, &self.name),
        ]
    }

    /// Whether it is one that cannot die.
    pub(super) fn is_lasting(&self) -> bool {
        [
            kind(OwnerKind::Kernel),
            kind(OwnerKind::Unknown),
            kind(OwnerKind::Unattributed),
        ]
        .contains(&self.kind)
    }
}

impl EncodeLabelSet for OwnerLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        for pair in self.pairs() {
            pair.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// The name of a kind, as reports spell it.
const fn kind(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::Pod => "pod",
        OwnerKind::SystemdUnit => "systemd_unit",
        OwnerKind::Container => "container",
        OwnerKind::Process => "process",
        OwnerKind::Cgroup => "cgroup",
        OwnerKind::Kernel => "kernel",
        OwnerKind::Unknown => "unknown",
        OwnerKind::Unattributed => "unattributed",
        OwnerKind::Other => OwnerLabels::OTHER,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attribute::ContainerFacts;

    fn pod(name: Option<&str>, id: &str) -> Owner {
        Owner {
            namespace: name.map(|_| "shop".into()),
            pod: name.map(Into::into),
            pod_uid: Some("u1".into()),
            container_id: Some(id.into()),
            cgroup_id: Some(id.len() as u64),
            about_container: Some(Arc::new(ContainerFacts {
                name: Some("redis".into()),
                image: None,
            })),
            ..Owner::of_kind(OwnerKind::Pod)
        }
    }

    #[test]
    fn a_restarted_container_is_the_same_and_one_that_nothing_names_has_its_uid() {
        let labels = OwnerLabels::of(&pod(Some("redis-0"), "aa"));
        assert_eq!(labels, OwnerLabels::of(&pod(Some("redis-0"), "bbbb")));
        assert_eq!(
            labels.pairs().map(|(_, value)| value),
            ["shop", "redis-0", "redis", "pod", ""]
        );
        let early = OwnerLabels::of(&pod(None, "aa"));
        assert_eq!(
            early.pairs().map(|(_, value)| value),
            ["", "", "redis", "pod", "u1"]
        );
    }

    #[test]
    fn what_is_no_pod_has_a_name() {
        let owner = Owner {
            unit: Some("db.service".into()),
            container_id: Some("cafe".into()),
            process: Some((7, "redis-server".into())),
            cgroup_path: Some("/a/b".into()),
            ..Owner::of_kind(OwnerKind::Unknown)
        };
        for (kind, label, name) in [
            (OwnerKind::SystemdUnit, "systemd_unit", "db.service"),
            (OwnerKind::Container, "container", "cafe"),
            (OwnerKind::Process, "process", "redis-server"),
            (OwnerKind::Cgroup, "cgroup", "/a/b"),
            (OwnerKind::Kernel, "kernel", ""),
            (OwnerKind::Unknown, "unknown", ""),
            (OwnerKind::Unattributed, "unattributed", ""),
        ] {
            let labels = OwnerLabels::of(&Owner {
                kind,
                ..owner.clone()
            });
            assert_eq!((labels.kind, labels.name.as_str()), (label, name));
            // As the kind is spelt in reports.
            assert_eq!(serde_json::to_value(kind).unwrap(), label);
        }
    }

    #[test]
    fn long_names_are_cut_and_the_longest_of_kubernetes_is_not() {
        let named = |length: usize| OwnerLabels::of(&pod(Some(&"p".repeat(length)), "aa")).pod;
        assert_eq!(named(253), "p".repeat(253));
        assert_eq!(named(5_000).chars().count(), VALUE_MAX);
    }
}
