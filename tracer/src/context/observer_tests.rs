//! Observers of machines made by hand: a host with v1 hierarchies, because a folder is no cgroup2.

use super::*;
use crate::{
    attribute::OwnerKind,
    fixture::Fixture,
    report::context::{Ruling, Wait},
};

const POD: &str = "kubepods/pod1";

fn machine() -> Fixture {
    let machine = Fixture::new();
    machine
        .file(
            &format!("cgroup/cpu/{POD}/c/cpu.stat"),
            "nr_periods 10\nnr_throttled 1\n",
        )
        .file(
            &format!("cgroup/cpu/{POD}/cpu.stat"),
            "nr_periods 10\nnr_throttled 1\n",
        )
        .file(&format!("cgroup/memory/{POD}/c/memory.failcnt"), "5\n")
        .file("proc/pressure/io", "some avg10=1.00 total=1000\n")
        .file("proc/pressure/cpu", "some avg10=50.00 total=1000\n")
        .file(
            "proc/7/cgroup",
            &format!("4:memory:/{POD}/c\n3:cpu,cpuacct:/{POD}/c\n"),
        )
        .file("proc/7/task/7/stat", "7 (app) S 1")
        .file("proc/7/task/7/wchan", "hrtimer_nanosleep")
        .file("proc/8/cgroup", "4:memory:/other\n");
    machine
}

fn sources(machine: &Fixture) -> Sources {
    Sources {
        proc: machine.path().join("proc"),
        cgroup_root: machine.path().join("cgroup"),
        ..Sources::default()
    }
}

fn subject(path: &str) -> Subject<'static> {
    let owner = Owner {
        pod_uid: Some("1".into()),
        cgroup_path: Some(path.into()),
        ..Owner::of_kind(OwnerKind::Pod)
    };
    Subject {
        owners: BTreeSet::from([owner]),
        held: 1,
        netns: BTreeSet::from([42]),
        ..Subject::default()
    }
}

fn pod() -> Group {
    Group::Pod("1".into())
}

/// Ends a window, or a snapshot.
fn end(observer: Observer, subject: Subject, window: bool) -> (Context, Vec<String>) {
    let counts = Snapshot::new();
    let ending = Ending {
        subjects: vec![(pod(), subject)],
        residents: &BTreeMap::new(),
        unread_before: &HashSet::new(),
        named: &HashSet::new(),
        counts_before: window.then_some(&counts),
        counts: &counts,
    };
    let (mut contexts, gaps) = observer.end(&ending);
    (contexts.remove(&pod()).unwrap(), gaps)
}

#[test]
fn figures_are_differences_and_threads_are_looked_at_often_enough() {
    let machine = machine();
    let subject = subject(&format!("/{POD}/c"));
    let subjects = BTreeMap::from([(pod(), subject.clone())]);
    let mut observer = Observer::begin(&sources(&machine), &subjects);
    machine
        .file(
            &format!("cgroup/cpu/{POD}/c/cpu.stat"),
            "nr_periods 30\nnr_throttled 3\n",
        )
        .file(
            &format!("cgroup/cpu/{POD}/cpu.stat"),
            "nr_periods 110\nnr_throttled 81\n",
        )
        .file(&format!("cgroup/memory/{POD}/c/memory.failcnt"), "9\n");
    observer.look(&[]);
    let (context, gaps) = end(observer, subject, true);
    assert_eq!(gaps, Vec::<String>::new());
    let cpu = &context.cpu.figures;
    // 2 of 20 in the container, 80 of 100 in the pod above it.
    assert_eq!((cpu.periods, cpu.throttled_periods), (Some(100), Some(80)));
    assert_eq!(cpu.throttled_cgroup.as_deref(), Some("/kubepods/pod1"));
    assert_eq!(context.memory.figures.max_events, Some(4));
    assert_eq!(
        context.cgroups,
        ["/kubepods/pod1/c", "/kubepods/pod1", "/kubepods"]
    );
    let threads = &context.threads;
    assert_eq!((threads.threads, threads.mostly(Wait::Sleep)), (1, 1));
    assert!(threads.rounds >= ROUNDS, "{threads:?}");
    assert!(
        context
            .gaps
            .iter()
            .any(|gap| gap.contains("no pressure of its cgroup")),
        "{:?}",
        context.gaps
    );
    // The node's totals did not move within the window.
    assert_eq!(context.io.figures.node_psi.unwrap().some_share, Some(0.0));
    let judged = crate::diagnose::context::judge(context);
    assert_eq!(
        (judged.io.finding, judged.cpu.finding),
        (Ruling::RuledOut, Ruling::Confirmed)
    );
}

#[test]
fn a_snapshot_has_averages_and_no_differences() {
    let machine = machine();
    let subject = subject(&format!("/{POD}/c"));
    let subjects = BTreeMap::from([(pod(), subject.clone())]);
    let observer = Observer::begin(&sources(&machine), &subjects);
    let (context, _) = end(observer, subject, false);
    assert_eq!(
        (context.covers_ns, context.cpu.figures.periods),
        (None, None)
    );
    let psi = context.cpu.figures.node_psi.unwrap();
    assert_eq!((psi.some_share, psi.some()), (None, Some(0.5)));
    assert_eq!(context.network.figures.out_segments, None);
    assert!(context.threads.rounds >= ROUNDS);
}

