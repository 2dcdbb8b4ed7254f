//! Whether owners of two reports are one: the same rule as that by which a report groups them ([`crate::aggregate::Group`]), by the
//! names that a report has.

use crate::report::{Owner, OwnerKind};

/// What stays of an owner from one report to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity(OwnerKind, String);

impl Identity {
    /// Of an owner.
    pub(super) fn of(owner: &Owner) -> Self {
        let known = match owner.kind {
            OwnerKind::Pod => owner.k8s_pod_uid.clone(),
            OwnerKind::Container => owner.container_id.clone(),
            OwnerKind::SystemdUnit => unit(owner),
            OwnerKind::Cgroup => owner.cgroup_path.clone(),
            OwnerKind::Process => owner.process_pid.map(|pid| format!("{pid} {}", owner.name)),
            OwnerKind::Kernel | OwnerKind::Unattributed | OwnerKind::Other => Some(String::new()),
            OwnerKind::Unknown => owner.cgroup_id.clone(),
        };
        Self(owner.kind, known.unwrap_or_else(|| owner.name.clone()))
    }
}

/// The path of a unit: two managers may have units of one name.
fn unit(owner: &Owner) -> Option<String> {
    let unit = owner.systemd_unit.as_deref()?;
    let path = owner.cgroup_path.as_deref()?;
    let mut components = path.split('/');
    let before: Vec<&str> = components.by_ref().take_while(|it| *it != unit).collect();
    Some(format!("{}/{unit}", before.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_one_whatever_of_it_is_meant() {
        let pod = Owner {
            kind: OwnerKind::Pod,
            name: "pod 7".into(),
            k8s_pod_uid: Some("7".into()),
            ..Owner::default()
        };
        // Its name came later, and one report tells one container of it.
        let named = Owner {
            name: "shop/web".into(),
            container_id: Some("c1".into()),
            ..pod.clone()
        };
        assert_eq!(Identity::of(&pod), Identity::of(&named));
        let again = Owner {
            k8s_pod_uid: Some("8".into()),
            ..named
        };
        assert_ne!(Identity::of(&pod), Identity::of(&again));
    }

    #[test]
    fn a_unit_is_one_with_its_children_and_not_with_that_of_another_manager() {
        let unit = |path: &str| Owner {
            kind: OwnerKind::SystemdUnit,
            systemd_unit: Some("redis.service".into()),
            cgroup_path: Some(path.into()),
            ..Owner::default()
        };
        let of = |path| Identity::of(&unit(path));
        assert_eq!(
            of("/system.slice/redis.service"),
            of("/system.slice/redis.service/child")
        );
        assert_ne!(
            of("/system.slice/redis.service"),
            of("/user.slice/redis.service")
        );
    }

    #[test]
    fn what_nothing_names_is_known_by_its_cgroup() {
        let unknown = |id: Option<&str>| Owner {
            cgroup_id: id.map(str::to_owned),
            ..Owner::default()
        };
        assert_ne!(
            Identity::of(&unknown(Some("5"))),
            Identity::of(&unknown(Some("6")))
        );
        assert_eq!(Identity::of(&unknown(None)), Identity::of(&unknown(None)));
    }
}
