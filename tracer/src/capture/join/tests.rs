//! Windows in a row, joined, are the window that they were cut from.

mod boots;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tracer_common::{
    EventRecord, TallyKey, TallyValue,
    tally::{count, limit, queue, slot},
};

use super::*;
use crate::{
    aggregate::{self, Delta, Tallies},
    indicators::{
        Counter, Netstat, Row, RowState,
        memcg::Pressed,
        rows::{self, KernelCounts, Readings, Snapshot, TOGETHER},
    },
    report::{
        Report, Victim,
        tests::fixture::{Fixture, LEAKY, REDIS, REDIS_SIDECAR, WEB, key, refuse},
    },
};

/// The same numbers in each run (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Some more of everything.
fn more(tallies: &mut Tallies, chance: &mut Chance) {
    for cgroup in [LEAKY, REDIS, REDIS_SIDECAR, WEB] {
        let value = tallies.entry(key(cgroup)).or_insert(TallyValue::ZERO);
        let cells = (value.verdicts.iter_mut())
            .chain(&mut value.prunes)
            .chain(&mut value.stalls)
            .chain(&mut value.collapses)
            .chain(&mut value.counts)
            .chain([
                &mut value.rcv_pruned,
                &mut value.ofo_pruned,
                &mut value.rcv_collapsed,
                &mut value.early_exits,
                &mut value.stall_ns,
                &mut value.collapse_ns,
                &mut value.suppressed,
            ]);
        for cell in cells {
            if chance.below(3) == 0 {
                *cell += chance.below(1_000);
            }
        }
        value.last_allocated_pages = 11_000 + chance.below(1_000);
        value.last_tcp_mem_max_pages = 12_000;
    }
}

/// What the kernel would have counted of it, and what it would show.
fn counters(tallies: &Tallies) -> Snapshot {
    let mut all: BTreeMap<u32, BTreeMap<Counter, u64>> = BTreeMap::new();
    for (key, value) in tallies {
        let of = all.entry(key.netns_inum).or_default();
        for counter in Counter::ALL {
            *of.entry(counter).or_default() += aggregate::attributed(value, counter);
        }
    }
    let counts = |(inum, of): (u32, BTreeMap<Counter, u64>)| {
        let names: Vec<&str> = of.keys().map(|counter| counter.name()).collect();
        let values: Vec<String> = of.values().map(u64::to_string).collect();
        let text = format!(
            "TcpExt: {}\nTcpExt: {}\n",
            names.join(" "),
            values.join(" ")
        );
        let counts = KernelCounts {
            netstat: Netstat::parse(&text),
            bounds: [1; Counter::ALL.len()],
            ..KernelCounts::default()
        };
        (inum, counts)
    };
    all.into_iter().map(counts).collect()
}

/// A window between two readings; it begins so many times 10 s after the first.
fn window(number: i64, before: &Tallies, after: &Tallies) -> Capture {
    let mut node = Fixture::quiet();
    node.deltas = aggregate::deltas(before, after);
    let (start, end, within) = (counters(before), counters(after), Snapshot::new());
    let readings = Readings {
        start: &start,
        within: &within,
        end: &end,
    };
    node.rows = rows::rows(readings, Some(&node.deltas));
    let mut capture = node.with_inputs(Capture::of);
    capture.move_by(SignedDuration::from_secs(10 * number));
    capture
}

fn counts(report: &Report) -> Vec<Victim> {
    let mut victims = report.victims.clone();
    victims.sort_by(|a, b| a.owner.name.cmp(&b.owner.name));
    victims
}

fn refused(report: &Report) -> u64 {
    report.victims.iter().map(Victim::refused).sum()
}

