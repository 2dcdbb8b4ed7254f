//! Messages as runtimes send them, and as none should.

use super::*;
use crate::attribute::{contact::Contact, workload::WorkloadKind};

const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";
const HASH: &str = "0123456789abcdef0123456789abcdef";

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn hints() -> Hints {
    Hints {
        contact_keys: vec!["team".into()],
        node: vec!["node-7".into()],
    }
}

fn item(namespace: &str, name: &str, uid: &str) -> v1::PodSandbox {
    v1::PodSandbox {
        id: "4f1e5a7b9c3d".into(),
        metadata: Some(v1::PodSandboxMetadata {
            name: name.into(),
            uid: uid.into(),
            namespace: namespace.into(),
            attempt: 0,
        }),
        ..v1::PodSandbox::default()
    }
}

fn listed(items: Vec<v1::PodSandbox>) -> Listing {
    let mut listing = Listing::default();
    listing.add_sandboxes(items, &hints());
    listing
}

#[test]
fn a_pod_of_a_deployment() {
    let mut item = item("payments", "api-7d4b9c6f58-x2x9z", UID);
    item.labels = map(&[
        ("io.kubernetes.pod.name", "api-7d4b9c6f58-x2x9z"),
        ("io.kubernetes.pod.namespace", "payments"),
        ("io.kubernetes.pod.uid", UID),
        ("pod-template-hash", "7d4b9c6f58"),
        ("team", "payments"),
    ]);
    let listing = listed(vec![item]);
    assert_eq!(listing.gaps(), Vec::<String>::new());
    let [pod] = &listing.pods[..] else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (pod.uid.as_str(), pod.sandbox.as_str()),
        (UID, "4f1e5a7b9c3d")
    );
    assert_eq!(
        (pod.name.namespace.as_str(), pod.name.name.as_str()),
        ("payments", "api-7d4b9c6f58-x2x9z")
    );
    assert!(pod.ready && !pod.handler_open && pod.aliases.is_empty());
    let workload = pod.facts.workload.as_ref().unwrap();
    assert_eq!(
        (workload.kind, workload.name.as_str()),
        (Some(WorkloadKind::Deployment), "api")
    );
    assert_eq!(
        pod.facts.contact,
        [Contact {
            key: "team".into(),
            value: "payments".into()
        }]
    );
}

#[test]
fn a_static_pod_is_met_by_its_hash() {
    // What the kubelet runs has the hash for a UID; a runtime might tell that of the mirror in the API.
    let annotations = map(&[
        ("kubernetes.io/config.hash", HASH),
        ("kubernetes.io/config.source", "file"),
    ]);
    let mut own = item("kube-system", "etcd-node-7", HASH);
    own.annotations = annotations.clone();
    let mut mirror = item("kube-system", "etcd-node-7", UID);
    mirror.annotations = annotations;
    mirror
        .annotations
        .insert("kubernetes.io/config.mirror".into(), HASH.into());
    let listing = listed(vec![own, mirror]);
    assert_eq!(listing.pods[0].aliases, Vec::<String>::new());
    assert_eq!(listing.pods[1].aliases, [HASH, HASH]);
    assert_eq!(
        listing.pods[0].facts.workload.as_ref().unwrap().name,
        "etcd"
    );
}

#[test]
fn runtime_handlers() {
    let handled = |handler: &str| {
        let mut item = item("shop", "a", UID);
        item.runtime_handler = handler.into();
        let pod = listed(vec![item]).pods.remove(0);
        (pod.facts.sandbox, pod.handler_open)
    };
    assert_eq!(handled(""), (None, false));
    assert_eq!(handled("runc"), (None, false));
    assert_eq!(handled("kata-qemu"), (Some(Sandbox::Kata), false));
    assert_eq!(handled("sandboxed"), (None, true));
}

#[test]
fn names_that_nobody_may_give_are_left_out_and_counted() {
    let long = "a".repeat(254);
    let bad = [
        item("", "a", UID),
        item("shop", "", UID),
        item("shop", "a", ""),
        item("Shop", "a", UID),
        item("shop.x", "a", UID),
        item("shop", "a_b", UID),
        item("shop", "-a", UID),
        item("shop", "a\u{1b}[2J", UID),
        item("shop", &long, UID),
        item("shop", "a", "../../etc"),
        v1::PodSandbox::default(),
    ];
    let count = bad.len();
    let listing = listed(bad.into());
    assert_eq!((listing.pods.len(), listing.odd), (0, count));
    assert_eq!(listing.gaps().len(), 1);
}

#[test]
fn labels_that_contradict_names_are_not_believed() {
    for key in ["name", "namespace", "uid"] {
        let mut item = item("shop", "a", UID);
        item.labels = map(&[(&format!("io.kubernetes.pod.{key}"), "other")]);
        let listing = listed(vec![item]);
        assert_eq!((listing.pods.len(), listing.contradictory), (0, 1), "{key}");
    }
}

