//! Labels as controllers set them, and as anybody may.

use super::*;

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn of(
    pod: &str,
    labels: &[(&str, &str)],
    annotations: &[(&str, &str)],
) -> Option<(Option<WorkloadKind>, String)> {
    let node = ["node-7.example".to_owned(), String::new()];
    let workload = Workload::of(Marks {
        pod,
        labels: &map(labels),
        annotations: &map(annotations),
        node: &node,
    });
    workload.map(|workload| (workload.kind, workload.name))
}

fn sure(kind: WorkloadKind, name: &str) -> Option<(Option<WorkloadKind>, String)> {
    Some((Some(kind), name.to_owned()))
}

fn unsure(name: &str) -> Option<(Option<WorkloadKind>, String)> {
    Some((None, name.to_owned()))
}

#[test]
fn controllers_that_say_so() {
    let hash = [("pod-template-hash", "7d4b9c6f58")];
    assert_eq!(
        of("api-gateway-7d4b9c6f58-x2x9z", &hash, &[]),
        sure(WorkloadKind::Deployment, "api-gateway")
    );
    let set = [
        ("statefulset.kubernetes.io/pod-name", "redis-0"),
        ("controller-revision-hash", "redis-6f9d"),
    ];
    assert_eq!(
        of("redis-0", &set, &[]),
        sure(WorkloadKind::StatefulSet, "redis")
    );
    let daemon = [
        ("controller-revision-hash", "6f9d"),
        ("pod-template-generation", "3"),
    ];
    assert_eq!(
        of("node-exporter-abcde", &daemon, &[]),
        sure(WorkloadKind::DaemonSet, "node-exporter")
    );
    let job = [
        ("batch.kubernetes.io/job-name", "report-28000000"),
        ("job-name", "other"),
    ];
    assert_eq!(
        of("report-28000000-abcde", &job, &[]),
        sure(WorkloadKind::Job, "report-28000000")
    );
    let old = [
        ("job-name", "report"),
        ("controller-uid", "6c2c2d3e-1111-4222-8333-00000000000a"),
    ];
    assert_eq!(
        of("report-abcde", &old, &[]),
        sure(WorkloadKind::Job, "report")
    );
}

#[test]
fn what_is_not_certain_has_no_kind() {
    // Other controllers keep revisions too.
    assert_eq!(
        of("cache-abcde", &[("controller-revision-hash", "6f9d")], &[]),
        unsure("cache")
    );
    assert_eq!(
        of("bare", &[("app.kubernetes.io/name", "shop")], &[]),
        unsure("shop")
    );
    // The hash is not in the name, because the name was cut: the label alone tells no name.
    assert_eq!(
        of(
            "very-long-7d4b9c-abcde",
            &[("pod-template-hash", "7d4b9c6f58")],
            &[]
        ),
        None
    );
    assert_eq!(
        of("x", &[("job-name", "x")], &[]),
        None,
        "anybody may set this label"
    );
    assert_eq!(
        of(
            "redis-0",
            &[("statefulset.kubernetes.io/pod-name", "redis-1")],
            &[]
        ),
        None
    );
    assert_eq!(
        of(
            "redis-x",
            &[("statefulset.kubernetes.io/pod-name", "redis-x")],
            &[]
        ),
        None
    );
    assert_eq!(of("bare", &[], &[]), None);
}

#[test]
fn static_pods_lose_the_name_of_their_node() {
    let file = [
        ("kubernetes.io/config.source", "file"),
        ("kubernetes.io/config.hash", "0f"),
    ];
    assert_eq!(of("etcd-node-7.example", &[], &file), unsure("etcd"));
    assert_eq!(of("etcd-node-8.example", &[], &file), None);
    assert_eq!(of("node-7.example", &[], &file), None);
    let api = [("kubernetes.io/config.source", "api")];
    assert_eq!(of("etcd-node-7.example", &[], &api), None);
}

#[test]
fn hostile_labels_name_nothing() {
    let long = "a".repeat(LABEL_MAX + 1);
    for value in ["", "a\u{1b}[31m", "a/b", "ä", &long] {
        assert_eq!(
            of("x", &[("app.kubernetes.io/name", value)], &[]),
            None,
            "{value:?}"
        );
        assert_eq!(
            of("x-abcde", &[("batch.kubernetes.io/job-name", value)], &[]),
            None,
            "{value:?}"
        );
    }
    for pod in ["", "-", "--", "-abcde", "-h-abcde", "-0"] {
        assert_eq!(
            of(
                pod,
                &[
                    ("pod-template-hash", "h"),
                    ("statefulset.kubernetes.io/pod-name", pod)
                ],
                &[]
            ),
            None,
            "{pod:?}"
        );
    }
}
