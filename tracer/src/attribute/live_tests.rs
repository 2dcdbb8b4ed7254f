//! Answers taken by hand; the tests of the lab have a server that speaks the protocol.

use std::fs;

use super::*;
use crate::{
    attribute::{
        cri::{Listing, SeenContainer, SeenPod},
        owner::{ContainerFacts, PodFacts},
        pod_logs::PodName,
    },
    fixture::Fixture,
};

const UID: &str = "6c2c2d3e-1111-4222-8333-00000000000a";

fn sources(machine: &Fixture) -> Sources {
    Sources {
        proc: machine.path().join("proc"),
        cgroup_root: machine.path().join("cgroup"),
        pod_logs: machine.path().join("logs"),
        cri: Sockets::Given(vec![machine.path().join("no.sock")]),
        ..Sources::default()
    }
}

fn listing(sandbox: &str) -> Listing {
    Listing {
        pods: vec![SeenPod {
            sandbox: sandbox.into(),
            uid: UID.into(),
            aliases: Vec::new(),
            name: PodName {
                namespace: "shop".into(),
                name: "redis-0".into(),
            },
            facts: PodFacts::default(),
            handler_open: false,
            ready: true,
        }],
        containers: vec![SeenContainer {
            id: "c1".into(),
            sandbox: sandbox.into(),
            uid: None,
            facts: ContainerFacts::default(),
        }],
        ..Listing::default()
    }
}

fn whole(listing: Listing) -> Answer {
    Answer {
        listing,
        whole: true,
        ..Answer::default()
    }
}

#[test]
fn a_runtime_that_is_not_there_is_a_gap_and_names_come_from_folders() {
    let machine = Fixture::new();
    machine.dir(&format!("logs/shop_redis-0_{UID}"));
    let sources = sources(&machine);
    let mut live = Live::start(&sources);
    let mut attributor = sources.read();
    let late = format!("shop_late_{}", "0f".repeat(16));
    machine.dir(&format!("logs/{late}"));
    fs::remove_dir(machine.path().join("logs").join(&late)).unwrap();
    live.settle(&mut attributor);
    let gaps = attributor.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("no.sock"), "{gaps:?}");
    assert_eq!(attributor.pods.get(UID).unwrap().name, "redis-0");
    assert_eq!(attributor.pods.get(&"0f".repeat(16)).unwrap().name, "late");
}

#[test]
fn only_the_newborn_are_asked_for_and_not_for_ever() {
    let machine = Fixture::new();
    let sources = sources(&machine);
    let mut live = Live::start(&sources);
    let mut attributor = Attributor::default();
    live.settle(&mut attributor);
    live.take(whole(listing("s1")), &mut attributor);
    for path in [
        "/kubepods/pod0f",
        "/system.slice/x.service",
        &format!("/kubepods/pod{UID}/c1"),
        &format!("/kubepods/pod{UID}/s1"),
    ] {
        live.born(path, &attributor);
    }
    assert!(live.wanted.is_empty(), "{:?}", live.wanted);
    live.born(&format!("/kubepods/pod{UID}/c2/init.scope"), &attributor);
    assert_eq!(live.wanted.get("c2"), Some(&(UID.to_owned(), TRIES)));
    for _ in 0..TRIES {
        live.ask(&attributor);
        let _ = live
            .reader
            .as_mut()
            .and_then(|reader| reader.wait(Instant::now() + sources.patience));
    }
    live.ask(&attributor);
    assert!(live.wanted.is_empty(), "{:?}", live.wanted);
    for number in 0..WANTED_MAX + 5 {
        live.born(&format!("/kubepods/pod{UID}/n{number}"), &attributor);
    }
    assert_eq!(live.wanted.len(), WANTED_MAX);
}

