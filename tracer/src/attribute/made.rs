//! Tables of attribution made by hand, for tests.

use tracer_common::TallyKey;

use super::{
    Attributor, Owner, OwnerKind, Source,
    processes::{Process, ProcessCgroups},
};
use crate::holders::{Socket, TcpState, socket::SocketMemory};

pub(super) const POD: &str = "/kubepods/burstable/pod6c2c2d3e-1111-4222-8333-00000000000a";
pub(super) const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";

pub(super) fn attributor() -> Attributor {
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

pub(super) fn key(cgroup_id: u64, memcg_id: u64) -> TallyKey {
    TallyKey {
        cgroup_id,
        memcg_id,
        netns_inum: 5,
        ..TallyKey::default()
    }
}

pub(super) fn socket(cgroup_id: Option<u64>, inode: u32) -> Socket {
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

pub(super) fn process(cgroup: &str) -> Process {
    let cgroups = ProcessCgroups::parse(cgroup);
    Process {
        pid: 77,
        command: "leaker".into(),
        cgroups,
    }
}

pub(super) fn container(id: u64, name: &str) -> Owner {
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
