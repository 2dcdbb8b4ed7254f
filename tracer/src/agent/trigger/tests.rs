use tracer_common::{
    TallyKey,
    tally::{limit, queue, slot},
};

use super::*;

fn lines() -> Lines {
    Lines {
        refusals_per_second: 10.0,
        fill: 0.9,
        pressure: true,
        out_of_memory: true,
        stall_p99: Duration::from_millis(10),
        growth_per_minute: 1_000,
        hold: Duration::from_secs(5),
        recover: Duration::from_secs(10),
        cool_down: Duration::from_secs(60),
        before: Duration::ZERO,
    }
}

/// Nothing happens in this second, in which sockets are listed.
fn quiet(second: u64) -> Sample {
    let at = Duration::from_secs(second);
    Sample {
        at,
        listed: at,
        ..Sample::default()
    }
}

/// One sample a second, each made by the number of its second, with a listing in each; what came of each that changed something.
fn run(seconds: u64, of: impl Fn(u64) -> Sample) -> Vec<(u64, Turn)> {
    run_with_listings(seconds, of, |second| second)
}

/// The same, with the second of the last listing before each.
fn run_with_listings(
    seconds: u64,
    of: impl Fn(u64) -> Sample,
    listed: impl Fn(u64) -> u64,
) -> Vec<(u64, Turn)> {
    let mut triggers = Triggers::new(lines());
    let turns = (0..seconds).map(|second| {
        let sample = Sample {
            at: Duration::from_secs(second),
            listed: Duration::from_secs(listed(second)),
            ..of(second)
        };
        (second, triggers.look(&sample))
    });
    turns.filter(|(_, turn)| *turn != Turn::Same).collect()
}

fn refused(refused: u64) -> Sample {
    Sample {
        refused,
        ..Sample::default()
    }
}

#[test]
fn a_quiet_node_raises_nothing() {
    let below = |_| Sample {
        fill: Some(0.89),
        pressure: Some(false),
        refused: 9,
        stalls: [100, 0],
        ..Sample::default()
    };
    assert_eq!(run(300, below), []);
    assert_eq!(run(300, |_| Sample::default()), [], "nothing is known");
}

#[test]
fn refusals_are_an_incident_until_they_have_been_over_for_long_enough() {
    // 50 in five seconds, as soon as they are 50; then less than 8 a second.
    let turns = run(100, |second| {
        refused(if (20..40).contains(&second) { 10 } else { 0 })
    });
    // At 24 the last five seconds hold 50. At 41, with 30 of 50, they are below four fifths; ten seconds later it is over.
    assert_eq!(turns, [(24, Turn::Opened), (51, Turn::Closed)]);
    // Trembling between both lines it stays open.
    let turns = run(100, |second| refused(if second < 30 { 10 } else { 8 }));
    assert_eq!(turns, [(4, Turn::Opened)]);
}

#[test]
fn it_is_over_only_when_sockets_were_listed_in_the_calm() {
    let burst = |second| refused(if second == 20 { 50 } else { 0 });
    // Out of view at 25, over at 35; but sockets were listed at 24, and then at 64.
    let turns = run_with_listings(100, burst, |second| match second {
        0..24 => second,
        24..64 => 24,
        _ => 64,
    });
    assert_eq!(turns, [(20, Turn::Opened), (64, Turn::Closed)]);
    let turns = run_with_listings(100, burst, |second| second.min(25));
    assert_eq!(turns, [(20, Turn::Opened), (35, Turn::Closed)]);
}

#[test]
fn what_comes_back_soon_is_the_same_incident() {
    let at = |bursts: &[u64], second| refused(if bursts.contains(&second) { 50 } else { 0 });
    let soon = run(200, |second| at(&[10, 80], second));
    // A burst is in view for five seconds, and ten seconds must pass.
    assert_eq!(
        soon,
        [
            (10, Turn::Opened),
            (25, Turn::Closed),
            (80, Turn::Reopened),
            (95, Turn::Closed)
        ]
    );
    let late = run(200, |second| at(&[10, 85], second));
    assert_eq!(late[2], (85, Turn::Opened));
}

