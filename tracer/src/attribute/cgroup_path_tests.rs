//! Paths as kubelet, runtimes and systemd make them, and as nobody should.

use super::*;

const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";
const UID_: &str = "6c2c2d3e_1111_4222_8333_00000000000a";
const STATIC: &str = "0123456789abcdef0123456789abcdef";
const CID: &str = "4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e";

fn fill(path: &str) -> String {
    path.replace("{uid}", UID)
        .replace("{uid_}", UID_)
        .replace("{static}", STATIC)
        .replace("{cid}", CID)
}

/// Path, UID, container id, runtime, QoS class, depth.
type Case = (
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Qos,
    usize,
);

#[test]
fn pods() {
    use Qos::{BestEffort, Burstable, Guaranteed};
    let (containerd, crio, docker) = (Some("containerd"), Some("cri-o"), Some("docker"));
    let cases: [Case; 20] = [
        // cgroupfs driver
        (
            "/kubepods/burstable/pod{uid}/{cid}",
            UID,
            Some(CID),
            None,
            Burstable,
            4,
        ),
        (
            "/kubepods/besteffort/pod{uid}/{cid}",
            UID,
            Some(CID),
            None,
            BestEffort,
            4,
        ),
        (
            "/kubepods/pod{uid}/{cid}",
            UID,
            Some(CID),
            None,
            Guaranteed,
            3,
        ),
        (
            "/kubepods/burstable/pod{uid}",
            UID,
            None,
            None,
            Burstable,
            3,
        ),
        (
            "/kubepods/pod{static}/{cid}",
            STATIC,
            Some(CID),
            None,
            Guaranteed,
            3,
        ),
        (
            "/kubepods/burstable/pod{uid}/crio-{cid}",
            UID,
            Some(CID),
            crio,
            Burstable,
            4,
        ),
        (
            "/kubepods/burstable/pod{uid}/{cid}/init.scope",
            UID,
            Some(CID),
            None,
            Burstable,
            4,
        ),
        (
            "/kubepods/burstable/pod{uid}/shop",
            UID,
            Some("shop"),
            None,
            Burstable,
            4,
        ),
        // systemd driver
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/cri-containerd-{cid}.scope",
            UID,
            Some(CID),
            containerd,
            Burstable,
            4,
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-{cid}.scope/container",
            UID,
            Some(CID),
            crio,
            BestEffort,
            4,
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-conmon-{cid}.scope",
            UID,
            Some(CID),
            crio,
            BestEffort,
            4,
        ),
        (
            "/kubepods.slice/kubepods-pod{uid_}.slice/docker-{cid}.scope",
            UID,
            Some(CID),
            docker,
            Guaranteed,
            3,
        ),
        (
            "/kubepods.slice/kubepods-pod{static}.slice/cri-containerd-{cid}.scope",
            STATIC,
            Some(CID),
            containerd,
            Guaranteed,
            3,
        ),
        (
            "/kubepods.slice/kubepods-pod{uid_}.slice",
            UID,
            None,
            None,
            Guaranteed,
            2,
        ),
        (
            "/kubepods.slice/kubepods-pod{uid_}.slice/new-{cid}.scope",
            UID,
            Some(CID),
            None,
            Guaranteed,
            3,
        ),
        // nodes in containers
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{uid_}.slice/cri-containerd-{cid}.scope",
            UID,
            Some(CID),
            containerd,
            Burstable,
            5,
        ),
        (
            "/docker/{static}/kubelet/kubepods/besteffort/pod{uid}/{cid}",
            UID,
            Some(CID),
            None,
            BestEffort,
            7,
        ),
        (
            "/../../kubelet/kubepods/pod{uid}/{cid}",
            UID,
            Some(CID),
            None,
            Guaranteed,
            6,
        ),
        // the outermost pod, not the one inside
        (
            "/kubepods/burstable/pod{uid}/{cid}/kubelet/kubepods/pod{static}/x",
            UID,
            Some(CID),
            None,
            Burstable,
            4,
        ),
        // runtime and kubelet with different drivers
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{uid_}.slice:cri-containerd:{cid}",
            UID,
            Some(CID),
            containerd,
            Burstable,
            3,
        ),
    ];
    for (path, uid, id, runtime, qos, depth) in cases {
        let path = fill(path);
        let want = PathFacts {
            pod_uid: Some(uid.to_owned()),
            container_id: id.map(str::to_owned),
            runtime,
            qos: Some(qos),
            unit: None,
            depth,
        };
        assert_eq!(parse(&path), want, "{path}");
    }
}

#[test]
fn containers() {
    let (docker, podman, lxc) = (Some("docker"), Some("podman"), Some("lxc"));
    let cases = [
        ("/docker/{cid}", CID, docker, 2),
        ("/docker/{cid}/docker/{static}", CID, docker, 2),
        ("/docker/4f1e5a7b9c3d", "4f1e5a7b9c3d", docker, 2),
        ("/system.slice/docker-{cid}.scope", CID, docker, 2),
        (
            "/machine.slice/libpod-{cid}.scope/container",
            CID,
            podman,
            2,
        ),
        ("/machine.slice/libpod-conmon-{cid}.scope", CID, podman, 2),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{cid}.scope",
            CID,
            podman,
            5,
        ),
        (
            "/lxc.payload.web1/system.slice/redis.service",
            "web1",
            lxc,
            1,
        ),
        ("/lxc/web1/init.scope", "web1", lxc, 2),
        ("/ecs/0a1b/{cid}", CID, None, 3),
        ("/default/{cid}", CID, None, 2),
    ];
    for (path, id, runtime, depth) in cases {
        let path = fill(path);
        let want = PathFacts {
            container_id: Some(id.to_owned()),
            runtime,
            depth,
            ..PathFacts::default()
        };
        assert_eq!(parse(&path), want, "{path}");
    }
}

#[test]
fn units() {
    let cases = [
        ("/system.slice/redis.service", Some("redis.service"), 2),
        (
            "/system.slice/redis.service/worker",
            Some("redis.service"),
            2,
        ),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            Some("getty@tty1.service"),
            3,
        ),
        (
            "/user.slice/user-0.slice/session-1.scope",
            Some("session-1.scope"),
            3,
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service",
            Some("user@1000.service"),
            3,
        ),
        (
            "/system.slice/dev-disk-by\\x2duuid.swap",
            Some("dev-disk-by\\x2duuid.swap"),
            2,
        ),
        ("/system.slice/_cpu.service", Some("cpu.service"), 2),
        ("/init.scope", Some("init.scope"), 1),
        ("/system.slice", Some("system.slice"), 1),
        (
            "/kubepods.slice/kubepods-burstable.slice",
            Some("kubepods-burstable.slice"),
            2,
        ),
        ("/", None, 0),
        ("", None, 0),
        ("/plain/cgroup", None, 2),
        ("/system.slice/nothing", None, 2),
        ("/.service", None, 1),
        ("relative/redis.service", Some("redis.service"), 2),
    ];
    for (path, unit, depth) in cases {
        let want = PathFacts {
            unit: unit.map(str::to_owned),
            depth,
            ..PathFacts::default()
        };
        assert_eq!(parse(path), want, "{path}");
    }
}
