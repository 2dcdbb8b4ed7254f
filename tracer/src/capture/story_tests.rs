//! However many come and go, a story takes no more, and its sums are what they were.

use std::collections::BTreeMap;

use tracer_common::tally::{limit, queue};

use super::*;
use crate::{
    aggregate::Delta,
    indicators::{Counter, memcg::Events},
    report::{
        OwnerKind as Kind, Report,
        tests::fixture::{Fixture, event, key, netns, pod, refuse},
    },
};

/// Pods that are there all the time, each in a network namespace of its own.
const STAY: [u64; 3] = [100, 200, 300];

/// Pod number `n` of those that come for one window.
fn comes(n: u64) -> u64 {
    10_000 + 100 * n
}

/// A window in which each of these was refused so many segments, all of which the kernel counted.
fn window(refused: &[(u64, u64)]) -> Capture {
    let mut node = Fixture::quiet();
    node.owners.clear();
    node.rows.clear();
    let living = STAY.map(|cgroup| (cgroup, 0));
    for (cgroup, _) in living.iter().chain(refused) {
        let uid = format!("{cgroup:08}-0000-4000-8000-000000000001");
        let mut owner = pod("shop", &format!("pod-{cgroup}"), &uid, "aaaa");
        owner.cgroup_id = Some(*cgroup);
        node.owners.insert(*cgroup, owner);
    }
    let mut counted = BTreeMap::from(living);
    counted.extend(refused.iter().copied());
    for (cgroup, count) in counted {
        node.rows.push(Row {
            netns_inum: netns(cgroup),
            netns_cookie: Some(cgroup),
            counter: Counter::TCPRcvQDrop,
            kernel: Some(count),
            attributed: Some(count),
            bound: Some(0),
            state: RowState::Born,
        });
    }
    for (cgroup, count) in refused {
        node.tally(*cgroup, |value| {
            refuse(value, queue::RCV, limit::TCP_MEM_HARD, *count);
            value.prunes[limit::TCP_MEM_HARD] = *count;
        });
        node.events
            .push(event(*cgroup, 1, queue::RCV, limit::TCP_MEM_HARD));
    }
    let step = steps::Step {
        end_ns: 5_000_000_000,
        sockstat_pages: Some(1_200),
        refused: refused
            .iter()
            .map(|(it, count)| (key(*it), *count))
            .collect(),
    };
    node.steps = vec![step];
    node.with_inputs(Capture::of)
}

fn story(windows: impl IntoIterator<Item = Capture>) -> Capture {
    let mut windows = windows.into_iter();
    let mut story = Story::begin(windows.next().unwrap());
    for window in windows {
        story.extend(window);
    }
    story.capture
}

fn refused(report: &Report) -> BTreeMap<&str, u64> {
    let victims = report.victims.iter();
    victims
        .map(|it| (it.owner.name.as_str(), it.refused()))
        .collect()
}

