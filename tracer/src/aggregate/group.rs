//! Which owners are one line of a report: containers of one pod, sub-cgroups of one container or unit.
//! It compares names that attribution has found and finds none itself.

use std::{collections::BTreeSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribute::{ContainerFacts, Owner, OwnerKind};

/// What makes two owners one.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// All containers of a pod, by its UID.
    Pod(String),
    /// All cgroups of a container outside any pod, by its id.
    Container(String),
    /// All cgroups of a systemd unit, by the path up to the unit (units of two managers may share a name).
    Unit(String),
    /// Sockets that no task made.
    Kernel,
    /// Counts whose owner is lost.
    Unattributed,
    /// All of whom only the sum was kept.
    Other,
    /// Anything else is one only with its equals.
    Owner(Box<Owner>),
}

impl Group {
    /// The group of an owner.
    #[must_use]
    pub fn of(owner: &Owner) -> Self {
        let known = match owner.kind {
            OwnerKind::Pod => owner.pod_uid.clone().map(Self::Pod),
            OwnerKind::Container => owner.container_id.clone().map(Self::Container),
            OwnerKind::SystemdUnit => unit_path(owner).map(Self::Unit),
            OwnerKind::Kernel => Some(Self::Kernel),
            OwnerKind::Unattributed => Some(Self::Unattributed),
            OwnerKind::Other => Some(Self::Other),
            OwnerKind::Process | OwnerKind::Cgroup | OwnerKind::Unknown => None,
        };
        known.unwrap_or_else(|| Self::Owner(Box::new(owner.clone())))
    }
}

/// The cgroup path up to and including the component that names the unit.
fn unit_path(owner: &Owner) -> Option<String> {
    let unit = owner.unit.as_deref()?;
    let path = owner.cgroup_path.as_deref()?;
    let mut prefix = Vec::new();
    for component in path.split('/') {
        prefix.push(component);
        if component == unit {
            return Some(prefix.join("/"));
        }
    }
    None
}

/// One owner that stands for all members of a group: what they agree on, and of a pod what any of them knows. A container is kept
/// only when there is just one, its name and image also where it was restarted; a cgroup path is cut to what they share.
#[must_use]
pub fn representative(members: &BTreeSet<Owner>) -> Owner {
    let mut all = members.iter();
    let Some(first) = all.next() else {
        return Owner::of_kind(OwnerKind::Unknown);
    };
    let mut owner = first.clone();
    for other in all {
        // Whoever knows the name knows where it came from.
        if owner.pod.is_none() && other.pod.is_some() {
            owner.source = other.source;
        }
        fill(&mut owner.namespace, &other.namespace);
        fill(&mut owner.pod, &other.pod);
        fill(&mut owner.pod_uid, &other.pod_uid);
        fill(&mut owner.qos, &other.qos);
        fill(&mut owner.unit, &other.unit);
        fill(&mut owner.source, &other.source);
        fill(&mut owner.found, &other.found);
        fill(&mut owner.about_pod, &other.about_pod);
    }
    owner.container_id = agreed(members, |o| &o.container_id);
    owner.about_container = shared_container(members);
    owner.process = agreed(members, |o| &o.process);
    owner.cgroup_id = agreed(members, |o| &o.cgroup_id);
    owner.cgroup_path = shared_path(members);
    owner
}

/// What is known of the container that all members are of: several ids with one name are one that was restarted.
fn shared_container(members: &BTreeSet<Owner>) -> Option<Arc<ContainerFacts>> {
    let about = |o: &Owner| o.about_container.clone();
    let all: Vec<_> = members.iter().map(about).collect::<Option<_>>()?;
    let first = all.first()?;
    if all.iter().all(|other| other == first) {
        return Some(first.clone());
    }
    let name = first
        .name
        .clone()
        .filter(|_| all.iter().all(|other| other.name == first.name))?;
    let image = first
        .image
        .clone()
        .filter(|_| all.iter().all(|other| other.image == first.image));
    Some(Arc::new(ContainerFacts {
        name: Some(name),
        image,
    }))
}

/// Takes over what is not known yet.
fn fill<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
    if to.is_none() {
        to.clone_from(from);
    }
}

/// The value that all members have, if they have the same.
fn agreed<T: Clone + PartialEq>(
    members: &BTreeSet<Owner>,
    field: impl Fn(&Owner) -> &Option<T>,
) -> Option<T> {
    let mut values = members.iter().map(field);
    let first = values.next()?;
    values.all(|value| value == first).then(|| first.clone())?
}