#[test]
fn windows_joined_are_the_window_that_they_were_cut_from() {
    let mut chance = Chance(1);
    let mut readings = vec![Tallies::new()];
    for _ in 0..7 {
        let mut next = readings.last().unwrap().clone();
        more(&mut next, &mut chance);
        readings.push(next);
    }
    let mut whole = window(0, &readings[0], &readings[7]);
    whole.header.window.end += SignedDuration::from_secs(60);
    whole.header.window.duration_ns *= 7;
    let mut joined = window(0, &readings[0], &readings[1]);
    for number in 1..7 {
        joined.join(window(
            number as i64,
            &readings[number],
            &readings[number + 1],
        ));
        // As after each minute that was written and read again.
        joined = crate::capture::parse(lines(&joined).as_slice()).unwrap();
    }
    let (one, other) = (joined.report(), whole.report());
    assert_eq!(one.window, other.window);
    assert_eq!(counts(&one), counts(&other));
    assert_eq!(
        one.losses.suppressed_evidence,
        other.losses.suppressed_evidence
    );
    assert_eq!(one.attribution, other.attribution);
    assert_eq!(one.tcp_memory.pressures, other.tcp_memory.pressures);
    for (one, other) in one.reconciliation.iter().zip(&other.reconciliation) {
        assert_eq!(
            (&one.netns, &one.counter, one.state),
            (&other.netns, &other.counter, other.state)
        );
        assert_eq!(
            (one.kernel, one.attributed, one.residual),
            (other.kernel, other.attributed, Some(0))
        );
        // Each end of each window may be off by 1; the first reading of all found nothing to be off.
        assert_eq!(one.bound, Some(13));
    }
    assert_eq!(one.reconciliation.len(), other.reconciliation.len());
    assert_eq!(joined.tallies.len(), 4);
    // What each has refused is in its own window's step.
    let series = one.series.unwrap();
    assert_eq!(series.steps.len(), 7);
    for (number, step) in series.steps.iter().enumerate() {
        assert_eq!(step.end_ns, 10_000_000_000 * (number as u64 + 1));
        let want: u64 = aggregate::deltas(&readings[number], &readings[number + 1])
            .iter()
            .map(|delta| steps::refused(&delta.value))
            .sum();
        let got: u64 = series
            .owners
            .iter()
            .map(|owner| owner.refused[number])
            .sum();
        assert_eq!(got, want, "step {number}");
    }
}

fn lines(capture: &Capture) -> Vec<u8> {
    let mut text = Vec::new();
    crate::capture::lines(capture, &mut text).unwrap();
    text
}

/// A window of so many seconds in which REDIS is refused 3 segments in each.
fn ticking(number: u64, seconds: u64) -> Capture {
    let mut node = Fixture::quiet();
    node.duration_ns = seconds * 1_000_000_000;
    node.tally(REDIS, |value| {
        refuse(value, queue::OFO, limit::RCVBUF, 3 * seconds);
    });
    node.steps = (1..seconds)
        .map(|second| Step {
            end_ns: second * 1_000_000_000,
            sockstat_pages: Some(1_000 + second),
            refused: vec![(key(REDIS), 3)],
        })
        .collect();
    let mut capture = node.with_inputs(Capture::of);
    capture.move_by(SignedDuration::from_secs((number * seconds) as i64));
    capture
}

#[test]
fn ten_minutes_keep_their_seconds_and_a_week_keeps_its_counts() {
    let mut joined = ticking(0, 60);
    for number in 1..10 {
        joined.join(ticking(number, 60));
    }
    let series = joined.report().series.unwrap();
    assert_eq!(series.steps.len(), 600);
    assert_eq!(series.owners[0].refused, [3; 600]);
    assert_eq!(series.steps[65].allocated_bytes, Some(1_006 * 4096));
    for number in 10..400 {
        joined.join(ticking(number, 60));
    }
    let series = joined.report().series.unwrap();
    assert!(
        series.steps.len() <= MAX_STEPS + 60,
        "{}",
        series.steps.len()
    );
    assert!(series.steps.len() > 200);
    assert_eq!(series.owners[0].refused.iter().sum::<u64>(), 3 * 60 * 400);
    assert_eq!(series.steps.last().unwrap().end_ns, 400 * 60_000_000_000);
}

#[test]
fn time_that_nobody_watched_is_a_gap_and_a_step_without_figures() {
    let mut joined = ticking(0, 10);
    joined.join(ticking(3, 10));
    let report = joined.report();
    assert_eq!(report.window.duration_ns, 40_000_000_000);
    let gap = "nothing was watched from 2026-03-14T15:09:36Z to 2026-03-14T15:09:56Z (20.0 s)";
    assert!(
        report.losses.gaps.iter().any(|it| it == gap),
        "{:?}",
        report.losses.gaps
    );
    let series = report.series.unwrap();
    let unseen = &series.steps[10];
    assert_eq!(
        (unseen.end_ns, unseen.allocated_bytes),
        (30_000_000_000, None)
    );
    assert_eq!(series.owners[0].refused[9..12], [3, 0, 3]);
}