#[test]
fn too_many_are_not_read() {
    let listing = listed(vec![item("shop", "a", UID); SANDBOXES_MAX + 3]);
    assert_eq!((listing.pods.len(), listing.beyond), (SANDBOXES_MAX, 3));
    let mut listing = Listing::default();
    listing.add_containers(vec![v1::Container::default(); CONTAINERS_MAX + 1]);
    assert_eq!((listing.beyond, listing.odd), (1, CONTAINERS_MAX));
}

#[test]
fn containers_and_their_images() {
    let container = |image: v1::ImageSpec, labels: &[(&str, &str)]| {
        let mut listing = Listing::default();
        listing.add_containers(vec![v1::Container {
            id: "c1".into(),
            pod_sandbox_id: "s1".into(),
            metadata: Some(v1::ContainerMetadata {
                name: "app".into(),
                attempt: 2,
            }),
            image: Some(image),
            image_ref: format!("sha256:{}", "0f".repeat(32)),
            labels: map(labels),
            ..v1::Container::default()
        }]);
        listing
    };
    let spec = |image: &str, said: &str| v1::ImageSpec {
        image: image.into(),
        user_specified_image: said.into(),
        ..v1::ImageSpec::default()
    };
    let listing = container(
        spec("sha256:1", "docker.io/library/redis:7"),
        &[("io.kubernetes.pod.uid", UID)],
    );
    let [seen] = &listing.containers[..] else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (seen.facts.name.as_deref(), seen.uid.as_deref()),
        (Some("app"), Some(UID))
    );
    assert_eq!(
        seen.facts.image.as_deref(),
        Some("docker.io/library/redis:7")
    );
    let id = container(spec("", ""), &[])
        .containers
        .remove(0)
        .facts
        .image
        .unwrap();
    assert!(is_image_id(&id), "{id}");
    assert!(!is_image_id("redis") && !is_image_id("docker.io/library/redis@sha256:0f"));
    let lie = container(spec("", ""), &[("io.kubernetes.container.name", "other")]);
    assert_eq!((lie.containers.len(), lie.contradictory), (0, 1));
    let names = image_names(vec![
        v1::Image {
            id: "sha256:1".into(),
            repo_tags: vec!["docker.io/library/redis:7".into()],
            ..v1::Image::default()
        },
        v1::Image {
            id: "sha256:2".into(),
            ..v1::Image::default()
        },
    ]);
    assert_eq!(names, map(&[("sha256:1", "docker.io/library/redis:7")]));
}

#[test]
fn a_status_says_what_it_says() {
    // Shortened from what containerd 1.7 answers.
    let text = r#"{"pid":4711,"runtimeHandler":"sandboxed","runtimeType":"io.containerd.runsc.v1","runtimeSpec":
        {"linux":{"cgroupsPath":"/kubepods/pod1/s1","namespaces":[{"type":"pid"},
        {"type":"network","path":"/var/run/netns/cni-1234"}]}}}"#;
    let seen = status("s1", &map(&[("info", text)]));
    let want = SeenStatus {
        sandbox: "s1".into(),
        pid: Some(4711),
        netns: Some("/var/run/netns/cni-1234".into()),
        kind: Some(Sandbox::Gvisor),
    };
    assert_eq!(seen, want);
    let nothing = SeenStatus {
        sandbox: "s1".into(),
        ..SeenStatus::default()
    };
    for text in [
        "",
        "{",
        "[]",
        "{\"pid\":0}",
        "{\"pid\":-1}",
        "{\"pid\":99999999999}",
        "{\"runtimeSpec\":{\"linux\":{\"namespaces\":{}}}}",
        "{\"runtimeSpec\":{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"\"}]}}}",
    ] {
        assert_eq!(status("s1", &map(&[("info", text)])), nothing, "{text}");
    }
}

#[test]
fn labels_are_kept_within_bounds_and_without_the_kubelets_own() {
    let mut item = item("a", "b", UID);
    item.labels = (0..70)
        .map(|n| (format!("l{n:02}"), "v".to_owned()))
        .collect();
    item.labels
        .insert("io.kubernetes.pod.uid".into(), UID.into());
    item.labels.insert("k".repeat(318), String::new());
    item.labels.insert("a-long-value".into(), "v".repeat(64));
    item.labels.insert("a-value".into(), "v".repeat(63));
    let listing = listed(vec![item]);
    let labels = &listing.pods[0].facts.labels;
    assert_eq!(labels.len(), 64);
    // In the order of their keys: one, and 63 of 70.
    assert_eq!(labels["a-value"].len(), 63);
    assert_eq!(labels.last_key_value().unwrap().0, "l62");
    assert_eq!(listing.labels, 2 + 7);
    let told = listing.gaps().join("; ");
    assert!(told.contains("9 labels too many"), "{told}");
}
