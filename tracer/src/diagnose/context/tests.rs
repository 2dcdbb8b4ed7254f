//! Each state by itself, the reader by all of them; expected shares are computed in the test.

use super::*;
use crate::report::context::{Reader, ThreadWait};

/// Threads that each did one thing at all ten looks.
fn threads(kinds: &[(Wait, &str)]) -> Threads {
    let rounds = 10;
    Threads {
        processes: 1,
        threads: kinds.len() as u64,
        rounds,
        samples: rounds * kinds.len() as u64,
        waits: kinds
            .iter()
            .map(|(kind, channel)| ThreadWait {
                kind: *kind,
                wait_channel: (!channel.is_empty()).then(|| (*channel).to_owned()),
                samples: rounds,
                threads: 1,
            })
            .collect(),
    }
}

fn psi(some_share: f64) -> Option<Psi> {
    Some(Psi {
        some_share: Some(some_share),
        ..Psi::default()
    })
}

/// A context in which everything was read and nothing waits, with data left unread.
fn calm() -> Context {
    let mut context = Context {
        left_unread_bytes: Some(4096),
        threads: threads(&[(Wait::Other, "")]),
        ..Context::default()
    };
    context.io.figures.psi = psi(0.002);
    context.memory.figures.psi = psi(0.0);
    let cpu = &mut context.cpu.figures;
    (cpu.periods, cpu.throttled_periods) = (Some(100), Some(0));
    (cpu.busiest_thread_share, cpu.delayed_thread_share) = (Some(0.01), Some(0.0));
    let network = &mut context.network.figures;
    (network.in_segments, network.out_segments) = (Some(1000), Some(1000));
    (network.retransmitted, network.retransmit_share) = (Some(0), Some(0.0));
    (network.out_of_order, network.out_of_order_share) = (Some(0), Some(0.0));
    (network.refused_in_order, network.refused_on_node) = (Some(0), Some(0));
    context
}

fn rulings(context: &Context) -> [Ruling; 5] {
    [
        context.io.finding,
        context.cpu.finding,
        context.locks.finding,
        context.memory.finding,
        context.network.finding,
    ]
}

/// All ruled out but one.
fn only(place: usize) -> [Ruling; 5] {
    let mut rulings = [Ruling::RuledOut; 5];
    rulings[place] = Ruling::Confirmed;
    rulings
}

#[test]
fn nothing_read_is_nothing_known() {
    let judged = judge(Context::default());
    assert_eq!(rulings(&judged), [Ruling::NotKnown; 5]);
    assert_eq!(judged.reader, None);
    assert!(
        judged.io.words.contains("could not be read"),
        "{}",
        judged.io.words
    );
}

#[test]
fn nothing_waits_and_nothing_tells_why() {
    let judged = judge(calm());
    assert_eq!(rulings(&judged), [Ruling::RuledOut; 5]);
    assert_eq!(judged.reader, Some(Reader::Unknown));
    assert_eq!(judged.io.words, "not IO: stalled 0.2 % of the time");
    let reads = judge(Context {
        left_unread_bytes: Some(0),
        ..calm()
    });
    assert_eq!(reads.reader, None);
}

#[test]
fn pressure_decides_at_a_tenth_of_the_window() {
    for (share, io) in [(0.0999, Ruling::RuledOut), (0.1, Ruling::Confirmed)] {
        let mut context = calm();
        context.io.figures.psi = psi(share);
        assert_eq!(judge(context).io.finding, io, "{share}");
        let mut context = calm();
        context.memory.figures.psi = psi(share);
        let memory = judge(context).memory.finding;
        assert_eq!(memory, io, "{share}");
    }
}

#[test]
fn a_node_that_is_not_stalled_rules_out_what_a_cgroup_without_pressure_suffers() {
    for (share, want) in [(0.05, Ruling::RuledOut), (0.5, Ruling::NotKnown)] {
        let mut context = calm();
        context.io.figures.psi = None;
        context.io.figures.node_psi = psi(share);
        assert_eq!(judge(context).io.finding, want, "{share}");
    }
}

