//! A spool in a folder of the test's own.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{export::Protocol, fixture::Fixture};

fn message(key: &str) -> Message {
    Message {
        to: "https://example.com/".to_owned(),
        protocol: Protocol::Plain,
        key: key.to_owned(),
        media_type: "application/json".to_owned(),
        body: format!("{{\"of\":\"{key}\"}}"),
    }
}

fn put(spool: &Spool, key: &str) -> Entry {
    match spool.put(&message(key)).unwrap() {
        Kept::Waits(entry) => entry,
        Kept::NoRoom => panic!("no room for {key}"),
    }
}

fn keys(spool: &Spool) -> Vec<String> {
    let entries = spool.waiting().unwrap();
    let read = |entry: &Entry| spool.read(entry).unwrap().key;
    entries.iter().map(read).collect()
}

#[test]
fn messages_wait_in_the_order_of_coming() {
    let folder = Fixture::new();
    let spool = Spool::open(&folder.path().join("deep/spool"), 1 << 20).unwrap();
    // Not in the order of their keys, and within one millisecond or not.
    for key in ["c", "a", "b"] {
        put(&spool, key);
    }
    assert_eq!(keys(&spool), ["c", "a", "b"]);
    let again = put(&spool, "a");
    assert_eq!(keys(&spool), ["c", "a", "b"], "a repeat keeps its place");
    spool.remove(&again).unwrap();
    assert_eq!(keys(&spool), ["c", "b"]);

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.folder()), 0o700);
    let first = &spool.waiting().unwrap()[0];
    assert_eq!(mode(&spool.folder().join(&first.0)), 0o600);
}

#[test]
fn a_clock_that_was_set_back_changes_no_order() {
    let folder = Fixture::new();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let entry = put(&spool, "old");
    // As if it had come in a thousand years.
    let future = Entry(format!("{:020}-old{WAITING}", now() * 20));
    fs::rename(folder.path().join(&entry.0), folder.path().join(&future.0)).unwrap();
    put(&spool, "new");
    assert_eq!(keys(&spool), ["old", "new"]);
}

#[test]
fn what_does_not_fit_is_counted() {
    let folder = Fixture::new();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    put(&spool, "a");
    let size = spool.size().unwrap();
    // Room for two, not for three; one set aside takes room too.
    let spool = Spool::open(folder.path(), 2 * size + size / 2).unwrap();
    let second = put(&spool, "b");
    assert_eq!(spool.put(&message("c")).unwrap(), Kept::NoRoom);
    assert_eq!(
        spool.put(&message("b")).unwrap(),
        Kept::Waits(second.clone())
    );
    spool.set_aside(&second).unwrap();
    assert_eq!(keys(&spool), ["a"]);
    assert_eq!(spool.put(&message("c")).unwrap(), Kept::NoRoom);

    assert_eq!(spool.count_lost().unwrap(), 1);
    assert_eq!(spool.count_lost().unwrap(), 2);
    assert_eq!(spool.take_lost().unwrap(), 2);
    assert_eq!(spool.take_lost().unwrap(), 0);
}

#[test]
fn what_is_no_message_is_told_and_foreign_files_are_left_alone() {
    let folder = Fixture::new();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let good = put(&spool, "a");
    let whole = fs::read_to_string(folder.path().join(&good.0)).unwrap();
    let cut = Entry(format!("{:020}-cut{WAITING}", 1));
    let later = Entry(format!("{:020}-later{WAITING}", 2));
    folder
        .file(&cut.0, &whole[..whole.len() / 2])
        .file(&later.0, &whole.replace("spool/v1", "spool/v2"))
        .file("notes.json", "{}")
        .file(PARTIAL, "left by a crash");
    assert_eq!(spool.waiting().unwrap(), [cut.clone(), later.clone(), good]);
    for bad in [cut, later] {
        let why = format!("{:#}", spool.read(&bad).unwrap_err());
        assert!(why.contains(&bad.0), "{why}");
    }
    put(&spool, "b");
    assert!(folder.path().join("notes.json").exists());
    assert!(!folder.path().join(PARTIAL).exists());
}

#[test]
fn one_at_a_time_sends() {
    let folder = Fixture::new();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let right = spool.sending().unwrap().unwrap();
    assert!(spool.sending().unwrap().is_none());
    drop(right);
    assert!(spool.sending().unwrap().is_some());
}
