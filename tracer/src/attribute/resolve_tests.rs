//! The rules, one by one, over tables made by hand.

use super::*;
use crate::{
    attribute::processes::ProcessCgroups,
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
    assert!(attributor.pods.learn(&format!("shop_redis-0_{UID}")));
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
        ..container(11, "c1")
    };
    assert_eq!(attributor.owner_of_socket(&socket(Some(1), 5)), v1);
    // A socket made before its process was moved: the same owner as by the cgroup.
    attributor
        .processes
        .insert(process(&format!("0::{POD}/c1\n")), [(5, 3)]);
    assert_eq!(
        attributor.owner_of_socket(&socket(Some(1), 5)),
        container(11, "c1")
    );
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
