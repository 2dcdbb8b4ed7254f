//! Listings one after the other.

use super::*;

const A: &str = "/kubepods/burstable/pod6c2c2d3e-1111-4222-8333-00000000000a";
const B: &str = "/kubepods/pod7d2c2d3e-1111-4222-8333-00000000000b";

fn of(path: &str) -> Resident {
    resident(&[vec![path]]).unwrap()
}

fn seen(inum: u32, cookie: Option<u64>, path: Option<&str>) -> Seen {
    Seen {
        inum,
        cookie,
        resident: path.map(of),
    }
}

#[test]
fn processes_of_one_pod_and_strangers_without_a_pod() {
    let (one, two) = (format!("{A}/c1"), format!("{A}/c2/inner"));
    let admin = "/user.slice/user-0.slice/session-1.scope";
    let found = resident(&[
        vec!["/", admin],
        vec![&one],
        vec!["/system.slice/x.service", &two],
    ])
    .unwrap();
    assert_eq!(found.uid, "6c2c2d3e-1111-4222-8333-00000000000a");
    assert_eq!(
        (found.path.as_deref(), found.qos),
        (Some(A), Some(Qos::Burstable))
    );
    assert_eq!(resident(&[vec![&one], vec![B]]), None, "two pods");
    let docker = format!("/docker/{}", "0f".repeat(32));
    let scope = format!("{docker}/init.scope");
    assert_eq!(
        resident(&[vec![&scope], vec![&one]]),
        None,
        "a node within a container"
    );
    assert_eq!(resident(&[vec![admin], Vec::new()]), None);
    assert_eq!(resident(&[]), None);
}

#[test]
fn by_cookie_even_after_the_number_was_given_again() {
    let mut table = NetnsTable::default();
    table.learn(vec![seen(7, Some(100), Some(A))]);
    assert!(table.knows(7, Some(100)) && !table.knows(7, Some(101)));
    table.learn(vec![seen(7, Some(101), Some(B))]);
    assert_eq!(table.get(7, 100), Some(&of(A)));
    assert_eq!(table.get(7, 101), Some(&of(B)));
    assert_eq!((table.get(7, 102), table.of_scan(7)), (None, None));
    assert_eq!(table.get(7, 0), None, "it may be either");
    assert_eq!(table.get(8, 100), None);
}

#[test]
fn without_cookies_only_what_was_there_all_the_time() {
    let mut table = NetnsTable::default();
    table.learn(vec![seen(7, None, Some(A)), seen(8, None, Some(B))]);
    table.learn(vec![seen(7, None, Some(A)), seen(9, None, Some(B))]);
    assert_eq!(table.get(7, 0), Some(&of(A)));
    assert_eq!(
        table.get(7, 100),
        Some(&of(A)),
        "the kernel programs see a cookie, we do not"
    );
    assert_eq!(
        table.get(8, 0),
        None,
        "gone: the number may be another's by now"
    );
    assert_eq!(
        table.get(9, 0),
        None,
        "who had the number before is not known"
    );
    // Scans are made when the namespaces are listed.
    assert_eq!(table.of_scan(8), Some(&of(B)));
    assert_eq!(table.of_scan(9), Some(&of(B)));
    table.learn(vec![seen(7, None, Some(B))]);
    assert_eq!(table.get(7, 0), None, "another pod with the same number");
}

#[test]
fn a_namespace_without_a_pod_is_nobodys() {
    let mut table = NetnsTable::default();
    table.learn(vec![seen(7, Some(1), None), seen(8, None, None)]);
    assert_eq!((table.get(7, 1), table.get(8, 0)), (None, None));
    assert!(!table.knows(7, Some(1)));
    // A pod moves in: the same namespace where the cookie says so.
    table.learn(vec![seen(7, Some(1), Some(A)), seen(8, None, Some(A))]);
    assert_eq!((table.get(7, 1), table.get(8, 0)), (Some(&of(A)), None));
    table.learn(vec![seen(7, Some(1), Some(B))]);
    table.learn(vec![seen(7, Some(1), Some(A))]);
    assert_eq!(table.get(7, 1), None, "disputed");
    assert!(table.knows(7, Some(1)));
}

#[test]
fn a_word_counts_only_where_nothing_else_is_known() {
    let mut table = NetnsTable::default();
    table.learn(vec![
        seen(7, Some(1), None),
        seen(8, Some(2), Some(A)),
        seen(9, Some(3), Some(A)),
    ]);
    table.learn(vec![seen(7, Some(1), None), seen(8, Some(2), Some(A))]);
    for claimed in [
        seen(7, Some(1), Some(B)),
        seen(8, Some(2), Some(B)),
        seen(9, Some(3), Some(B)),
    ] {
        table.claim(claimed);
    }
    table.claim(seen(7, Some(5), Some(A)));
    assert_eq!(
        (table.get(7, 1), table.get(8, 2), table.get(9, 3)),
        (Some(&of(B)), Some(&of(A)), Some(&of(A)))
    );
    assert!(table.houses("7d2c2d3e111142228333-00000000000B") && !table.houses("other"));
}

#[test]
fn many_namespaces_take_bounded_memory() {
    let mut table = NetnsTable::default();
    for cookie in 1..1000 {
        table.learn(vec![seen(7, Some(cookie), Some(A))]);
    }
    assert_eq!(table.by_inum[&7].len(), LIVES_MAX);
    for inum in 0..u32::try_from(NAMESPACES_MAX).unwrap() * 2 {
        table.learn(vec![seen(inum, Some(1), None)]);
        assert!(table.by_inum.len() <= NAMESPACES_MAX);
    }
}