#[test]
fn a_throttled_reader_waits_for_cpu() {
    for (throttled, want) in [(9, Ruling::RuledOut), (10, Ruling::Confirmed)] {
        let mut context = calm();
        context.threads = threads(&[(Wait::Running, "")]);
        context.cpu.figures.throttled_periods = Some(throttled);
        context.cpu.figures.quota_cpus = Some(0.2);
        let judged = judge(context);
        assert_eq!(judged.cpu.finding, want);
        let reader = match want {
            Ruling::Confirmed => Reader::Cpu,
            _ => Reader::Unknown,
        };
        assert_eq!(judged.reader, Some(reader));
        let share = format!("throttled in {throttled}.0 % of 100 periods by a quota of 0.20 CPUs");
        assert!(judged.cpu.words.contains(&share), "{}", judged.cpu.words);
    }
}

#[test]
fn threads_that_are_not_delayed_outweigh_a_cgroup_that_is() {
    let mut context = calm();
    context.cpu.figures.psi = psi(0.9);
    assert_eq!(judge(context.clone()).cpu.finding, Ruling::RuledOut);
    context.cpu.figures.delayed_thread_share = None;
    assert_eq!(judge(context.clone()).cpu.finding, Ruling::Confirmed);
    context.cpu.figures.psi = psi(0.0);
    context.cpu.figures.busiest_thread_share = Some(0.9);
    let busy = judge(context);
    assert_eq!(
        (busy.cpu.finding, busy.reader),
        (Ruling::Confirmed, Some(Reader::Cpu))
    );
}

#[test]
fn a_stuck_thread_is_the_reader_where_no_other_receives() {
    let stuck = [
        (Wait::Lock, "futex_wait_queue"),
        (Wait::Sleep, "hrtimer_nanosleep"),
    ];
    let mut context = calm();
    context.threads = threads(&stuck);
    context.locks.figures.stuck_threads = Some(1);
    let judged = judge(context.clone());
    assert_eq!(rulings(&judged), only(2));
    assert_eq!(judged.reader, Some(Reader::Locks));
    assert!(
        judged.locks.words.contains("1 of 2 threads")
            && judged.locks.words.contains("futex_wait_queue"),
        "{}",
        judged.locks.words
    );
    context.threads = threads(&[stuck[0], (Wait::Receive, "do_epoll_wait")]);
    assert_eq!(judge(context).locks.finding, Ruling::NotKnown);
}

#[test]
fn futexes_are_locks_only_where_nothing_else_goes_on() {
    let of = |kinds: &[(Wait, &str)]| {
        judge(Context {
            threads: threads(kinds),
            ..calm()
        })
    };
    let futex = (Wait::Futex, "futex_wait_queue");
    let all = of(&[futex, futex, (Wait::Join, "futex_wait_queue")]);
    assert_eq!(
        (all.locks.finding, all.reader),
        (Ruling::Confirmed, Some(Reader::Locks))
    );
    let server = of(&[futex, futex, (Wait::Receive, "do_epoll_wait")]);
    assert_eq!(server.locks.finding, Ruling::RuledOut);
    assert_eq!(
        server.reader,
        Some(Reader::Idle),
        "it waits for events while data lies unread"
    );
    assert_eq!(
        of(&[futex, (Wait::Running, "")]).locks.finding,
        Ruling::RuledOut
    );
}

#[test]
fn a_reader_that_sleeps_is_idle_whatever_its_neighbours_suffer() {
    for kind in [Wait::Sleep, Wait::Stopped] {
        let mut context = calm();
        context.threads = threads(&[
            (kind, "hrtimer_nanosleep"),
            (Wait::Join, "futex_wait_queue"),
        ]);
        context.io.figures.psi = psi(0.8);
        let judged = judge(context);
        assert_eq!(judged.reader, Some(Reader::Idle));
        assert_eq!(
            judged.io.finding,
            Ruling::Confirmed,
            "somebody in its cgroup waits"
        );
    }
    let mut once = calm();
    once.threads = threads(&[(Wait::Sleep, "hrtimer_nanosleep")]);
    once.threads.rounds = MIN_ROUNDS - 1;
    assert_eq!(
        judge(once).reader,
        Some(Reader::Unknown),
        "two looks are chance"
    );
}

#[test]
fn reclaim_explains_the_disk_and_the_lock_that_it_causes() {
    let mut context = calm();
    context.threads = threads(&[(Wait::Disk, "folio_wait_bit_common")]);
    context.locks.figures.stuck_threads = Some(1);
    assert_eq!(judge(context.clone()).reader, Some(Reader::Io));
    context.memory.figures.psi = psi(0.5);
    let judged = judge(context);
    assert_eq!(judged.io.finding, Ruling::Confirmed);
    assert_eq!(judged.reader, Some(Reader::Memory));
}