#[test]
fn it_takes_no_more_however_many_come_and_go() {
    const WINDOWS: u64 = 300;
    let mut story = Story::begin(window(&[(STAY[0], 7)]));
    let mut sizes = Vec::new();
    for n in 1..WINDOWS {
        // One suffers little all the time, one comes and goes.
        story.extend(window(&[(STAY[0], 7), (comes(n), 1_000 + n)]));
        let mut records = story.capture.count();
        // They have a bound of their own.
        for other in ["step", "event", "gap"] {
            records.remove(other);
        }
        sizes.push(records);
    }
    assert_eq!(sizes[150], sizes[298]);
    // 300 were there in all.
    assert_eq!(story.summed(), 300 - MOST as u64);
    let story = story.capture;
    assert_eq!(story.tallies.len(), MOST + 1);
    assert!(story.owners.len() <= MOST + 1 + Keep::INCIDENT.events);

    let report = story.report_of(1_000);
    let all = refused(&report);
    let came: u64 = (1..WINDOWS).map(|n| 1_000 + n).sum();
    assert_eq!(all.values().sum::<u64>(), came + 7 * WINDOWS);
    // Of whom all is known, and who suffered most.
    assert_eq!(all["shop/pod-100"], 7 * WINDOWS);
    let last = comes(WINDOWS - 1);
    assert_eq!(
        all[format!("shop/pod-{last}").as_str()],
        1_000 + WINDOWS - 1
    );
    let others = report.victims.last().unwrap();
    assert_eq!(others.owner.kind, Kind::Other);
    assert!(others.netns.is_empty());
    // All who came but the 63 that suffered most, who are the last of them.
    let singly: u64 = (WINDOWS - 63..WINDOWS).map(|n| 1_000 + n).sum();
    assert_eq!(others.refused(), came - singly);

    let series = report.series.as_ref().unwrap();
    assert!(series.owners.iter().all(|it| it.owner.kind != Kind::Other));
    let owners = series.owners.iter().flat_map(|it| &it.refused);
    assert_eq!(
        owners.chain(&series.others).sum::<u64>(),
        came + 7 * WINDOWS
    );
    assert_eq!(report.attribution.refusals, Some(came + 7 * WINDOWS));
    assert_eq!(report.losses.unattributed, Some(0));
    let words = story.left_out_in_words();
    let told = "victims: what 236 more cgroups suffered, or a part of it, was recorded as one sum";
    assert!(words.iter().any(|it| it == told), "{words:?}");
    // It is read back as it was.
    assert_eq!(crate::capture::tests::replay(&story), story.report());
}

#[test]
fn whoever_suffers_now_is_told_beside_those_who_suffered_most() {
    let many: Vec<(u64, u64)> = (0..2 * MOST as u64).map(|n| (comes(n), 1_000)).collect();
    let story = story([
        window(&many),
        window(&[(STAY[1], 3)]),
        window(&[(STAY[1], 4), (STAY[2], 1)]),
    ]);
    let report = story.report_of(1_000);
    let all = refused(&report);
    assert_eq!((all["shop/pod-200"], all["shop/pod-300"]), (7, 1));
    assert_eq!(all.len(), MOST + 1);
    assert_eq!(all["all others"], (MOST as u64 + 2) * 1_000);
    for step in &story.steps {
        let keys: BTreeSet<_> = step.refused.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), step.refused.len());
    }
    assert_eq!(
        report.victims.last().unwrap().owner.kind,
        Kind::Other,
        "though it is the largest"
    );
}

#[test]
fn where_not_all_are_remembered_there_are_at_least_as_many() {
    let mut story = Story::begin(window(&[]));
    let keys = (1..REMEMBERED - 1).map(|cgroup_id| TallyKey {
        cgroup_id,
        ..TallyKey::default()
    });
    story.summed = keys.collect();
    // One more in the sum each time; the third finds no room.
    for (n, told) in [
        (1, "what 4095 "),
        (2, "what at least 4096 "),
        (3, "what at least 4096 "),
    ] {
        let many: Vec<_> = (0..n + MOST as u64).map(|it| (comes(it), 5)).collect();
        story.extend(window(&many));
        let words = story.capture().left_out_in_words();
        assert!(words.iter().any(|it| it.contains(told)), "{words:?}");
    }
    assert_eq!(story.summed(), REMEMBERED);
}

#[test]
fn few_are_kept_as_they_are() {
    let few: Vec<(u64, u64)> = (0..MOST as u64).map(|n| (comes(n), 1)).collect();
    let story = story([window(&few), window(&few)]);
    assert_eq!(story.tallies.len(), MOST);
    assert_eq!(story.header().left_out.owners, 0);
    assert!(!story.names.contains_key(&OTHERS));
}

