//! A procfs made by hand, and this process itself.

use super::*;
use std::time::Duration;

use crate::fixture::Fixture;

const BUDGET: Duration = Duration::from_secs(10);

fn fixture() -> Fixture {
    let proc = Fixture::new();
    proc.link("20/fd/3", "socket:[100]")
        .link("20/fd/4", "socket:[101]")
        .link("20/fd/5", "/dev/null")
        .file("20/comm", "redis-server\n")
        .file("20/cgroup", "4:memory:/kubepods/pod1/c\n0::/\n")
        .link("9/fd/7", "socket:[100]")
        .file("9/comm", "odd\u{1b}name\n")
        .link("8/fd/7", "socket:[nonsense]")
        .dir("7");
    proc
}

#[test]
fn finds_the_lowest_pid() {
    let proc = fixture();
    let mut table = ProcessTable::default();
    table.find(
        proc.path(),
        HashSet::from([100, 101, 102, 0]),
        Bounds::within(BUDGET),
    );
    assert_eq!(table.gaps, Vec::<String>::new());
    let odd = table.get(100).unwrap();
    assert_eq!((odd.pid, odd.command.as_str()), (9, "odd\u{1b}name"));
    assert_eq!(odd.cgroups, ProcessCgroups::default());
    let redis = table.get(101).unwrap();
    assert_eq!((redis.pid, redis.command.as_str()), (20, "redis-server"));
    assert_eq!(redis.cgroups.v1, ["/kubepods/pod1/c"]);
    assert_eq!(table.get(102), None);
    assert_eq!(table.get(0), None);
}

/// Processes end at the worst moment: descriptors read, name not yet.
#[test]
fn processes_that_end_while_they_are_looked_at() {
    let proc = fixture();
    let end = |pid: i32| fs::remove_dir_all(proc.path().join(pid.to_string())).unwrap();
    let mut table = ProcessTable::default();
    // Of 100 another process knows; 101 is of 20 alone.
    let wanted = HashSet::from([100, 101]);
    table.find_with(proc.path(), wanted.clone(), Bounds::within(BUDGET), |pid| {
        if pid == 9 {
            end(pid);
        }
    });
    assert_eq!(table.get(100).map(|process| process.pid), Some(20));
    assert_eq!(table.gaps, Vec::<String>::new(), "all were found");

    let mut table = ProcessTable::default();
    table.find_with(proc.path(), wanted.clone(), Bounds::within(BUDGET), end);
    assert_eq!((table.get(100), table.get(101)), (None, None));
    assert_eq!(
        table.gaps,
        [
            "1 processes that held sockets ended while they were looked at: who they were is not known"
        ]
    );
}

#[test]
fn time_up_and_no_procfs_are_gaps() {
    let mut table = ProcessTable::default();
    table.find(
        fixture().path(),
        HashSet::from([100]),
        Bounds::within(Duration::ZERO),
    );
    assert_eq!(
        table.gaps,
        [
            "time was up at process 7: descriptors of 4 of 4 processes were not looked at, or not all of them"
        ]
    );
    let mut table = ProcessTable::default();
    table.find(
        Path::new("/nonexistent"),
        HashSet::new(),
        Bounds::within(BUDGET),
    );
    assert_eq!(table.gaps, Vec::<String>::new());
    table.find(
        Path::new("/nonexistent"),
        HashSet::from([100]),
        Bounds::within(BUDGET),
    );
    assert_eq!(table.gaps.len(), 1);
}

#[test]
fn cgroups_of_a_process() {
    let hybrid = "12:pids:/system.slice/redis.service\n4:memory,extra:/a:b (deleted)\n\
        3:cpu,cpuacct:/c\n1:name=systemd:/d\n0::/e\nrubbish\n";
    assert_eq!(
        ProcessCgroups::parse(hybrid),
        ProcessCgroups {
            unified: Some("/e".into()),
            v1: vec![
                "/a:b".into(),
                "/system.slice/redis.service".into(),
                "/d".into()
            ],
        }
    );
    assert_eq!(ProcessCgroups::parse(""), ProcessCgroups::default());
}

#[test]
fn the_most_telling_path() {
    let best = |text: &str| {
        let cgroups = ProcessCgroups::parse(text);
        cgroups.best().map(|(path, _)| path.to_owned())
    };
    assert_eq!(
        best("2:pids:/system.slice/a.service\n0::/\n").unwrap(),
        "/system.slice/a.service"
    );
    assert_eq!(
        best("4:memory:/kubepods/pod1/c\n0::/system.slice/kubelet.service\n").unwrap(),
        "/kubepods/pod1/c"
    );
    assert_eq!(
        best("2:pids:/x.service\n0::/y.service\n").unwrap(),
        "/y.service"
    );
    assert_eq!(best("4:memory:/plain\n0::/\n"), None);
    assert_eq!(best(""), None);
    assert_eq!(
        ProcessCgroups::parse("4:memory:/plain\n0::/\n").any(),
        Some("/plain")
    );
    assert_eq!(ProcessCgroups::parse("4:memory:/\n0::/\n").any(), None);
}

#[test]
fn this_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
    let stat = rustix::fs::fstat(&listener).unwrap();
    let inode = u32::try_from(stat.st_ino).unwrap();
    let mut table = ProcessTable::default();
    table.find(
        Path::new("/proc"),
        HashSet::from([inode]),
        Bounds::within(BUDGET),
    );
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(table.get(inode).map(|process| process.pid), Some(own));
    assert_eq!(table.descriptor(inode).unwrap().fd, fd);
}

#[test]
fn who_holds_none_of_the_kept_sockets_is_forgotten() {
    let proc = fixture();
    let mut table = ProcessTable::default();
    let wanted = HashSet::from([100, 101]);
    table.find(proc.path(), wanted, Bounds::within(BUDGET));
    table.keep_only(&HashSet::from([101, 555]));
    assert_eq!(table.get(100), None);
    assert_eq!(table.get(101).map(|process| process.pid), Some(20));
    assert_eq!((table.processes.len(), table.by_inode.len()), (1, 1));
    // Another one that is found later has a place of its own.
    table.find(proc.path(), HashSet::from([100]), Bounds::within(BUDGET));
    assert_eq!(table.get(100).map(|process| process.pid), Some(9));
    assert_eq!(table.get(101).map(|process| process.pid), Some(20));
}