#[test]
fn uninterruptible_sleep_without_a_place_or_a_stall_is_not_for_a_disk() {
    for (channel, stalled, want) in [
        (None, 0.009, Ruling::RuledOut),
        (None, 0.01, Ruling::Confirmed),
        (Some("folio_wait_bit_common"), 0.0, Ruling::Confirmed),
    ] {
        let mut context = calm();
        context.threads = threads(&[(Wait::Disk, "")]);
        context.threads.waits[0].wait_channel = channel.map(str::to_owned);
        context.io.figures.psi = psi(stalled);
        assert_eq!(judge(context).io.finding, want, "{channel:?} {stalled}");
    }
}

#[test]
fn a_disk_thread_beside_one_that_receives_is_no_reader() {
    let mut context = calm();
    context.threads = threads(&[
        (Wait::Disk, "jbd2_log_wait_commit"),
        (Wait::Receive, "ep_poll"),
    ]);
    assert_eq!(judge(context).io.finding, Ruling::RuledOut);
}

#[test]
fn a_full_cgroup_is_no_wait() {
    let mut context = calm();
    let memory = &mut context.memory.figures;
    (memory.usage_bytes, memory.max_bytes) = (Some(1 << 20), Some(1 << 20));
    memory.max_events = Some(700);
    let judged = judge(context.clone());
    assert_eq!(judged.memory.finding, Ruling::RuledOut);
    assert!(
        judged
            .memory
            .words
            .contains("1.0 MiB used of 1.0 MiB, 700 charges at the limit"),
        "{}",
        judged.memory.words
    );
    context.memory.figures.oom_kills = Some(1);
    assert_eq!(judge(context).memory.finding, Ruling::Confirmed);
}

#[test]
fn loss_is_told_from_what_this_node_refused() {
    let lossy = |refused: u64| {
        let mut context = calm();
        let network = &mut context.network.figures;
        (network.retransmitted, network.retransmit_share) = (Some(50), Some(0.05));
        network.refused_on_node = Some(refused);
        judge(context).network.finding
    };
    // Ten retransmits a refusal: 4 explain 40 of 50, 5 explain them all.
    assert_eq!(lossy(4), Ruling::Confirmed);
    assert_eq!(lossy(5), Ruling::NotKnown);
    let late = |refused: u64, out_of_order: u64| {
        let mut context = calm();
        let network = &mut context.network.figures;
        network.out_of_order = Some(out_of_order);
        network.out_of_order_share = Some(out_of_order as f64 / 1000.0);
        network.refused_in_order = Some(refused);
        judge(context).network.finding
    };
    assert_eq!(late(0, 49), Ruling::RuledOut);
    assert_eq!(late(0, 50), Ruling::Confirmed);
    assert_eq!(late(1, 101), Ruling::Confirmed);
    assert_eq!(late(1, 100), Ruling::NotKnown);
}

#[test]
fn a_few_segments_are_no_loss() {
    let few = |out: u64, again: u64| {
        let mut context = calm();
        let network = &mut context.network.figures;
        (network.out_segments, network.retransmitted) = (Some(out), Some(again));
        network.retransmit_share = Some(again as f64 / out as f64);
        judge(context).network.finding
    };
    assert_eq!(few(MIN_SEGMENTS - 1, 99), Ruling::RuledOut);
    assert_eq!(few(1000, MIN_RETRANSMITS - 1), Ruling::RuledOut);
    assert_eq!(few(1000, MIN_RETRANSMITS), Ruling::Confirmed);
    assert_eq!(few(10_000, 99), Ruling::RuledOut);
}

#[test]
fn who_waits_to_send_waits_for_its_peers() {
    let mut context = calm();
    context.threads = threads(&[(Wait::Send, "sk_stream_wait_memory")]);
    let judged = judge(context);
    assert_eq!(rulings(&judged), only(4));
    assert_eq!(judged.reader, Some(Reader::Unknown));
    assert!(
        judged.network.words.starts_with("waits for its peers"),
        "{}",
        judged.network.words
    );
}