#[test]
fn the_living_and_what_does_not_agree_keep_their_rows() {
    let all: Vec<(u64, u64)> = (0..3 * MOST as u64).map(|n| (comes(n), 5)).collect();
    let mut first = window(&all);
    let of = |cgroup: u64| move |row: &&mut Row| row.netns_inum == netns(cgroup);
    // Of two that are gone the kernel tells another number, and none. There is no room for either.
    let differing = all.last().unwrap().0;
    first.rows.iter_mut().find(of(differing)).unwrap().kernel = Some(4);
    let dead = first.rows.iter_mut().find(of(comes(8))).unwrap();
    (dead.state, dead.bound) = (RowState::Gone, None);
    // That one suffered least.
    (dead.kernel, dead.attributed) = (None, Some(1));
    // Half of them are still there.
    let half = &all[..all.len() / 2];
    let living = half.iter().map(|(cgroup, _)| (*cgroup, 0));
    let living: Vec<_> = living.filter(|(it, _)| *it != comes(8)).collect();
    let mut second = window(&living);
    second.tallies.clear();
    let story = story([first, second]);
    let inums: BTreeSet<u32> = story.rows.iter().map(|row| row.netns_inum).collect();
    for (cgroup, _) in &living {
        assert!(inums.contains(&netns(*cgroup)), "{cgroup} lives");
    }
    assert!(inums.contains(&netns(differing)));
    assert!(!inums.contains(&netns(comes(8))));
    assert_eq!(inums.len() - living.len(), MOST + 1);
    let left = story.header().left_out;
    assert_eq!(left.rows as usize, all.len() - inums.len());
    assert_eq!(story.header().at_rest.unknown, 1);
    let report = story.report();
    let differs = report
        .reconciliation
        .iter()
        .filter(|it| it.residual == Some(-1));
    assert_eq!(differs.count(), 1);
    let gaps = report.losses.gaps;
    let words = format!("{} rows of network namespaces that are gone", left.rows);
    assert!(gaps.iter().any(|gap| gap.contains(&words)), "{gaps:?}");
}

#[test]
fn without_counters_nobody_is_taken_for_gone() {
    let all: Vec<(u64, u64)> = (0..3 * MOST as u64).map(|n| (comes(n), 5)).collect();
    let mut unread = window(&[]);
    unread.rows.clear();
    let story = story([window(&all), unread]);
    assert_eq!(story.rows.len(), all.len());
    assert_eq!(story.header().left_out.rows, 0);
}

#[test]
fn whose_owner_is_lost_is_none_of_the_others() {
    let lost = |n: u64| Delta {
        key: key(comes(n)).overflow(),
        ..window(&[(comes(n), 5)]).tallies[0]
    };
    let mut first = window(
        &(0..MOST as u64)
            .map(|n| (comes(n), 100))
            .collect::<Vec<_>>(),
    );
    first.tallies.extend((0..10).map(lost));
    let report = story([first, window(&[])]).report_of(1_000);
    assert_eq!(report.losses.unattributed, Some(50));
    assert_eq!(refused(&report)["unattributed (tables full)"], 50);
    assert!(!refused(&report).contains_key("all others"));
}

#[test]
fn memory_cgroups_that_met_their_limit_most_are_kept() {
    let pressed = |id: u64, max: u64| Pressed {
        id,
        events: Events {
            max: Some(max),
            ..Events::default()
        },
        usage_bytes: None,
        max_bytes: None,
        sock_bytes: None,
        windows_clamped: None,
    };
    let mut first = window(&[]);
    let many = 2 * MOST as u64;
    first.memcgs = (0..many).map(|n| pressed(1_000 + n, 10 + n)).collect();
    let mut second = window(&[]);
    second.memcgs = vec![pressed(500, 1)];
    let story = story([first, second]);
    let ids: Vec<u64> = story.memcgs.iter().map(|it| it.id).collect();
    let most = 1_000 + many - (MOST as u64 - 1)..1_000 + many;
    assert_eq!(ids, [500].into_iter().chain(most).collect::<Vec<_>>());
    assert_eq!(story.header().left_out.memcgs, many + 1 - MOST as u64);
}

#[test]
fn one_half_of_the_room_is_for_the_heaviest_and_one_for_the_latest() {
    let weights = (0..100_u64).map(|n| (n, n));
    let now: BTreeSet<u64> = (0..40).collect();
    let (singly, others) = chosen(weights.clone(), &now);
    assert_eq!(singly, (8..40).chain(68..100).collect());
    assert_eq!(others, (0..8).chain(40..68).collect());
    let (singly, others) = chosen(weights.take(64), &BTreeSet::new());
    assert_eq!((singly.len(), others.len()), (64, 0));
}
