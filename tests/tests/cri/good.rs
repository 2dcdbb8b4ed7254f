//! Runtimes that answer well, and one that is restarted.

use tcpress_lab::cri::{Manner, Runtime, RuntimePod};
use tracer::attribute::{Attributor, Live, Sandbox};
use tracer_common::TallyKey;

use crate::node::{CGROUP, Node, names, owner, path, pod, told};

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
