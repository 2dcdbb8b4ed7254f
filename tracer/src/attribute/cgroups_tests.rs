//! A table by hand, and a walk over folders that stand for cgroups.

use super::*;
use crate::fixture::Fixture;

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn a_walk_learns_and_notes_deaths() {
    let root = Fixture::new();
    root.dir("system.slice/redis.service")
        .file("system.slice/cgroup.procs", "1\n")
        .dir("kubepods/pod1/c1")
        .link("elsewhere", "/");
    let mut table = CgroupTable::default();
    table.walk(root.path());
    assert_eq!(table.len(), 6);
    assert_eq!(table.gaps(), Vec::<String>::new());
    assert_eq!(table.path(inode(root.path())), Some("/"));
    let pod = inode(&root.path().join("kubepods/pod1/c1"));
    assert_eq!(table.path(pod), Some("/kubepods/pod1/c1"));
    assert_eq!(table.id("/kubepods/pod1/c1"), Some(pod));

    fs::remove_dir(root.path().join("kubepods/pod1/c1")).unwrap();
    table.walk(root.path());
    assert_eq!(
        table.path(pod),
        Some("/kubepods/pod1/c1"),
        "dead paths stay"
    );
}

/// Cgroups are removed while the walk goes on, each at the moment when it would be listed: no gap, the name stays, and it is among
/// the living no more.
#[test]
fn cgroups_removed_in_the_middle_of_a_walk() {
    let root = Fixture::new();
    let pods = 20;
    for number in 0..pods {
        root.dir(&format!("kubepods/pod{number}/c1/inner"));
    }
    let paths = (0..pods).map(|number| root.path().join(format!("kubepods/pod{number}")));
    let ids: Vec<u64> = paths.clone().map(|path| inode(&path)).collect();
    let survivor = root.path().join("kubepods/pod7/c1/inner");
    let mut table = CgroupTable::default();
    table.walk_with(root.path(), |folder| {
        let is_pod = folder.parent() == Some(&root.path().join("kubepods"));
        if is_pod && !survivor.starts_with(folder) {
            fs::remove_dir_all(folder).unwrap();
        }
    });
    assert_eq!(table.gaps(), Vec::<String>::new());
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(
            table.path(*id),
            Some(format!("/kubepods/pod{number}").as_str())
        );
        let lives = table.living().any(|(living, _)| living == *id);
        assert_eq!(lives, number == 7, "pod{number}");
    }
    assert_eq!(
        table.path(inode(&survivor)),
        Some("/kubepods/pod7/c1/inner")
    );

    // The whole tree goes: what was found stays known.
    let mut table = CgroupTable::default();
    table.walk_with(root.path(), |folder| {
        if folder == root.path().join("kubepods") {
            fs::remove_dir_all(root.path()).unwrap();
        }
    });
    assert_eq!((table.len(), table.gaps()), (2, Vec::new()));
    assert_eq!(table.living().count(), 1);
}

#[test]
fn the_kernel_tells_births() {
    let mut table = CgroupTable::default();
    assert!(table.is_empty());
    table.learn(7, "/a");
    table.learn(0, "/zero");
    table.learn(OVERFLOW_ID, "/overflow");
    assert_eq!(table.len(), 1);
    assert_eq!(table.path(7), Some("/a"));
    // A path that is used again belongs to the newer cgroup; the older id keeps its name.
    table.learn(8, "/a");
    assert_eq!(
        (table.path(7), table.path(8), table.id("/a")),
        (Some("/a"), Some("/a"), Some(8))
    );
    // A cgroup that got another name.
    table.learn(7, "/b");
    assert_eq!(
        (table.path(7), table.id("/b"), table.id("/a")),
        (Some("/b"), Some(7), Some(8))
    );
}

#[test]
fn a_full_table_gives_the_room_of_the_dead() {
    let mut table = CgroupTable::with_max(2);
    table.learn(1, "/a");
    table.learn(2, "/b");
    table.learn(3, "/c");
    assert_eq!(table.path(3), None);
    assert_eq!(table.gaps().len(), 1);
    table.forget(1);
    table.forget(1);
    table.forget(99);
    assert_eq!(table.path(1), Some("/a"));
    table.learn(3, "/c");
    assert_eq!(
        (table.path(1), table.path(3), table.id("/a")),
        (None, Some("/c"), None)
    );
    // Dead, and told anew: it lives, so its room is not given away.
    table.forget(2);
    table.learn(2, "/b");
    table.learn(4, "/d");
    assert_eq!((table.path(2), table.path(4)), (Some("/b"), None));
}

#[test]
fn of_the_dead_those_who_died_last_are_kept_though_there_is_room() {
    let mut table = CgroupTable::default();
    table.learn(1, "/lives");
    let dead = 2..2 + DEAD_MAX as u64 + 3;
    for id in dead.clone() {
        table.learn(id, &format!("/{id}"));
        table.forget(id);
    }
    assert_eq!((table.len(), table.gaps().len()), (DEAD_MAX + 1, 0));
    assert_eq!((table.path(4), table.id("/4")), (None, None));
    assert_eq!((table.path(5), table.path(1)), (Some("/5"), Some("/lives")));
    assert_eq!(table.by_path.len(), DEAD_MAX + 1);
}

#[test]
fn bounds_are_gaps() {
    let root = Fixture::new();
    root.dir("a").dir("b").dir("c");
    let mut table = CgroupTable::with_max(2);
    table.walk(root.path());
    assert_eq!(table.len(), 2);
    assert_eq!(table.gaps(), ["more than 2 cgroups: the rest is unknown"]);

    let deep = Fixture::new();
    deep.dir(&"d/".repeat(DEPTH_MAX + 5));
    let mut table = CgroupTable::default();
    table.walk(deep.path());
    assert_eq!(table.len(), DEPTH_MAX);
    assert_eq!(table.gaps(), ["1 cgroups deeper than 64 levels"]);

    table.walk(Path::new("/nonexistent"));
    assert_eq!(table.gaps().len(), 1);
    assert_eq!(table.len(), DEPTH_MAX);
}
