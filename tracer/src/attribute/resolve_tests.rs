//! The rules, one by one, over tables made by hand.

use super::*;
use crate::{
    aggregate::group::{Group, representative},
    attribute::{
        cri::{Listing, SeenContainer, SeenPod},
        netns::{self, Seen},
        owner::{ContainerFacts, PodFacts, Sandbox},
        pod_logs::PodName,
        processes::ProcessCgroups,
    },
    holders::{TcpState, socket::SocketMemory},
};

const POD: &str = "/kubepods/burstable/pod6c2c2d3e-1111-4222-8333-00000000000a";
const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";

fn attributor() -> Attributor {
    let mut attributor = Attributor {
        memory_unified: true,
        ..Attributor::default()
    };
    let paths = [
        (1, "/".to_owned()),
        (10, POD.to_owned()),
        (11, format!("{POD}/c1")),
        (12, format!("{POD}/c1/inner")),
        (13, format!("{POD}/c2")),
        (20, "/system.slice/systemd-socket.service".to_owned()),
        (21, "/init.scope".to_owned()),
        (30, "/plain".to_owned()),
        (31, "/plainer".to_owned()),
        (40, format!("/docker/{}", "ab".repeat(32))),
    ];
    for (id, path) in paths {
        attributor.cgroups.learn(id, &path);
    }
    attributor
        .pods
        .learn(&format!("shop_redis-0_{UID}"))
        .unwrap();
    attributor
}

fn key(cgroup_id: u64, memcg_id: u64) -> TallyKey {
    TallyKey {
        cgroup_id,
        memcg_id,
        netns_inum: 5,
        ..TallyKey::default()
    }
}

fn socket(cgroup_id: Option<u64>, inode: u32) -> Socket {
    Socket {
        netns_inum: 5,
        local: "10.0.0.1:1".parse().unwrap(),
        remote: "10.0.0.2:2".parse().unwrap(),
        state: TcpState::Established,
        inode,
        cookie: 1,
        cgroup_id,
        memory: Some(SocketMemory::default()),
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: 0,
        unsent: 0,
    }
}

fn process(cgroup: &str) -> Process {
    let cgroups = ProcessCgroups::parse(cgroup);
    Process {
        pid: 77,
        command: "leaker".into(),
        cgroups,
    }
}

fn container(id: u64, name: &str) -> Owner {
    Owner {
        kind: OwnerKind::Pod,
        namespace: Some("shop".into()),
        pod: Some("redis-0".into()),
        pod_uid: Some(UID.into()),
        container_id: Some(name.into()),
        qos: Some("burstable".into()),
        unit: None,
        process: None,
        cgroup_path: Some(format!("{POD}/{name}")),
        cgroup_id: Some(id),
        source: Some(Source::PodLogs),
        found: Some(Source::CgroupPath),
        about_pod: None,
        about_container: None,
    }
}

#[test]
fn a_container_of_a_pod() {
    let attributor = attributor();
    let want = container(11, "c1");
    assert_eq!(attributor.owner_of(&key(11, 11)), want);
    assert_eq!(attributor.owner_of(&key(11, 0)), want);
    assert_eq!(attributor.owner_of(&key(0, 11)), want);
    assert_eq!(attributor.owner_of_socket(&socket(Some(11), 0)), want);
    // Deeper cgroups of the container are the container.
    assert_eq!(attributor.owner_of(&key(12, 11)), want);
    assert_eq!(attributor.owner_of(&key(12, 12)), want);
    assert_eq!(attributor.owner_of_socket(&socket(Some(12), 9)), want);
    assert_ne!(attributor.owner_of(&key(13, 13)), want);
}

#[test]
fn a_memory_cgroup_higher_up_gives_way() {
    let attributor = attributor();
    assert_eq!(attributor.owner_of(&key(11, 10)), container(11, "c1"));
}

