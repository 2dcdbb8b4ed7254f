//! Names by log folder and by runtime, over tables made by hand.

use super::*;
use crate::{
    aggregate::group::{Group, representative},
    attribute::{
        ContainerFacts, OwnerKind, PodFacts, Sandbox, Source,
        cri::{Listing, SeenContainer, SeenPod},
        made::{POD, UID, attributor, container, key},
        pod_logs::{PodLogs, PodName},
    },
};

#[test]
fn a_pod_without_a_name() {
    let mut attributor = attributor();
    attributor.pods = PodLogs::default();
    let want = Owner {
        namespace: None,
        pod: None,
        source: Some(Source::CgroupPath),
        ..container(11, "c1")
    };
    assert_eq!(attributor.owner_of(&key(11, 11)), want);
}

#[test]
fn the_empty_twin_of_a_pod_is_the_same_pod() {
    let mut attributor = attributor();
    let slice = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        UID.replace('-', "_")
    );
    attributor.cgroups.learn(70, &slice);
    attributor
        .cgroups
        .learn(71, &format!("{slice}/cri-containerd-c1.scope"));
    let twins = [10, 70, 71].map(|id| attributor.owner_of(&key(id, id)));
    for twin in &twins {
        assert_eq!(Group::of(twin), Group::Pod(UID.into()));
        assert_eq!(twin.pod.as_deref(), Some("redis-0"));
    }
    let one = representative(&twins.into());
    assert_eq!(
        (one.pod.as_deref(), one.qos.as_deref()),
        (Some("redis-0"), Some("burstable"))
    );
}

fn told(attributor: &mut Attributor, uid: &str, name: &str, facts: PodFacts) {
    let listing = Listing {
        pods: vec![SeenPod {
            sandbox: "sandbox".into(),
            uid: uid.into(),
            aliases: Vec::new(),
            name: PodName {
                namespace: "shop".into(),
                name: name.into(),
            },
            facts,
            handler_open: false,
            ready: true,
        }],
        containers: ["c1", "c2"]
            .map(|id| SeenContainer {
                id: id.into(),
                sandbox: "sandbox".into(),
                uid: None,
                facts: ContainerFacts {
                    name: Some(format!("name-of-{id}")),
                    image: None,
                },
            })
            .into(),
        ..Listing::default()
    };
    attributor.cri.learn(listing, true);
}

#[test]
fn a_runtime_adds_what_folders_do_not_tell() {
    let mut attributor = attributor();
    let facts = PodFacts {
        sandbox: Some(Sandbox::Kata),
        ..PodFacts::default()
    };
    told(&mut attributor, UID, "redis-0", facts.clone());
    let owner = attributor.owner_of(&key(11, 11));
    assert_eq!(
        (owner.source, owner.found),
        (Some(Source::PodLogs), Some(Source::CgroupPath))
    );
    assert_eq!(owner.about_pod.as_deref(), Some(&facts));
    assert_eq!(
        owner.about_container.unwrap().name.as_deref(),
        Some("name-of-c1")
    );
    // Without the folder, the names are the runtime's too; the pause container has none of its own.
    attributor.pods = PodLogs::default();
    attributor.cgroups.learn(80, &format!("{POD}/sandbox"));
    let pause = attributor.owner_of(&key(80, 80));
    assert_eq!(
        (pause.pod.as_deref(), pause.source),
        (Some("redis-0"), Some(Source::Cri))
    );
    assert_eq!(pause.about_container, None);
    let gaps = attributor.gaps();
    assert!(
        gaps.len() == 1 && gaps[0].contains("shop/redis-0 (kata)"),
        "{gaps:?}"
    );
}