#[test]
fn gaps_end_when_everything_was_listed() {
    let machine = Fixture::new();
    let mut live = Live::start(&sources(&machine));
    let mut attributor = Attributor::default();
    let gap = |words: &str| Answer {
        gaps: vec![words.into()],
        ..Answer::default()
    };
    live.take(gap("a"), &mut attributor);
    live.take(gap("a"), &mut attributor);
    live.take(gap("b"), &mut attributor);
    assert_eq!(attributor.cri.gaps, ["a", "b"]);
    assert!(!live.listed);
    live.take(whole(listing("s1")), &mut attributor);
    assert_eq!(attributor.cri.gaps, Vec::<String>::new());
    assert!(live.listed);
    for number in 0..GAPS_MAX + 5 {
        live.take(gap(&number.to_string()), &mut attributor);
    }
    assert_eq!(attributor.cri.gaps.len(), GAPS_MAX);
}

/// One that did not answer once is asked for everything, although nobody is newborn, until it answers.
#[test]
fn after_a_failure_everything_is_listed_again() {
    let machine = Fixture::new();
    let mut live = Live::start(&sources(&machine));
    let mut attributor = Attributor::default();
    live.settle(&mut attributor);
    live.take(whole(listing("s1")), &mut attributor);
    assert_eq!((live.listed, live.again), (true, None));
    let failed = Answer {
        failed: true,
        gaps: vec!["refused".into()],
        ..Answer::default()
    };
    live.take(failed, &mut attributor);
    assert!(!live.listed);
    let again = live.again.unwrap();
    assert!(again > Instant::now());
    let open = |live: &Live| live.reader.as_ref().unwrap().is_open();
    live.ask(&attributor);
    assert!(!open(&live), "not at once");
    live.again = Some(Instant::now());
    live.ask(&attributor);
    assert!(open(&live), "when it is time");
    // Nobody listens there.
    live.settle(&mut attributor);
    assert!(live.again.is_some_and(|next| next > Instant::now()));
    live.take(whole(listing("s1")), &mut attributor);
    assert_eq!((live.listed, live.again), (true, None));
    assert_eq!(attributor.cri.gaps, Vec::<String>::new());
}

/// A namespace without processes, told by the runtime; it is not believed where it means the node's, or one that has a pod.
#[test]
fn the_namespace_of_a_sandbox() {
    let machine = Fixture::new();
    machine
        .file("proc/1/root/run/netns/cni-1", "")
        .link("proc/1/ns/net", "net:[1]");
    let mounted = residents::mounted(&machine.path().join("proc/1/root/run/netns/cni-1")).unwrap();
    let netns = |inum: u32| {
        let netns = Netns {
            inum,
            name: None,
            pid: None,
            paths: Vec::new(),
        };
        (netns, Some(u64::from(inum)))
    };
    let mut live = Live::start(&sources(&machine));
    let mut attributor = Attributor::default();
    live.settle(&mut attributor);
    live.take(whole(listing("s1")), &mut attributor);
    live.look_at(
        &mut attributor,
        &[netns(mounted), netns(1), netns(9)],
        false,
    );
    assert_eq!(
        live.statuses(&attributor),
        Vec::<String>::new(),
        "asked already"
    );
    live.asked.clear();
    assert_eq!(live.statuses(&attributor), ["s1"]);
    let status = |path: Option<&str>, pid: Option<i32>| Answer {
        statuses: vec![SeenStatus {
            sandbox: "s1".into(),
            pid,
            netns: path.map(Into::into),
            kind: None,
        }],
        ..Answer::default()
    };
    machine
        .link("proc/7/ns/net", "net:[1]")
        .link("proc/8/ns/net", "net:[9]");
    live.take(status(None, Some(7)), &mut attributor);
    assert_eq!(attributor.namespaces.get(1, 1), None, "the node's");
    live.take(status(Some("/run/netns/cni-1"), Some(8)), &mut attributor);
    let found = |inum: u32| {
        attributor
            .namespaces
            .get(inum, u64::from(inum))
            .map(|it| it.uid.as_str())
    };
    assert_eq!((found(mounted), found(9)), (Some(UID), None));
}