#[test]
fn a_memory_cgroup_elsewhere_tells_who_accepted() {
    let attributor = attributor();
    assert_eq!(attributor.owner_of(&key(20, 11)), container(11, "c1"));
    assert_eq!(attributor.owner_of(&key(10, 11)), container(11, "c1"));
    assert_eq!(attributor.owner_of(&key(1, 11)), container(11, "c1"));
    // Alike at the start is not an ancestor.
    let owner = attributor.owner_of(&key(31, 30));
    assert_eq!(owner.cgroup_path.as_deref(), Some("/plain"));
    // The root of the memory controller is no answer.
    assert_eq!(attributor.owner_of(&key(11, 1)), container(11, "c1"));
}

#[test]
fn ids_of_a_v1_memory_hierarchy_are_not_looked_up() {
    let attributor = Attributor {
        memory_unified: false,
        ..attributor()
    };
    let owner = attributor.owner_of(&key(20, 11));
    assert_eq!(owner.kind, OwnerKind::SystemdUnit);
    assert_eq!(owner.unit.as_deref(), Some("systemd-socket.service"));
    assert_eq!(
        attributor.owner_of(&key(0, 11)),
        Owner::of_kind(OwnerKind::Unknown)
    );
}

#[test]
fn overflow_is_unattributed() {
    let attributor = attributor();
    let want = Owner::of_kind(OwnerKind::Unattributed);
    assert_eq!(attributor.owner_of(&key(11, 11).overflow()), want);
}

#[test]
fn unknown_and_root() {
    let attributor = attributor();
    assert_eq!(
        attributor.owner_of(&key(0, 0)),
        Owner::of_kind(OwnerKind::Unknown)
    );
    let dead = Owner {
        cgroup_id: Some(999),
        ..Owner::of_kind(OwnerKind::Unknown)
    };
    assert_eq!(attributor.owner_of(&key(999, 0)), dead);
    assert_eq!(attributor.owner_of(&key(0, 999)), dead);
    assert_eq!(attributor.owner_of(&key(1, 999)), dead);
    assert_eq!(attributor.owner_of(&key(998, 999)), dead);
    assert_eq!(attributor.owner_of_socket(&socket(Some(999), 0)), dead);
    // The other id still names it.
    assert_eq!(attributor.owner_of(&key(11, 999)), container(11, "c1"));
    assert_eq!(attributor.owner_of(&key(999, 11)), container(11, "c1"));
    let root = Owner {
        cgroup_path: Some("/".into()),
        cgroup_id: Some(1),
        source: Some(Source::CgroupPath),
        found: Some(Source::CgroupPath),
        ..Owner::of_kind(OwnerKind::Cgroup)
    };
    assert_eq!(attributor.owner_of(&key(1, 0)), root);
    assert_eq!(attributor.owner_of(&key(1, 1)), root);
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), root);
    assert_eq!(
        attributor.owner_of_socket(&socket(None, 0)),
        Owner::of_kind(OwnerKind::Unknown)
    );
}

#[test]
fn other_kinds() {
    let attributor = attributor();
    assert_eq!(attributor.owner_of(&key(30, 0)).kind, OwnerKind::Cgroup);
    let docker = attributor.owner_of(&key(40, 40));
    assert_eq!(docker.kind, OwnerKind::Container);
    assert_eq!(docker.container_id, Some("ab".repeat(32)));
    assert_eq!(docker.source, Some(Source::CgroupPath));
    let pod = attributor.owner_of(&key(10, 10));
    assert_eq!((pod.kind, pod.container_id), (OwnerKind::Pod, None));
}

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
fn the_process_where_the_cgroup_tells_nothing() {
    let mut attributor = attributor();
    attributor.processes.insert(process("0::/\n"), [(5, 3)]);
    let want = Owner {
        process: Some((77, "leaker".into())),
        source: Some(Source::Proc),
        found: Some(Source::Proc),
        ..Owner::of_kind(OwnerKind::Process)
    };
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), want);
    assert_eq!(attributor.owner_of_socket(&socket(Some(999), 5)), want);
    assert_eq!(attributor.owner_of_socket(&socket(None, 5)), want);
    assert_eq!(
        attributor.owner_of_socket(&socket(Some(11), 5)),
        container(11, "c1")
    );
    assert_eq!(
        attributor.owner_of_with(&key(1, 0), &socket(Some(1), 5)),
        want
    );
    assert_eq!(
        attributor.owner_of_with(&key(11, 11), &socket(Some(1), 5)),
        container(11, "c1")
    );
    assert_eq!(
        attributor
            .owner_of_with(&key(1, 0), &socket(Some(1), 6))
            .cgroup_id,
        Some(1)
    );

    attributor
        .processes
        .insert(process("4:memory:/plain\n0::/\n"), [(5, 3)]);
    let placed = Owner {
        cgroup_path: Some("/plain".into()),
        ..want
    };
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), placed);
}