/// The longest path above all members, by whole components; `None` when one has no path or nothing is shared.
fn shared_path(members: &BTreeSet<Owner>) -> Option<String> {
    let mut paths = members.iter().map(|owner| owner.cgroup_path.as_deref());
    let mut shared: Vec<&str> = paths.next()??.split('/').collect();
    for path in paths {
        let same = shared
            .iter()
            .zip(path?.split('/'))
            .take_while(|(a, b)| **a == *b)
            .count();
        shared.truncate(same);
    }
    let path = shared.join("/");
    (!path.is_empty()).then_some(path)
}

/// Whether a cgroup path is another one or lies below it. The root is above everything.
#[must_use]
pub fn is_within(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{PodFacts, Sandbox, Source};

    fn container(uid: &str, id: &str) -> Owner {
        Owner {
            pod_uid: Some(uid.into()),
            container_id: Some(id.into()),
            cgroup_path: Some(format!("/kubepods.slice/pod{uid}/{id}")),
            cgroup_id: Some(id.len() as u64),
            ..Owner::of_kind(OwnerKind::Pod)
        }
    }

    #[test]
    fn containers_of_a_pod_are_one_and_lose_what_they_do_not_share() {
        let (a, b) = (container("u1", "aa"), container("u1", "bbb"));
        assert_eq!(Group::of(&a), Group::of(&b));
        assert_ne!(Group::of(&a), Group::of(&container("u2", "aa")));
        let both = representative(&BTreeSet::from([a.clone(), b]));
        assert_eq!(both.container_id, None);
        assert_eq!(both.cgroup_id, None);
        assert_eq!(both.cgroup_path.as_deref(), Some("/kubepods.slice/podu1"));
        assert_eq!(representative(&BTreeSet::from([a.clone()])), a);
    }

    #[test]
    fn a_name_known_to_one_member_is_known_to_all() {
        let named = Owner {
            pod: Some("redis-0".into()),
            ..container("u1", "aa")
        };
        let both = representative(&BTreeSet::from([container("u1", "aa"), named]));
        assert_eq!(both.pod.as_deref(), Some("redis-0"));
        assert_eq!(both.container_id.as_deref(), Some("aa"));
    }

    #[test]
    fn a_restarted_container_keeps_its_name_and_the_pod_what_anybody_knows() {
        let facts = |name: &str, image: &str| {
            Some(Arc::new(ContainerFacts {
                name: Some(name.into()),
                image: Some(image.into()),
            }))
        };
        let told = Owner {
            pod: Some("redis-0".into()),
            source: Some(Source::Cri),
            about_pod: Some(Arc::new(PodFacts {
                sandbox: Some(Sandbox::Kata),
                ..PodFacts::default()
            })),
            about_container: facts("redis", "redis:7"),
            ..container("u1", "bbb")
        };
        let early = Owner {
            source: Some(Source::CgroupPath),
            about_container: facts("redis", "redis:6"),
            ..container("u1", "aa")
        };
        let both = representative(&BTreeSet::from([early.clone(), told.clone()]));
        assert_eq!(both.source, Some(Source::Cri), "where the name came from");
        assert_eq!(both.about_pod, told.about_pod);
        assert_eq!(
            (both.container_id, both.about_container),
            (
                None,
                Some(Arc::new(ContainerFacts {
                    name: Some("redis".into()),
                    image: None,
                }))
            )
        );
        // Two containers, or one of which nothing is known.
        let sidecar = Owner {
            about_container: facts("proxy", "redis:7"),
            ..container("u1", "cccc")
        };
        let silent = container("u1", "dd");
        for other in [sidecar, silent] {
            let both = representative(&BTreeSet::from([told.clone(), other]));
            assert_eq!(both.about_container, None);
        }
    }

    #[test]
    fn units_of_two_managers_are_two() {
        let unit = |path: &str| Owner {
            unit: Some("db.service".into()),
            cgroup_path: Some(path.into()),
            ..Owner::of_kind(OwnerKind::SystemdUnit)
        };
        let system = Group::of(&unit("/system.slice/db.service"));
        assert_eq!(system, Group::of(&unit("/system.slice/db.service/worker")));
        assert_ne!(
            system,
            Group::of(&unit("/user.slice/user@7.service/app.slice/db.service"))
        );
    }

    #[test]
    fn a_subtree_is_cut_at_components() {
        assert!(is_within("/a/b", "/a/b"));
        assert!(is_within("/a/b/c", "/a/b"));
        assert!(!is_within("/a/bc", "/a/b"));
        assert!(is_within("/a", "/"));
    }
}
