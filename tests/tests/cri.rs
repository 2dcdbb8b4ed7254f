//! Container runtimes, good and bad, at a socket: the names are there, or the gap is told, and nobody waits longer than one asking
//! may take. No root, no pods; the tables are made by hand where the machine would show cgroups.

mod common;
#[path = "common/folder.rs"]
mod folder;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use folder::Folder;
use serde_json::Value;
use tcpress_lab::cri::{BadSocket, Habit, Manner, Runtime, RuntimePod};
use tracer::attribute::{
    Attributor, Live, Owner, Sandbox, Sources,
    cri::{
        Sockets,
        reader::{DEADLINE, GRACE},
    },
};
use tracer_common::TallyKey;

const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";
/// Id of a cgroup, and of the container in it.
const CGROUP: u64 = 42;
const CONTAINER: &str = "4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e5a7b9c3d4f1e";
/// For everything that is not waiting, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(20);

/// A node: a folder for a socket and for logs, and one container in the table of cgroups.
struct Node {
    folder: Folder,
    sources: Sources,
}

impl Node {
    fn new() -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let sources = Sources {
            proc: folder.path().join("proc"),
            cgroup_root: folder.path().join("cgroup"),
            pod_logs: folder.path().join("logs"),
            cri: Sockets::Given(vec![folder.path().join("cri.sock")]),
            ..Sources::default()
        };
        Self { folder, sources }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("cri.sock")
    }

    /// The log folder that the kubelet makes.
    fn log(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(format!("logs/shop_{name}_{UID}"))).unwrap();
    }

    /// The tables after one window's worth of asking, and the time that it took.
    fn look(&self) -> (Attributor, Duration) {
        let start = Instant::now();
        let mut live = Live::start(&self.sources);
        let mut attributor = self.sources.read();
        attributor.cgroups.learn(CGROUP, &path());
        live.settle(&mut attributor);
        (attributor, start.elapsed())
    }
}

fn path() -> String {
    format!("/kubepods/burstable/pod{UID}/{CONTAINER}")
}

fn pod() -> RuntimePod {
    RuntimePod::new("shop", "api-7d4b9c6f58-x2x9z", UID, "sandbox", CONTAINER)
        .label("pod-template-hash", "7d4b9c6f58")
        .label("team", "payments")
}

fn owner(attributor: &Attributor) -> Owner {
    attributor.owner_of(&TallyKey {
        cgroup_id: CGROUP,
        ..TallyKey::default()
    })
}

fn names(owner: &Owner) -> Option<(&str, &str)> {
    owner.namespace.as_deref().zip(owner.pod.as_deref())
}

/// What a runtime tells of the owner.
fn told(owner: &Owner) -> (Option<&str>, Option<&str>, Option<&str>) {
    let pod = owner.about_pod.as_deref();
    let container = owner.about_container.as_deref();
    (
        pod.and_then(|pod| Some(pod.workload.as_ref()?.name.as_str())),
        pod.and_then(|pod| Some(pod.contact.first()?.value.as_str())),
        container.and_then(|container| container.name.as_deref()),
    )
}

#[test]
fn an_honest_runtime_names_everything() {
    let node = Node::new();
    let runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
    runtime.add(pod());
    let (attributor, _) = node.look();
    let owner = owner(&attributor);
    assert_eq!(names(&owner), Some(("shop", "api-7d4b9c6f58-x2x9z")));
    assert_eq!(told(&owner), (Some("api"), Some("payments"), Some("app")));
    let image = owner.about_container.as_ref().unwrap().image.as_deref();
    assert_eq!(image, Some("registry.example/api-7d4b9c6f58-x2x9z:1"));
    assert_eq!(attributor.gaps(), Vec::<String>::new());
    assert_eq!(
        attributor.cri.runtimes,
        [format!("lab 1.0 at {}", node.socket().display())]
    );
    // Nothing was open, so nothing more was asked.
    assert_eq!(
        (
            runtime.calls("ListPodSandbox"),
            runtime.calls("PodSandboxStatus")
        ),
        (1, 0)
    );
}

