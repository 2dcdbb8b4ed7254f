//! The rules, one by one, over tables made by hand.

use super::*;
use crate::attribute::{
    made::{POD, attributor, container, key, process, socket},
    netns::{self, Seen},
};

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
