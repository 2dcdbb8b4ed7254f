//! Paths as nobody should make them, and those that only look like a pod or a container.

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

/// What an agent sees that runs in a pod and has a cgroup namespace of its own.
#[test]
fn from_within_a_cgroup_namespace() {
    use Qos::{BestEffort, Burstable, Guaranteed};
    let cases = [
        ("/../../pod{uid}/{cid}", Some(UID), Some(CID), None, 4),
        (
            "/../../pod{static}/{cid}/init.scope",
            Some(STATIC),
            Some(CID),
            None,
            4,
        ),
        (
            "/../../../burstable/pod{uid}/{cid}",
            Some(UID),
            Some(CID),
            Some(Burstable),
            6,
        ),
        (
            "/../../../../kubepods/pod{uid}/{cid}",
            Some(UID),
            Some(CID),
            Some(Guaranteed),
            7,
        ),
        (
            "/../../kubepods-besteffort-pod{uid_}.slice/cri-containerd-{cid}.scope",
            Some(UID),
            Some(CID),
            Some(BestEffort),
            4,
        ),
        // A neighbour in the same pod: which pod, the path does not say.
        ("/../cri-containerd-{cid}.scope", None, Some(CID), None, 2),
        ("/../{cid}", None, Some(CID), None, 2),
        // Of what looks like a pod only by its first letters, the rest must be a UID.
        ("/../podinfo", None, None, None, 2),
        ("/../pod0123456789abcdef/x", None, None, None, 3),
        (
            "/../podcdefabcd-efab-cdef-abcd-zzzzzzzzzzzz/x",
            None,
            None,
            None,
            3,
        ),
    ];
    for (path, uid, id, qos, depth) in cases {
        let path = fill(path);
        let facts = parse(&path);
        let found = (
            facts.pod_uid.as_deref(),
            facts.container_id.as_deref(),
            facts.qos,
            facts.depth,
        );
        assert_eq!(found, (uid, id, qos, depth), "{path}");
    }
}

#[test]
fn not_a_pod() {
    let long = format!("/kubepods/pod{}", "a".repeat(TOKEN_MAX + 1));
    let replaced = String::from_utf8_lossy(b"/kubepods/pod\xff\xfe/\xff").into_owned();
    for path in [
        "/pod{uid}/{static}",
        "/podinfo",
        "/kubepods/pod",
        "/kubepods/pod\u{1b}[31m/x",
        "/kubepods/pod a/x",
        "/kubepods.slice/kubepods-pod.slice",
        "/kubepods.slice/kubepods-pod\n.slice",
        "/otherkubepods.slice/otherkubepods-pod{uid_}.slice",
        "/system.slice/evil-pod{uid_}.slice",
        "/burstable/pod{uid}",
        &long,
        &replaced,
    ] {
        let path = fill(path);
        let facts = parse(&path);
        assert_eq!(facts.pod_uid, None, "{path:?}");
        assert_eq!(facts.container_id, None, "{path:?}");
    }
}

#[test]
fn not_a_container() {
    for path in [
        "/docker/buildx",
        "/docker/../x",
        "/docker",
        "/docker-{cid}x.scope",
        "/system.slice/docker.service",
        "/system.slice/docker-\u{7}.scope",
        "/system.slice/libpod-.scope",
        "/lxc",
        "/lxc.payload.",
        "/a/{static}",
        "/a/{cid}{cid}",
    ] {
        let path = fill(path);
        assert_eq!(parse(&path).container_id, None, "{path:?}");
    }
    // A pod's own child that cannot be a container leaves the pod known.
    for child in [
        "a b",
        "x.service",
        "x-y.scope",
        "cri-containerd-.scope",
        "\u{fffd}",
    ] {
        let facts = parse(&format!("/kubepods/pod{UID}/{child}"));
        assert_eq!(facts.pod_uid.as_deref(), Some(UID), "{child:?}");
        assert_eq!(facts.container_id, None, "{child:?}");
        assert_eq!(facts.depth, 2, "{child:?}");
    }
}

#[test]
fn very_long_and_very_odd() {
    let deep = "/a".repeat(100_000);
    assert_eq!(parse(&deep).depth, 100_000);
    let slashes = "/".repeat(100_000);
    assert_eq!(parse(&slashes), PathFacts::default());
    for path in [
        ":",
        "::",
        "/:/:",
        "-pod.slice",
        "/kubepods-pod.slice::",
        "\0",
        "/\u{202e}/x",
    ] {
        let facts = parse(path);
        assert_eq!(facts.pod_uid, None, "{path:?}");
        assert_eq!(facts.container_id, None, "{path:?}");
    }
}

#[test]
fn prefixes() {
    assert_eq!(prefix("/a/b/c", 2), "/a/b");
    assert_eq!(prefix("//a//b", 2), "/a/b");
    assert_eq!(prefix("/a", 9), "/a");
    assert_eq!(prefix("/a", 0), "");
}