#[test]
fn later_only_the_newborn_are_asked_for() {
    let node = Node::new();
    let runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
    runtime.add(pod());
    let mut live = Live::start(&node.sources);
    let mut attributor = node.sources.read();
    live.settle(&mut attributor);
    let lists = || runtime.calls("ListPodSandbox");
    for _ in 0..5 {
        live.look(&mut attributor);
        live.settle(&mut attributor);
    }
    assert_eq!(lists(), 1, "nobody was born");
    let uid = "7d2c2d3e-1111-4222-8333-00000000000b";
    let path = format!("/kubepods/pod{uid}/late");
    runtime.add(RuntimePod::new("shop", "late", uid, "sandbox-2", "late"));
    attributor.cgroups.learn(CGROUP, &path);
    live.born(&path, &attributor);
    live.settle(&mut attributor);
    assert_eq!(names(&owner(&attributor)), Some(("shop", "late")));
    assert_eq!(lists(), 2);
    // Gone from the runtime, and the name stays.
    runtime.remove("sandbox-2");
    live.settle(&mut attributor);
    assert_eq!(names(&owner(&attributor)), Some(("shop", "late")));
}

#[test]
fn a_handler_that_says_nothing_is_looked_behind() {
    let node = Node::new();
    let runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
    runtime.add(RuntimePod {
        handler: "sandboxed".into(),
        runtime_type: "io.containerd.runsc.v1".into(),
        ..pod()
    });
    let (attributor, _) = node.look();
    let owner = owner(&attributor);
    assert_eq!(owner.about_pod.unwrap().sandbox, Some(Sandbox::Gvisor));
    let gaps = attributor.gaps();
    assert!(gaps.len() == 1 && gaps[0].contains("(gvisor)"), "{gaps:?}");
}

/// Whoever listens and does not answer well: names from the log folder, a gap, and within the time.
fn check_bad(node: &Node, what: &str, expected: &str) {
    node.log("redis-0");
    let (attributor, took) = node.look();
    let owner = owner(&attributor);
    assert_eq!(names(&owner), Some(("shop", "redis-0")), "{what}");
    assert_eq!(told(&owner), (None, None, None), "{what}");
    let gaps = attributor.gaps();
    assert!(
        gaps.iter().any(|gap| gap.contains(expected)),
        "{what}: {expected} is not in {gaps:?}"
    );
    assert!(took < DEADLINE + GRACE + SLACK, "{what}: {took:?}");
}

#[test]
fn nobody_listens() {
    check_bad(&Node::new(), "absent", "No such file");
}

#[test]
fn nobody_listens_any_more() {
    let node = Node::new();
    drop(std::os::unix::net::UnixListener::bind(node.socket()).unwrap());
    check_bad(&node, "refused", "refused");
}

#[test]
fn somebody_else_listens() {
    for (habit, expected) in [
        (Habit::Hang, "did not answer in time"),
        (Habit::HalfHello, "did not answer in time"),
        (Habit::Garbage, "cri.sock: "),
        (Habit::HugeFrame, "cri.sock: "),
        (Habit::CloseEarly, "cri.sock: "),
        (Habit::Echo, "cri.sock: "),
    ] {
        let node = Node::new();
        let _bad = BadSocket::new(&node.socket(), habit).unwrap();
        check_bad(&node, &format!("{habit:?}"), expected);
    }
}

#[test]
fn a_runtime_that_does_not_answer_well() {
    for (manner, expected) in [
        (Manner::Mute, "did not answer in time"),
        (Manner::Failing, "no list today"),
        (Manner::Enormous(17), "pods: "),
        (Manner::Old, "does not serve version 1"),
    ] {
        let node = Node::new();
        let runtime = Runtime::start(&node.socket(), manner).unwrap();
        runtime.add(pod());
        check_bad(&node, &format!("{manner:?}"), expected);
    }
}

#[test]
fn a_large_answer_is_read() {
    let node = Node::new();
    let runtime = Runtime::start(&node.socket(), Manner::Enormous(8)).unwrap();
    runtime.add(pod());
    let (attributor, _) = node.look();
    assert_eq!(
        names(&owner(&attributor)),
        Some(("shop", "api-7d4b9c6f58-x2x9z"))
    );
}

#[test]
fn more_than_is_read_is_counted() {
    let node = Node::new();
    let runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
    for number in 0..4100 {
        let (uid, id) = (format!("uid-{number}"), format!("id-{number:04}"));
        runtime.add(RuntimePod::new(
            "shop",
            "many",
            &uid,
            &id,
            &format!("c{id}"),
        ));
    }
    let (attributor, _) = node.look();
    assert_eq!(attributor.cri.pods().count(), 4096);
    let gaps = attributor.gaps();
    assert!(
        gaps.iter().any(|gap| gap.contains("4 entries too many")),
        "{gaps:?}"
    );
}