fn event(at_ns: u64) -> EventRecord {
    use zerocopy::FromZeros as _;
    EventRecord {
        at_ns,
        owner: key(REDIS),
        ..EventRecord::new_zeroed()
    }
}

#[test]
fn every_record_keeps_its_wall_clock_whatever_is_done_to_clocks() {
    let evidence = |capture: &Capture| -> Vec<Timestamp> {
        let report = capture.report();
        report.evidence.iter().map(|event| event.at).collect()
    };
    // (the clock is set by, the machine was started anew, words)
    for (set, anew, words) in [
        (0, false, None),
        (7_200, false, Some("the clock was set forward by")),
        (-7_200, false, Some("the clock was set back by")),
        (86_400, true, Some("the machine was started anew between")),
        (-86_400, true, Some("the machine was started anew between")),
    ] {
        let mut first = ticking(0, 10);
        first.header.node.boot_id = Some("one".into());
        first.events = vec![event(5_000_000_000)];
        // Nobody watched for 10 s.
        let mut later = set_within(2, set, set);
        later.header.node.boot_id = Some(if anew { "two" } else { "one" }.into());
        later.events = vec![event(if anew { 3 } else { 25_000_000_000 })];
        let mut want: Vec<Timestamp> = [&first, &later].into_iter().flat_map(evidence).collect();
        first.join(later);
        let mut got = evidence(&first);
        want.sort();
        got.sort();
        assert_eq!(got, want, "{set} {anew}");
        let told = first
            .gaps
            .iter()
            .any(|gap| words.is_some_and(|it| gap.contains(it)));
        assert_eq!(told, words.is_some(), "{set} {anew}: {:?}", first.gaps);
        assert_eq!(refused(&first.report()), 60);
    }
}

/// A window that begins with a clock that is ahead by `before` seconds and ends with one that is by `then`.
fn set_within(number: u64, before: i64, then: i64) -> Capture {
    let mut capture = ticking(number, 10);
    let [before, then] = [before, then].map(SignedDuration::from_secs);
    let header = &mut capture.header;
    let zeros = [before, then].map(|ahead| header.monotonic_zero + ahead);
    header.zeros = (before != then).then_some(zeros);
    header.monotonic_zero = zeros[1];
    header.window.start += before;
    header.window.end += then;
    capture.gaps.extend(header.window.clock_set_words());
    capture
}

#[test]
fn a_clock_that_was_set_is_told_once_however_windows_are_joined() {
    // Two hours forward within the first window, or the third; back within the sixth.
    for clocks in [
        [7_200, 7_200, 7_200, 7_200, 7_200, 0, 0, 0],
        [0, 0, 7_200, 7_200, 7_200, 0, 0, 0],
    ] {
        let window = |number: usize| {
            let before = number.checked_sub(1).map_or(0, |last| clocks[last]);
            set_within(number as u64, before, clocks[number])
        };
        told_once(&window, clocks.len());
    }
    // A clock that was set between the end of a window and the making of its capture is told by the next one, and by it alone.
    let mut all = ticking(0, 10);
    all.header.monotonic_zero += SignedDuration::from_secs(7_200);
    all.join(set_within(1, 0, 7_200));
    let told = all.gaps.iter().filter(|gap| gap.contains("the clock"));
    assert_eq!(told.count(), 1, "{:?}", all.gaps);
    // And a time that nobody watched is seen beside a clock that was set before, or meanwhile.
    for meanwhile in [7_200, 0, -7_200] {
        let mut all = set_within(2, 0, 7_200);
        all.join(set_within(4, 7_200 + meanwhile, 7_200 + meanwhile));
        assert_eq!(all.duration_ns(), 30_000_000_000, "{:?}", all.gaps);
        let told = all
            .gaps
            .iter()
            .filter(|gap| gap.contains("the clock was set"));
        assert_eq!(
            told.count(),
            1 + usize::from(meanwhile != 0),
            "{:?}",
            all.gaps
        );
    }
}