#[test]
fn fill_must_last_and_is_over_when_it_has_fallen_well_below() {
    let fill = |fill| Sample {
        fill: Some(fill),
        ..Sample::default()
    };
    // Four seconds above the line are too few.
    assert_eq!(
        run(60, |second| fill(if second % 6 < 4 { 0.95 } else { 0.5 })),
        []
    );
    let turns = run(100, |second| {
        fill(match second {
            0..20 => 0.95,
            // Four fifths of 0.9 are 0.72.
            20..40 => 0.73,
            _ => 0.71,
        })
    });
    assert_eq!(turns, [(5, Turn::Opened), (50, Turn::Closed)]);
}

#[test]
fn single_moments_raise_one_at_once_and_others_join() {
    let turns = run(10, |second| Sample {
        aborts: u64::from(second == 3),
        pressures: u64::from(second == 5),
        stalls: if second == 7 { [100, 1] } else { [0, 0] },
        ..Sample::default()
    });
    assert_eq!(
        turns,
        [
            (3, Turn::Opened),
            (5, Turn::Joined(Cause::Pressure)),
            (7, Turn::Joined(Cause::Stalls))
        ]
    );
    let few = run(10, |_| Sample {
        stalls: [1_000, 1],
        ..Sample::default()
    });
    assert_eq!(few, [], "one of a thousand is not the 99th percentile");
}

#[test]
fn growth_is_asked_for_by_the_last_listing() {
    let mut triggers = Triggers::new(lines());
    let mut look = |second, growth: Option<u64>| {
        growth.into_iter().for_each(|it| triggers.grow(it));
        triggers.look(&quiet(second))
    };
    assert_eq!(look(0, Some(999)), Turn::Same);
    assert_eq!(look(1, Some(1_000)), Turn::Opened);
    assert_eq!(look(60, Some(799)), Turn::Same);
    assert_eq!(look(70, None), Turn::Closed);
    let causes: Vec<&str> = triggers.causes().iter().map(|it| it.name()).collect();
    assert_eq!(causes, ["growth"]);
}

#[test]
fn a_sample_counts_what_keys_did() {
    let mut value = TallyValue::ZERO;
    value.verdicts[slot(queue::OFO, limit::TCP_MEM_HARD)] = 3;
    value.verdicts[slot(queue::FORCED, limit::TCP_MEM_HARD)] = 100;
    value.counts[count::ABORTS_ON_MEMORY] = 2;
    value.counts[count::MEMORY_PRESSURES] = 1;
    value.stalls[0] = 7;
    value.stalls[63] = 1;
    let delta = Delta {
        key: TallyKey::default(),
        value,
    };
    let mut sample = Sample::default();
    sample.count(&[delta, delta], Duration::from_millis(10));
    assert_eq!(
        sample,
        Sample {
            refused: 6,
            aborts: 4,
            pressures: 2,
            stalls: [16, 2],
            ..Sample::default()
        }
    );
}

#[test]
fn one_that_was_open_before_is_over_when_nothing_is_the_matter() {
    let mut triggers = Triggers::new(lines());
    triggers.resume();
    assert!(triggers.is_open());
    let mut look = |second| triggers.look(&quiet(second));
    assert_eq!(look(0), Turn::Same);
    assert_eq!(look(9), Turn::Same);
    assert_eq!(look(10), Turn::Closed);
}

#[test]
fn a_line_of_0_is_none() {
    let mut never = Triggers::new(Lines {
        refusals_per_second: 0.0,
        fill: 0.0,
        pressure: false,
        out_of_memory: false,
        stall_p99: Duration::ZERO,
        growth_per_minute: 0,
        ..lines()
    });
    never.grow(u64::MAX);
    for second in 0..100 {
        let turn = never.look(&Sample {
            refused: 1_000,
            aborts: 1,
            stalls: [1, 1],
            pressures: 1,
            pressure: Some(true),
            fill: Some(2.0),
            ..quiet(second)
        });
        assert_eq!(turn, Turn::Same);
    }
}
