//! Runtimes that do not answer well, liars, and whoever else may listen.

use tcpress_lab::cri::{BadSocket, Habit, Manner, Runtime, RuntimePod};
use tracer::attribute::cri::reader::GRACE;

use crate::node::{CONTAINER, Node, SHORT, SLACK, UID, names, owner, pod, told};

/// What is said of somebody who does not answer at all.
const SILENT: &str = "did not answer in time";

/// Whom to be patient with.
fn node_for(expected: &str) -> Node {
    if expected == SILENT {
        Node::hasty()
    } else {
        Node::new()
    }
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
    assert!(took < SHORT + GRACE + SLACK, "{what}: {took:?}");
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
        (Habit::Hang, SILENT),
        (Habit::HalfHello, SILENT),
        (Habit::Garbage, "cri.sock: "),
        (Habit::HugeFrame, "cri.sock: "),
        (Habit::CloseEarly, "cri.sock: "),
        (Habit::Echo, "cri.sock: "),
    ] {
        let node = node_for(expected);
        let _bad = BadSocket::new(&node.socket(), habit).unwrap();
        check_bad(&node, &format!("{habit:?}"), expected);
    }
}

#[test]
fn a_runtime_that_does_not_answer_well() {
    for (manner, expected) in [
        (Manner::Mute, SILENT),
        (Manner::Failing, "no list today"),
        (Manner::Enormous(17), "pods: "),
        (Manner::Old, "does not serve version 1"),
    ] {
        let node = node_for(expected);
        let runtime = Runtime::start(&node.socket(), manner).unwrap();
        runtime.add(pod());
        check_bad(&node, &format!("{manner:?}"), expected);
    }
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