/// Joins so many windows in a row, first those before a cut and those after it, and looks at what is told of a clock that was set for a while.
fn told_once(window: &dyn Fn(usize) -> Capture, count: usize) {
    for cut in 1..count {
        let joined = |numbers: std::ops::Range<usize>| {
            (numbers.map(window))
                .reduce(|mut all, next| {
                    all.join(next);
                    all
                })
                .unwrap()
        };
        let mut all = joined(0..cut);
        all.join(joined(cut..count));
        let told: Vec<&String> = (all.gaps.iter())
            .filter(|gap| gap.contains("clock"))
            .collect();
        assert_eq!(told.len(), 2, "{cut}: {told:?}");
        assert!(told.iter().any(|it| it.contains("set forward by 7200.0 s")));
        assert!(told.iter().any(|it| it.contains("set back by 7200.0 s")));
        assert_eq!(all.duration_ns(), 80_000_000_000, "{cut}");
    }
}

#[test]
fn who_gets_a_name_later_has_it_for_all_of_the_time() {
    for unknown_first in [true, false] {
        let mut windows = [ticking(0, 10), ticking(1, 10)];
        let nameless = &mut windows[usize::from(!unknown_first)];
        let number = nameless.names[&key(REDIS)];
        nameless
            .owners
            .insert(number, Owner::of_kind(OwnerKind::Unknown));
        let [mut first, later] = windows;
        first.join(later);
        let report = first.report();
        assert_eq!(report.victims.len(), 1);
        assert_eq!(report.victims[0].owner.name, "cache/redis-0");
        assert_eq!(report.victims[0].refused(), 60);
    }
}

#[test]
fn time_without_kernel_programs_shows_as_a_residual() {
    let mut first = ticking(0, 10);
    let mut later = ticking(1, 10);
    later.header.traced = false;
    later.tallies.clear();
    first
        .rows
        .iter_mut()
        .for_each(|row| (row.kernel, row.attributed) = (Some(30), Some(30)));
    later
        .rows
        .iter_mut()
        .for_each(|row| (row.kernel, row.attributed) = (Some(4), None));
    first.join(later);
    let report = first.report();
    assert_eq!(refused(&report), 30);
    assert!(
        report
            .reconciliation
            .iter()
            .all(|row| row.residual == Some(4))
    );
    assert!(
        report
            .losses
            .gaps
            .iter()
            .any(|gap| gap.contains("kernel programs did not count from"))
    );
}

#[test]
fn losses_and_misses_add_up_and_what_the_kernel_does_not_tell_stays_unknown() {
    let lossy = |misses: Option<u64>| {
        let mut capture = ticking(0, 10);
        capture.header.losses = [2; _];
        capture.header.possible_misses = misses;
        capture.header.recursion_misses = misses.map(|misses| vec![("rmem".to_owned(), misses)]);
        capture
    };
    let mut all = lossy(Some(3));
    all.join(lossy(Some(4)));
    assert_eq!(all.header.losses, [4; _]);
    assert_eq!(all.header.possible_misses, Some(7));
    assert_eq!(
        all.header.recursion_misses,
        Some(vec![("rmem".to_owned(), 7)])
    );
    all.join(lossy(None));
    assert_eq!(
        (all.header.possible_misses, all.header.recursion_misses),
        (None, None)
    );
}

fn row(inum: u32, cookie: u64, state: RowState, kernel: Option<u64>, attributed: u64) -> Row {
    Row {
        netns_inum: inum,
        netns_cookie: (cookie > 0).then_some(cookie),
        counter: Counter::PruneCalled,
        kernel,
        attributed: Some(attributed),
        bound: (state != RowState::Gone).then_some(0),
        state,
    }
}

/// The rows of windows, joined: state, the kernel's count and ours.
fn lives(windows: &[&[Row]]) -> Vec<(RowState, Option<u64>, Option<u64>)> {
    let mut all: Vec<Row> = windows[0].to_vec();
    for later in &windows[1..] {
        rows_of(&mut all, later);
    }
    all.into_iter()
        .map(|row| (row.state, row.kernel, row.attributed))
        .collect()
}

fn rows_of(all: &mut Vec<Row>, later: &[Row]) {
    super::rows::join(all, later.to_vec(), false);
}