#[test]
fn the_cgroups_of_the_process_name_its_pod() {
    let mut attributor = attributor();
    // A v1 host: the id is not one of the default hierarchy.
    attributor.processes.insert(
        process(&format!("4:memory:{POD}/c1/inner\n0::/\n")),
        [(5, 3)],
    );
    let v1 = Owner {
        cgroup_id: None,
        found: Some(Source::Proc),
        ..container(11, "c1")
    };
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), v1);
    // A socket made before its process was moved: the same owner as by the cgroup.
    attributor
        .processes
        .insert(process(&format!("0::{POD}/c1\n")), [(5, 3)]);
    let moved = Owner {
        found: Some(Source::Proc),
        ..container(11, "c1")
    };
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), moved);
    attributor
        .processes
        .insert(process("0::/system.slice/x.service\n"), [(5, 3)]);
    let unit = attributor.owner_of_socket(&socket(None, 5));
    assert_eq!(unit.kind, OwnerKind::SystemdUnit);
    assert_eq!(
        (unit.unit.as_deref(), unit.source),
        (Some("x.service"), Some(Source::Proc))
    );
}

/// A host whose pods are held by v1: the cgroup of a socket is the root, or that of whoever started the runtime.
#[test]
fn on_v1_hosts_only_a_pod_or_a_container_is_an_answer() {
    let mut attributor = Attributor {
        memory_unified: false,
        v1_holds_pods: true,
        ..attributor()
    };
    attributor
        .cgroups
        .learn(50, "/system.slice/containerd.service");
    let runtime = socket(Some(50), 5);
    assert_eq!(
        attributor.owner_of_socket(&runtime).kind,
        OwnerKind::SystemdUnit
    );
    assert_eq!(
        attributor.wanted_inodes(&[runtime.clone(), socket(Some(11), 6), socket(Some(40), 7)]),
        HashSet::from([5])
    );
    let cgroups = format!("4:memory:{POD}/c1\n0::/system.slice/containerd.service\n");
    attributor.processes.insert(process(&cgroups), [(5, 3)]);
    let by_process = attributor.owner_of_socket(&runtime);
    assert_eq!(
        (by_process.kind, by_process.container_id.as_deref()),
        (OwnerKind::Pod, Some("c1"))
    );
    let tally = attributor.owner_of_with(&key(50, 0), &runtime);
    assert_eq!(tally, by_process);
}

fn live_in(attributor: &mut Attributor, inum: u32, path: &str) {
    attributor.namespaces.learn(vec![Seen {
        inum,
        cookie: Some(9),
        resident: netns::resident(&[vec![path]]),
    }]);
}