/// A runtime that lies: about a name, about whose a container is, about a UID; and with names that nobody may give.
#[test]
fn a_runtime_that_lies_renames_nobody() {
    let other = "7d2c2d3e-1111-4222-8333-00000000000b";
    let twice = |name: &str| RuntimePod::new("shop", name, UID, name, "x");
    let evil = |name: &str| RuntimePod::new("shop", name, UID, "sandbox", CONTAINER);
    let cases: [(&str, Vec<RuntimePod>, &str); 5] = [
        ("another name", vec![evil("evil")], "other names"),
        (
            "another pod's container",
            vec![RuntimePod::new(
                "shop", "other", other, "sandbox", CONTAINER,
            )],
            "of another pod",
        ),
        (
            "two names",
            vec![twice("a"), twice("b")],
            "contradicted itself",
        ),
        (
            "no name",
            vec![evil("\u{1b}[2Jevil")],
            "not as Kubernetes makes them",
        ),
        (
            "labels that say something else",
            vec![evil("redis-0").label("io.kubernetes.pod.name", "evil")],
            "labels contradict",
        ),
    ];
    for (what, pods, expected) in cases {
        let node = Node::new();
        let runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
        pods.into_iter().for_each(|pod| runtime.add(pod));
        check_bad(&node, what, expected);
    }
}

#[test]
fn a_runtime_that_is_restarted_between_two_calls() {
    let node = Node::new();
    let mut runtime = Runtime::start(&node.socket(), Manner::Honest).unwrap();
    runtime.add(pod());
    let mut live = Live::start(&node.sources);
    let mut attributor = node.sources.read();
    live.settle(&mut attributor);
    assert_eq!(attributor.gaps(), Vec::<String>::new());

    // Down: what it told before stays, and who is born meanwhile has no name from it.
    runtime.end();
    let uid = "7d2c2d3e-1111-4222-8333-00000000000b";
    let late = format!("/kubepods/pod{uid}/late");
    attributor.cgroups.learn(CGROUP, &path());
    attributor.cgroups.learn(43, &late);
    live.born(&late, &attributor);
    live.settle(&mut attributor);
    assert_eq!(
        told(&owner(&attributor)),
        (Some("api"), Some("payments"), Some("app"))
    );
    assert_eq!(attributor.gaps().len(), 1, "{:?}", attributor.gaps());

    // Up again, on another socket of the same name.
    runtime.add(RuntimePod::new("shop", "late", uid, "sandbox-2", "late"));
    runtime.restart().unwrap();
    live.settle(&mut attributor);
    let of = |attributor: &Attributor| {
        let key = TallyKey {
            cgroup_id: 43,
            ..TallyKey::default()
        };
        attributor.owner_of(&key).pod
    };
    assert_eq!(of(&attributor).as_deref(), Some("late"));
}

/// The whole program: a report is complete within its time, whoever listens.
#[test]
fn the_report_is_complete_within_its_time() {
    let report = |socket: &Path| -> (Value, Duration) {
        let start = Instant::now();
        let output = Command::new(common::tcpress())
            .args([
                "report",
                "--no-bpf",
                "--duration",
                "0",
                "-o",
                "json",
                "--cri-socket",
            ])
            .arg(socket)
            .output()
            .unwrap();
        let took = start.elapsed();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words}");
        (serde_json::from_slice(&output.stdout).unwrap(), took)
    };
    let gaps = |report: &Value| report["losses"]["gaps"].to_string();
    let folder = Folder::new();
    let socket = folder.path().join("cri.sock");
    let (none, without) = report(Path::new("none"));
    assert!(
        !gaps(&none).contains("container runtime"),
        "{}",
        gaps(&none)
    );
    let (absent, _) = report(&socket);
    assert!(gaps(&absent).contains("No such file"), "{}", gaps(&absent));
    for habit in [Habit::Hang, Habit::Garbage, Habit::CloseEarly] {
        let _bad = BadSocket::new(&socket, habit).unwrap();
        let (bad, took) = report(&socket);
        assert!(gaps(&bad).contains("cri.sock"), "{habit:?}: {}", gaps(&bad));
        assert!(
            took < without + DEADLINE + GRACE + SLACK,
            "{habit:?}: {took:?}"
        );
        assert_eq!(bad["schema"], "tcpress.report/v1");
        assert!(bad["holders"].is_array() && bad["tcp_memory"]["tcp_mem_bytes"].is_object());
    }
    let runtime = Runtime::start(&socket, Manner::Honest).unwrap();
    runtime.add(pod());
    let (good, _) = report(&socket);
    assert_eq!(
        good["attribution"]["runtimes"][0],
        format!("lab 1.0 at {}", socket.display())
    );
    assert!(
        !gaps(&good).contains("container runtime"),
        "{}",
        gaps(&good)
    );
}