#[test]
fn each_life_of_a_namespace_has_a_row() {
    use RowState::{Born, Gone, Present};
    let present = |kernel, ours| [row(5, 1, Present, Some(kernel), ours)];
    // Out of sight, and back: the last row counts since it was last seen (session::baseline).
    let hidden = [row(5, 1, Gone, None, 2)];
    assert_eq!(
        lives(&[
            &present(3, 3),
            &hidden,
            &[row(5, 1, Gone, None, 1)],
            &present(5, 5)
        ]),
        [(Present, Some(8), Some(8))]
    );
    // It died; its number is another one's now.
    let reused = [row(5, 2, Born, Some(7), 7)];
    assert_eq!(
        lives(&[
            &present(3, 3),
            &hidden,
            &reused,
            &[row(5, 2, Present, Some(1), 1)]
        ]),
        [
            (Present, Some(3), Some(3)),
            (Gone, None, Some(2)),
            (Born, Some(8), Some(8))
        ]
    );
    // Died and born in one window.
    let both = [row(5, 1, Gone, Some(1), 1), row(5, 2, Born, Some(4), 4)];
    assert_eq!(
        lives(&[&present(3, 3), &both]),
        [
            (Present, Some(3), Some(3)),
            (Gone, Some(1), Some(1)),
            (Born, Some(4), Some(4))
        ]
    );
    // Counted before it was listed: then compared since its birth.
    assert_eq!(
        lives(&[&[row(6, 9, Gone, None, 4)], &[row(6, 9, Born, Some(9), 9)]]),
        [(Born, Some(9), Some(9))]
    );
    // Without a cookie nobody can tell: nothing is thrown away.
    assert_eq!(
        lives(&[&[row(6, 0, Gone, None, 4)], &[row(6, 0, Born, Some(9), 9)]]),
        [(Gone, None, Some(4)), (Born, Some(9), Some(9))]
    );
    // Not told in one window is not known of both.
    assert_eq!(
        lives(&[&present(3, 3), &[row(5, 1, Present, None, 0)]]),
        [(Present, None, Some(3))]
    );
    // Left out of one because nothing moved there.
    assert_eq!(
        lives(&[&present(3, 2), &[], &present(1, 1)]),
        [(Present, Some(4), Some(3))]
    );
}

#[test]
fn rows_of_all_namespaces_together_are_of_all_windows() {
    use RowState::Present;
    let first = [
        row(5, 1, Present, Some(3), 3),
        row(6, 2, Present, Some(4), 4),
    ];
    let later = [
        row(5, 1, Present, Some(3), 2),
        row(6, 2, Present, Some(9), 0),
        row(TOGETHER, 0, Present, Some(12), 12),
    ];
    for windows in [[&first[..], &later[..]], [&later, &first]] {
        let mut all = windows[0].to_vec();
        rows_of(&mut all, windows[1]);
        let together = all.last().unwrap();
        assert_eq!(together.netns_inum, TOGETHER);
        assert_eq!((together.kernel, together.attributed), (Some(19), Some(19)));
        assert_eq!(together.residual(), Some(0));
    }
}

#[test]
fn events_of_memory_cgroups_add_up() {
    let pressed = |max, usage| Pressed {
        id: 7,
        events: crate::indicators::memcg::Events {
            max,
            ..Default::default()
        },
        usage_bytes: Some(usage),
        max_bytes: None,
        sock_bytes: None,
        windows_clamped: None,
    };
    let all = sums::memcgs(vec![pressed(Some(3), 10)], vec![pressed(Some(4), 5)]);
    assert_eq!(all, [pressed(Some(7), 5)]);
    let all = sums::memcgs(vec![pressed(None, 10)], vec![pressed(Some(4), 5)]);
    assert_eq!(all, [pressed(Some(4), 5)]);
}

#[test]
fn what_one_key_did_is_found_in_the_sum() {
    let value = |n: u64| {
        let mut value = TallyValue::ZERO;
        value.verdicts[slot(queue::RCV, limit::MEMCG_V2)] = n;
        value.counts[count::LISTEN_DROPS] = 10 * n;
        value.last_allocated_pages = n;
        value
    };
    let delta = |cgroup_id, n| Delta {
        key: TallyKey {
            cgroup_id,
            ..TallyKey::default()
        },
        value: value(n),
    };
    let all = sums::tallies(
        vec![delta(1, 2), delta(2, 7)],
        vec![delta(1, 3), delta(3, 1)],
    );
    let want = [
        Delta {
            value: TallyValue {
                last_allocated_pages: 3,
                ..value(5)
            },
            ..delta(1, 0)
        },
        delta(2, 7),
        delta(3, 1),
    ];
    assert_eq!(all, want);
}