#[test]
fn the_network_namespace_is_the_last_resort() {
    let mut attributor = attributor();
    live_in(&mut attributor, 5, &format!("{POD}/c1"));
    let of = |key: TallyKey| TallyKey {
        netns_cookie: 9,
        ..key
    };
    let pod = Owner {
        container_id: None,
        cgroup_path: Some(POD.into()),
        cgroup_id: None,
        found: Some(Source::Netns),
        ..container(0, "")
    };
    // Of a cgroup that nothing names any more, or of none.
    for silent in [key(999, 0), key(0, 0), key(998, 999)] {
        assert_eq!(attributor.owner_of(&of(silent)), pod);
    }
    assert_eq!(attributor.owner_of_socket(&socket(Some(999), 0)), pod);
    // Whose cgroup tells something is not asked where it is.
    assert_eq!(
        attributor.owner_of(&of(key(20, 20))).kind,
        OwnerKind::SystemdUnit
    );
    assert_eq!(
        attributor.owner_of(&of(key(1, 0))).kind,
        OwnerKind::Cgroup,
        "on v2 the root is no pod's"
    );
    // Neither is one whose holder is known, but a holder tells a tally only by a socket of it.
    attributor
        .processes
        .insert(process("0::/system.slice/x.service\n"), [(7, 3)]);
    let held = socket(Some(999), 7);
    assert_eq!(
        attributor.owner_of_socket(&held).kind,
        OwnerKind::SystemdUnit
    );
    assert_eq!(
        attributor.owner_of_with(&of(key(999, 0)), &held).kind,
        OwnerKind::SystemdUnit
    );
    assert_eq!(
        attributor.owner_of_with(&of(key(999, 0)), &socket(Some(999), 0)),
        pod
    );
    // Another namespace with the same number, and one of which nothing is known.
    assert_eq!(
        attributor
            .owner_of(&TallyKey {
                netns_cookie: 8,
                ..key(999, 0)
            })
            .kind,
        OwnerKind::Unknown
    );
    assert_eq!(
        attributor
            .owner_of(&TallyKey {
                netns_inum: 6,
                ..of(key(999, 0))
            })
            .kind,
        OwnerKind::Unknown
    );
    attributor.v1_holds_pods = true;
    assert_eq!(
        attributor.owner_of(&of(key(1, 0))),
        pod,
        "on v1 hosts all are in the root"
    );
}

/// Two pods on the node's network: one namespace, told apart by their cgroups; never by the namespace.
#[test]
fn pods_on_the_network_of_the_node() {
    let mut attributor = attributor();
    let other = "/kubepods/pod7d2c2d3e-1111-4222-8333-00000000000b";
    attributor.cgroups.learn(60, &format!("{other}/x1"));
    attributor.namespaces.learn(vec![Seen {
        inum: 5,
        cookie: Some(9),
        resident: None,
    }]);
    let owner = |id: u64| {
        attributor.owner_of(&TallyKey {
            netns_cookie: 9,
            ..key(id, id)
        })
    };
    assert_eq!(owner(11), container(11, "c1"));
    assert_eq!(
        owner(60).pod_uid.as_deref(),
        Some("7d2c2d3e-1111-4222-8333-00000000000b")
    );
    assert_eq!(owner(999).kind, OwnerKind::Unknown);
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

    let mut attributor = self::attributor();
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
    let mut mirror = self::attributor();
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

#[test]
fn only_silent_sockets_need_a_process() {
    let attributor = attributor();
    let sockets = [
        socket(Some(11), 100),
        socket(Some(1), 101),
        socket(None, 102),
        socket(Some(999), 103),
        socket(Some(1), 0),
    ];
    assert_eq!(
        attributor.wanted_inodes(&sockets),
        HashSet::from([101, 102, 103])
    );
}

#[test]
fn gaps_of_all_tables() {
    let mut attributor = attributor();
    attributor.notes.push("a part".into());
    attributor.pods.gaps.push("no pods".into());
    attributor.processes.gaps.push("no processes".into());
    assert_eq!(attributor.gaps(), ["a part", "no pods", "no processes"]);
}

#[test]
fn a_cgroup_that_is_gone_is_a_gap_and_a_known_one_is_none() {
    let mut attributor = Attributor::default();
    attributor.cgroups.learn(42, "/system.slice/redis.service");
    let key = |cgroup_id| TallyKey {
        cgroup_id,
        ..TallyKey::default()
    };
    let keys = [key(42), key(99), key(99), key(0), key(OVERFLOW_ID)];
    let gaps = attributor.nameless(keys.iter());
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("99"), "{gaps:?}");
}