#[test]
fn who_is_known_only_at_the_end_is_looked_at_then() {
    let machine = machine();
    let observer = Observer::begin(&sources(&machine), &BTreeMap::new());
    let (context, _) = end(observer, subject(&format!("/{POD}/c")), true);
    assert_eq!(context.threads.mostly(Wait::Sleep), 1);
    assert_eq!(
        context.cpu.figures.periods, None,
        "there was no reading before"
    );
    assert!(
        context
            .gaps
            .iter()
            .any(|gap| gap.contains("was not read when the window opened"))
    );
}

#[test]
fn who_is_named_meanwhile_is_taken_in() {
    let machine = machine();
    let subject = subject(&format!("/{POD}/c"));
    let mut observer = Observer::begin(&sources(&machine), &BTreeMap::new());
    let named: Vec<Owner> = subject.owners.iter().cloned().collect();
    observer.look(&named);
    machine.file(
        &format!("cgroup/cpu/{POD}/c/cpu.stat"),
        "nr_periods 15\nnr_throttled 1\n",
    );
    let (context, _) = end(observer, subject, true);
    assert_eq!(context.cpu.figures.periods, Some(5));
}

#[test]
fn what_vanishes_is_a_gap() {
    let machine = machine();
    let subject = subject(&format!("/{POD}/c"));
    let subjects = BTreeMap::from([(pod(), subject.clone())]);
    let observer = Observer::begin(&sources(&machine), &subjects);
    std::fs::remove_dir_all(machine.path()).unwrap();
    let (context, _) = end(observer, subject, true);
    assert!(
        context
            .gaps
            .iter()
            .any(|gap| gap.contains("cannot be read, or is gone")),
        "{:?}",
        context.gaps
    );
    let judged = crate::diagnose::context::judge(context);
    assert_eq!(judged.memory.finding, Ruling::NotKnown);
}

#[test]
fn without_time_nothing_more_is_read() {
    let machine = machine();
    let mut observer = Observer::begin(&sources(&machine), &BTreeMap::new());
    let subject = subject(&format!("/{POD}/c"));
    assert!(!observer.read_base(&subject, Instant::now()));
    assert!(observer.base.is_empty());
    let soon = Instant::now() + START_BUDGET;
    assert!(observer.read_base(&subject, soon));
    assert_eq!(observer.base.len(), 3, "the cgroup and the two above it");
    assert!(
        observer.read_base(&subject, Instant::now()),
        "all was read before"
    );
}

#[test]
fn no_more_owners_than_a_bound_are_tracked() {
    let machine = machine();
    let subjects: BTreeMap<Group, Subject<'_>> = (0..MAX_TRACKED + 2)
        .map(|number| (Group::Pod(number.to_string()), subject("/gone")))
        .collect();
    let mut observer = Observer::begin(&sources(&machine), &subjects);
    assert_eq!(observer.tracked.len(), MAX_TRACKED / 2);
    assert!(
        observer.gaps.is_empty(),
        "the rest is looked at when it matters"
    );
    observer.track(&subjects.iter().collect::<Vec<_>>());
    assert_eq!(observer.tracked.len(), MAX_TRACKED);
    assert_eq!(observer.gaps.len(), 1);
}

#[test]
fn the_process_that_holds_what_is_unread_now_is_the_reader() {
    let machine = machine();
    machine
        .file("proc/9/cgroup", &format!("4:memory:/{POD}/c\n"))
        .file("proc/9/task/9/stat", "9 (app) R 1")
        .link("proc/7/fd/3", "socket:[70]")
        .link("proc/9/fd/3", "socket:[90]");
    let with = |inode: u32| Subject {
        inodes: HashSet::from([inode]),
        ..subject(&format!("/{POD}/c"))
    };
    let subjects = BTreeMap::from([(pod(), with(70))]);
    let observer = Observer::begin(&sources(&machine), &subjects);
    assert_eq!(observer.tracked[&pod()].pids, [7]);
    let (context, _) = end(observer, with(90), true);
    assert_eq!(context.threads.mostly(Wait::Running), 1);
    assert_eq!(context.threads.samples_of(Wait::Sleep), 0);
}

#[test]
fn the_dead_keep_what_they_did() {
    let machine = machine();
    let subject = subject(&format!("/{POD}/c"));
    let subjects = BTreeMap::from([(pod(), subject.clone())]);
    let mut observer = Observer::begin(&sources(&machine), &subjects);
    observer.look(&[]);
    observer.look(&[]);
    std::fs::remove_dir_all(machine.path().join("proc/7")).unwrap();
    let (context, _) = end(observer, subject, true);
    assert_eq!(context.threads.rounds, 3, "one at the start and two looks");
    assert_eq!(context.threads.mostly(Wait::Sleep), 1);
}