#[test]
fn a_container_whose_path_does_not_tell_its_pod() {
    let mut attributor = attributor();
    attributor
        .cgroups
        .learn(81, "/system.slice/cri-containerd-c1.scope");
    let id = "ab".repeat(32);
    let before = attributor.owner_of(&key(40, 40));
    assert_eq!(
        (before.kind, before.container_id.as_deref()),
        (OwnerKind::Container, Some(id.as_str()))
    );
    let listing = |id: &str| SeenContainer {
        id: id.into(),
        sandbox: "sandbox".into(),
        uid: None,
        facts: ContainerFacts::default(),
    };
    told(&mut attributor, UID, "redis-0", PodFacts::default());
    attributor.cri.learn(
        Listing {
            containers: vec![listing(&id)],
            ..Listing::default()
        },
        false,
    );
    let owner = attributor.owner_of(&key(40, 40));
    assert_eq!(
        (owner.kind, owner.pod_uid.as_deref(), owner.found),
        (OwnerKind::Pod, Some(UID), Some(Source::Cri))
    );
}

/// A runtime that says something else than the node shows: the node is believed, and the gap is told.
#[test]
fn a_runtime_that_lies_renames_nobody() {
    let mut attributor = attributor();
    let evil = PodFacts {
        sandbox: Some(Sandbox::Kata),
        ..PodFacts::default()
    };
    told(&mut attributor, UID, "evil", evil);
    let owner = attributor.owner_of(&key(11, 11));
    assert_eq!(
        (owner.pod.as_deref(), owner.source),
        (Some("redis-0"), Some(Source::PodLogs))
    );
    assert_eq!(owner.about_pod, None);
    assert!(
        attributor
            .gaps()
            .iter()
            .any(|gap| gap.contains("1 pods have other names"))
    );

    let mut attributor = crate::attribute::made::attributor();
    told(
        &mut attributor,
        "7d2c2d3e-1111-4222-8333-00000000000b",
        "other",
        PodFacts::default(),
    );
    let owner = attributor.owner_of(&key(11, 11));
    assert_eq!(
        (owner.pod_uid.as_deref(), owner.pod.as_deref()),
        (Some(UID), Some("redis-0"))
    );
    assert_eq!(owner.about_container, None);
    let gaps = attributor.gaps();
    assert!(
        gaps.iter()
            .any(|gap| gap.contains("2 containers are of another pod")),
        "{gaps:?}"
    );
}

/// The kubelet's own pods have the hash of their manifest for a UID; the runtime may know them by that of their mirror.
#[test]
fn a_static_pod_by_its_mirror() {
    let hash = "0123456789abcdef0123456789abcdef";
    let mut attributor = attributor();
    attributor
        .cgroups
        .learn(90, &format!("/kubepods/burstable/pod{hash}/c1"));
    told(&mut attributor, UID, "redis-0", PodFacts::default());
    assert_eq!(attributor.owner_of(&key(90, 90)).pod, None);
    let mut mirror = crate::attribute::made::attributor();
    mirror
        .cgroups
        .learn(90, &format!("/kubepods/burstable/pod{hash}/e1"));
    mirror.cri.learn(
        Listing {
            pods: vec![SeenPod {
                sandbox: "s".into(),
                uid: "8e2c2d3e-1111-4222-8333-00000000000c".into(),
                aliases: vec![hash.into()],
                name: PodName {
                    namespace: "kube-system".into(),
                    name: "etcd-node-7".into(),
                },
                facts: PodFacts::default(),
                handler_open: false,
                ready: true,
            }],
            containers: vec![SeenContainer {
                id: "e1".into(),
                sandbox: "s".into(),
                uid: None,
                facts: ContainerFacts {
                    name: Some("etcd".into()),
                    image: None,
                },
            }],
            ..Listing::default()
        },
        true,
    );
    let owner = mirror.owner_of(&key(90, 90));
    assert_eq!(
        (owner.pod_uid.as_deref(), owner.pod.as_deref()),
        (Some(hash), Some("etcd-node-7"))
    );
    assert_eq!(owner.about_container.unwrap().name.as_deref(), Some("etcd"));
    assert_eq!(mirror.gaps(), Vec::<String>::new());
}
