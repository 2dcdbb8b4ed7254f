//! Listings one after the other, honest and not.

use super::*;
use crate::attribute::owner::Sandbox;

const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";
const KEY: &str = "6c2c2d3e11114222833300000000000a";

fn pod(sandbox: &str, uid: &str, name: &str) -> SeenPod {
    SeenPod {
        sandbox: sandbox.into(),
        uid: uid.into(),
        aliases: Vec::new(),
        name: PodName {
            namespace: "shop".into(),
            name: name.into(),
        },
        facts: PodFacts::default(),
        handler_open: false,
        ready: true,
    }
}

fn container(id: &str, sandbox: &str, uid: Option<&str>) -> SeenContainer {
    SeenContainer {
        id: id.into(),
        sandbox: sandbox.into(),
        uid: uid.map(str::to_owned),
        facts: ContainerFacts {
            name: Some("app".into()),
            image: None,
        },
    }
}

fn listing(pods: Vec<SeenPod>, containers: Vec<SeenContainer>) -> Listing {
    Listing {
        pods,
        containers,
        ..Listing::default()
    }
}

fn name<'a>(table: &'a CriTable, uid: &str) -> Option<&'a str> {
    table.pod(uid).map(|pod| pod.name.name.as_str())
}

#[test]
fn pods_by_uid_and_containers_by_id() {
    let mut table = CriTable::default();
    assert!(table.is_empty());
    table.learn(
        listing(
            vec![pod("s1", UID, "redis-0")],
            vec![
                container("c1", "s1", Some(UID)),
                container("c2", "s9", None),
            ],
        ),
        true,
    );
    assert_eq!(
        (name(&table, UID), name(&table, KEY)),
        (Some("redis-0"), Some("redis-0"))
    );
    assert_eq!(
        (table.uid_of("c1"), table.uid_of("s1")),
        (Some(KEY), Some(KEY))
    );
    let app = table.container("c1").unwrap().facts.as_ref().unwrap();
    assert_eq!(app.name.as_deref(), Some("app"));
    assert!(table.container("s1").unwrap().facts.is_none());
    assert_eq!(table.uid_of("c2"), None, "of a sandbox that nobody knows");
    assert_eq!(table.sandboxes().collect::<Vec<_>>(), [("s1", KEY)]);
    assert_eq!(table.faults(), Vec::<String>::new());
}

#[test]
fn the_dead_keep_their_names_and_restarts_are_no_contradiction() {
    let mut table = CriTable::default();
    table.learn(
        listing(
            vec![pod("s1", UID, "redis-0")],
            vec![container("c1", "s1", None)],
        ),
        true,
    );
    let again = SeenPod {
        ready: false,
        ..pod("s1", UID, "redis-0")
    };
    let pods = vec![pod("s2", UID, "redis-0"), again];
    table.learn(listing(pods, vec![container("c2", "s2", None)]), true);
    table.learn(Listing::default(), true);
    assert_eq!(name(&table, UID), Some("redis-0"));
    assert_eq!(
        (table.uid_of("c1"), table.uid_of("c2"), table.uid_of("s2")),
        (Some(KEY), Some(KEY), Some(KEY))
    );
    assert_eq!(table.faults(), Vec::<String>::new());
}

#[test]
fn a_static_pod_by_its_mirror_too() {
    let mut table = CriTable::default();
    let mirror = SeenPod {
        aliases: vec!["0123456789abcdef0123456789abcdef".into(), "---".into()],
        ..pod("s1", UID, "etcd-node-7")
    };
    table.learn(listing(vec![mirror], Vec::new()), true);
    assert_eq!(
        name(&table, "0123456789abcdef0123456789abcdef"),
        Some("etcd-node-7")
    );
    assert_eq!(table.uid_of("s1"), Some(KEY));
}

#[test]
fn of_contradictory_names_neither_is_believed() {
    let mut table = CriTable::default();
    let two = vec![pod("s1", UID, "redis-0"), pod("s2", UID, "evil")];
    table.learn(listing(two, Vec::new()), true);
    assert_eq!(name(&table, UID), None);
    table.learn(listing(vec![pod("s1", UID, "redis-0")], Vec::new()), true);
    assert_eq!(name(&table, UID), None, "whoever lied once may lie again");
    assert_eq!(table.faults().len(), 1);
}

#[test]
fn a_container_of_two_pods_is_of_none() {
    let other = "7d2c2d3e-1111-4222-8333-00000000000b";
    let mut table = CriTable::default();
    let pods = vec![pod("s1", UID, "a"), pod("s2", other, "b")];
    let containers = vec![
        container("c1", "s1", None),
        container("c1", "s2", None),
        container("c2", "s1", Some(other)),
        container("s2", "s1", None),
    ];
    table.learn(listing(pods, containers), true);
    assert_eq!(
        (table.uid_of("c1"), table.uid_of("c2"), table.uid_of("s2")),
        (None, None, None)
    );
    assert_eq!(table.uid_of("s1"), Some(KEY));
    assert!(
        table.faults()[0].contains(" 3 times"),
        "{:?}",
        table.faults()
    );
}

#[test]
fn a_part_says_nothing_of_the_others() {
    let mut table = CriTable::default();
    table.learn(listing(vec![pod("s1", UID, "a")], Vec::new()), true);
    for number in 0..PODS_MAX {
        table.learn(
            listing(
                vec![pod(&format!("s-{number}"), &format!("u-{number}"), "x")],
                Vec::new(),
            ),
            false,
        );
    }
    assert_eq!(name(&table, UID), Some("a"), "nobody said that it is gone");
    assert!(
        table.faults().iter().any(|fault| fault.contains("1 pods")),
        "{:?}",
        table.faults()
    );
}

#[test]
fn what_a_status_told_stays() {
    let mut table = CriTable::default();
    let open = SeenPod {
        handler_open: true,
        ..pod("s1", UID, "a")
    };
    table.learn(listing(vec![open.clone()], Vec::new()), true);
    assert_eq!(table.open(9), ["s1"]);
    let status = SeenStatus {
        sandbox: "s1".into(),
        kind: Some(Sandbox::Gvisor),
        ..SeenStatus::default()
    };
    table.learn_status(&status);
    assert_eq!(table.open(9), Vec::<String>::new());
    assert_eq!(table.pod(UID).unwrap().facts.sandbox, Some(Sandbox::Gvisor));
    table.learn(listing(vec![open], Vec::new()), true);
    assert_eq!(table.open(9), Vec::<String>::new(), "it was asked");
    assert_eq!(table.pod(UID).unwrap().facts.sandbox, Some(Sandbox::Gvisor));
}
