//! Listing from a fixture, and what happens when a namespace cannot be entered.

use super::*;
use crate::fixture::Fixture;

fn fixture() -> Fixture {
    let proc = Fixture::new();
    proc.link("17/ns/net", "net:[4026531840]")
        .link("9/ns/net", "net:[4026531840]")
        .link("300/ns/net", "net:[4026532281]")
        .link("300/task/300/ns/net", "net:[4026532281]")
        .link("300/task/301/ns/net", "net:[4026532999]")
        .dir("300/task/302")
        .link("400/ns/net", "rubbish")
        .dir("500/ns")
        .file(
            "self/mountinfo",
            concat!(
                "99 31 0:4 net:[4026532281] /run/netns/cni-1 rw - nsfs nsfs rw\n",
                "98 31 0:4 net:[4026532281] /run/other rw - nsfs nsfs rw\n",
                "97 31 0:4 mnt:[4026532400] /run/netns/no rw - nsfs nsfs rw\n",
                "96 31 0:4 net:[4026532282] /run/elsewhere rw - nsfs nsfs rw\n",
            ),
        )
        .file(
            "1/mountinfo",
            "9 3 0:4 net:[4026532283] /run/docker/netns/d rw - nsfs nsfs rw\n",
        );
    proc
}

#[test]
fn lists_each_namespace_once() {
    let proc = fixture();
    let at = |path: &str| proc.path().join(path);
    let listing = list(proc.path());
    let one = |inum, name: Option<&str>, pid, paths: &[PathBuf]| Netns {
        inum,
        name: name.map(str::to_owned),
        pid,
        paths: paths.to_vec(),
    };
    assert_eq!(
        listing.namespaces,
        [
            one(
                4_026_531_840,
                None,
                Some(9),
                &[at("9/ns/net"), at("17/ns/net")]
            ),
            one(
                4_026_532_281,
                Some("cni-1"),
                Some(300),
                &[
                    "/run/netns/cni-1".into(),
                    "/run/other".into(),
                    at("300/ns/net")
                ]
            ),
            one(4_026_532_282, None, None, &["/run/elsewhere".into()]),
            one(
                4_026_532_283,
                Some("d"),
                None,
                &[at("1/root/run/docker/netns/d")]
            ),
            one(4_026_532_999, None, None, &[at("300/task/301/ns/net")]),
        ]
    );
    assert_eq!(listing.gaps, Vec::<String>::new());
}

#[test]
fn no_procfs_is_a_gap() {
    let listing = list(Path::new("/nonexistent"));
    assert_eq!(listing.namespaces, []);
    assert_eq!(listing.gaps.len(), 1);
    assert!(
        listing.gaps[0].starts_with("/nonexistent cannot be listed"),
        "{:?}",
        listing.gaps
    );
}

#[test]
fn numbers_of_links() {
    assert_eq!(link_inum("net:[4026531840]"), Some(4_026_531_840));
    for bad in [
        "net:[]x",
        "net:[-1]",
        "net:[99999999999]",
        "mnt:[1]",
        "",
        "net:[1",
    ] {
        assert_eq!(link_inum(bad), None, "{bad}");
    }
}

#[test]
fn one_that_is_gone_is_no_gap() {
    let proc = fixture();
    let gone = Netns {
        inum: 1,
        name: None,
        pid: None,
        paths: vec!["/nonexistent/ns/net".into()],
    };
    let visit = visit(proc.path(), &[gone], |netns, _| netns.inum);
    assert_eq!(
        visit,
        Visit {
            results: vec![],
            gaps: vec![]
        }
    );
}

#[test]
fn a_reused_path_is_not_entered() {
    // The path leads to a file, but not to this namespace any more.
    let proc = fixture();
    let path = proc.path().join("self/mountinfo");
    let reused = Netns {
        inum: 1,
        name: None,
        pid: None,
        paths: vec![path],
    };
    assert_eq!(
        visit(proc.path(), &[reused], |netns, _| netns.inum).results,
        Vec::<u32>::new()
    );
}

#[test]
fn own_namespace_needs_no_right() {
    let proc = Path::new("/proc");
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let inum = link_inum(own.to_str().unwrap()).unwrap();
    let netns = Netns {
        inum,
        name: None,
        pid: None,
        paths: Vec::new(),
    };
    let seen = visit(proc, &[netns], |netns, place| (netns.inum, place.clone()));
    let place = Place {
        net: "/proc/thread-self/net".into(),
        inside: true,
    };
    assert_eq!(
        seen,
        Visit {
            results: vec![(inum, place)],
            gaps: vec![]
        }
    );
    assert!(list(proc).namespaces.iter().any(|netns| netns.inum == inum));
}

#[test]
fn a_panic_is_a_gap() {
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let inum = link_inum(own.to_str().unwrap()).unwrap();
    let netns = Netns {
        inum,
        name: None,
        pid: None,
        paths: Vec::new(),
    };
    let seen: Visit<()> = visit(Path::new("/proc"), &[netns], |_, _| {
        panic!("on purpose, in a test")
    });
    assert_eq!(seen.results, []);
    assert_eq!(seen.gaps.len(), 1);
}
