use std::collections::BTreeMap;

use tracer_common::{
    TallyValue,
    tally::{limit, queue, slot},
};

use super::*;
use crate::{
    holders::{Sum, TcpState, part::Part, socket::SocketMemory},
    indicators::{Counter, RowState},
};

const GRACE: Duration = Duration::from_secs(60);

/// A ledger with room for so many owners with counters.
fn ledger(owners: usize) -> Ledger {
    let budget = Share::fixed() + 2 * owners * catalogue::most(Scope::OwnerCounter);
    let ledger = Ledger::new(budget, GRACE);
    assert_eq!(ledger.share().owners, owners);
    ledger
}

/// The owner that a test calls by a number: a container of a pod of its own.
pub(in crate::agent) fn owner(number: u64) -> Owner {
    Owner {
        namespace: Some("shop".into()),
        pod: Some(format!("pod-{number}")),
        pod_uid: Some(format!("uid-{number}")),
        cgroup_id: Some(number),
        ..Owner::of_kind(OwnerKind::Pod)
    }
}

fn owner_of(key: &TallyKey) -> Owner {
    owner(key.cgroup_id)
}

fn labels(number: u64) -> OwnerLabels {
    OwnerLabels::of(&owner(number))
}

fn delta(number: u64, value: TallyValue) -> Delta {
    let key = TallyKey {
        cgroup_id: number,
        ..TallyKey::default()
    };
    Delta { key, value }
}

fn refused(number: u64, count: u64) -> Delta {
    let mut value = TallyValue::ZERO;
    value.verdicts[slot(queue::RCV, limit::TCP_MEM_HARD)] = count;
    delta(number, value)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn figures(ledger: &Ledger) -> Figures {
    ledger.figures(NodeFigures::default(), AgentFigures::default())
}

/// Refusals by owner, as they are shown.
fn shown(ledger: &Ledger) -> BTreeMap<OwnerLabels, u64> {
    let owners = figures(ledger).owners.into_iter();
    owners
        .map(|(owner, counts)| ((*owner).clone(), counts.refusals.iter().flatten().sum()))
        .collect()
}

#[test]
fn counts_of_one_name_are_one_whatever_its_cgroup() {
    let mut ledger = ledger(2);
    let again = |key: &TallyKey| Owner {
        cgroup_id: Some(key.cgroup_id),
        pod_uid: Some(format!("uid-{}", key.cgroup_id)),
        ..owner(1)
    };
    ledger.count(at(0), &[refused(1, 3), refused(7, 4)], &again);
    assert_eq!(shown(&ledger), BTreeMap::from([(labels(1), 7)]));
}

#[test]
fn when_room_is_full_the_longest_quiet_gives_way_and_goes_on_where_it_was() {
    let mut ledger = ledger(2);
    ledger.count(at(0), &[refused(1, 1)], &owner_of);
    ledger.count(at(10), &[refused(2, 2)], &owner_of);
    // Nobody has been quiet for long: the newcomer counts with the rest.
    ledger.count(at(20), &[refused(3, 4)], &owner_of);
    let other = OwnerLabels::other();
    let want = [(labels(1), 1), (labels(2), 2), (other.clone(), 4)];
    assert_eq!(shown(&ledger), want.into());
    assert_eq!(figures(&ledger).agent.bounds_hit["series_counters"], 1);
    // The first has; what the newcomer did before stays where it was counted.
    ledger.count(at(60), &[refused(3, 8)], &owner_of);
    let want = [(labels(2), 2), (labels(3), 8), (other.clone(), 4)];
    assert_eq!(shown(&ledger), want.into());
    ledger.count(at(70), &[refused(1, 16)], &owner_of);
    let want = [(labels(1), 17), (labels(3), 8), (other, 4)];
    assert_eq!(shown(&ledger), want.into());
}

#[test]
fn the_dead_stay_for_the_grace_period_and_come_back_where_they_were() {
    let mut ledger = ledger(2);
    ledger.count(at(0), &[refused(1, 5), refused(2, 1)], &owner_of);
    ledger.living(at(100), &[owner(1), owner(2)]);
    // The second dies between two scrapes, and is still shown for as long as the grace period.
    ledger.living(at(110), &[owner(1)]);
    ledger.living(at(169), &[owner(1)]);
    assert_eq!(shown(&ledger).len(), 2);
    ledger.living(at(170), &[owner(1)]);
    assert_eq!(shown(&ledger), BTreeMap::from([(labels(1), 5)]));
    ledger.count(at(1000), &[refused(2, 1)], &owner_of);
    assert_eq!(shown(&ledger)[&labels(2)], 2);
    // It lives again, so that its time of being gone begins anew.
    ledger.living(at(1100), &[owner(1)]);
    ledger.living(at(1159), &[owner(1)]);
    assert_eq!(shown(&ledger).len(), 2);
}

#[test]
fn late_counts_of_the_dead_keep_them_for_another_grace_period() {
    let mut ledger = ledger(2);
    ledger.count(at(0), &[refused(1, 1)], &owner_of);
    ledger.living(at(0), []);
    ledger.count(at(50), &[refused(1, 1)], &owner_of);
    ledger.living(at(60), []);
    ledger.living(at(119), []);
    assert_eq!(shown(&ledger)[&labels(1)], 2);
    ledger.living(at(120), []);
    assert_eq!(shown(&ledger), BTreeMap::new());
}

#[test]
fn who_cannot_die_and_who_holds_sockets_stays() {
    let mut ledger = ledger(4);
    let kinds = [
        OwnerKind::Kernel,
        OwnerKind::Unknown,
        OwnerKind::Unattributed,
    ];
    let of = |key: &TallyKey| match kinds.get(key.cgroup_id as usize) {
        Some(kind) => Owner::of_kind(*kind),
        None => owner(9),
    };
    let all = [refused(0, 1), refused(1, 1), refused(2, 1), refused(9, 1)];
    ledger.count(at(0), &all, &of);
    ledger.hold(
        &scan([socket(9, TcpState::Established, 1)]),
        &owner_of_socket,
    );
    for time in [100, 200, 300] {
        ledger.living(at(time), []);
    }
    assert_eq!(shown(&ledger).len(), 4);
    assert_eq!(figures(&ledger).misses, 2, "unknown and unattributed");
}

#[test]
fn memory_of_the_hidden_is_bounded_and_what_it_costs_is_told() {
    let mut ledger = Ledger::new(0, Duration::ZERO);
    assert_eq!(ledger.share().owners, 1);
    let all: Vec<_> = (0..5_000).map(|number| refused(number, 1)).collect();
    ledger.count(at(0), &all, &owner_of);
    assert_eq!(ledger.accounts.len(), [1, MAX_REMEMBERED]);
    let hit = figures(&ledger).agent.bounds_hit;
    assert_eq!(hit["remembered_owners"], 5_000 - 1 - 4_096);
    assert_eq!(hit["series_counters"], 0);
}

#[test]
fn less_room_hides_who_was_quiet_longest() {
    let mut ledger = ledger(3);
    for number in 1..=3 {
        ledger.count(at(number), &[refused(number, number)], &owner_of);
    }
    ledger.bound(0, GRACE);
    assert_eq!(shown(&ledger), BTreeMap::from([(labels(3), 3)]));
    let more = Share::fixed() + 6 * catalogue::most(Scope::OwnerCounter);
    ledger.bound(more, GRACE);
    ledger.count(at(4), &[refused(1, 1)], &owner_of);
    assert_eq!(shown(&ledger)[&labels(1)], 2);
}

/// Marsaglia's xorshift64: the same histories each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Every cell of the counters.
fn cells(counts: &Counts) -> Vec<u64> {
    let counted = [
        counts.collapsed_skbs,
        counts.rcv_pruned,
        counts.ofo_prunes,
        counts.ofo_pruned_bytes,
        counts.forced_admissions,
        counts.zero_window_drops,
        counts.backlog_drops,
        counts.aborts_on_memory,
        counts.listen_drops,
        counts.stall_ns,
    ];
    let refusals = counts.refusals.iter().flatten();
    let others = counts.prunes.iter().chain(&counts.stalls).chain(&counted);
    refusals.chain(others).copied().collect()
}

/// A scraper that remembers every series: each must never fall, and together they must rise by what happened.
#[derive(Default)]
struct Scraper {
    seen: BTreeMap<OwnerLabels, Vec<u64>>,
    rise: Vec<u64>,
}

impl Scraper {
    fn scrape(&mut self, ledger: &Ledger) {
        for (owner, counts) in figures(ledger).owners {
            let now = cells(&counts);
            self.rise.resize(now.len(), 0);
            let before = self.seen.entry((*owner).clone()).or_default();
            before.resize(now.len(), 0);
            for ((now, before), rise) in now.iter().zip(before).zip(&mut self.rise) {
                assert!(*now >= *before, "{owner:?} fell from {before} to {now}");
                *rise += *now - *before;
                *before = *now;
            }
        }
    }
}

#[test]
fn whatever_happens_no_counter_falls_and_the_sum_is_exact() {
    let mut crowded = 0;
    for seed in 1..=30 {
        let mut random = Random(seed);
        let mut ledger = ledger(5);
        let mut scraper = Scraper::default();
        let mut happened = Counts::default();
        let mut now = Duration::ZERO;
        for _ in 0..400 {
            now += at(random.below(12));
            match random.below(10) {
                0 => {
                    let living: Vec<_> = (0..random.below(20))
                        .map(|_| owner(random.below(20)))
                        .collect();
                    ledger.living(now, &living);
                }
                1 if random.below(10) == 0 => {
                    let owners = 1 + random.below(6) as usize;
                    let each = catalogue::most(Scope::OwnerCounter);
                    ledger.bound(Share::fixed() + 2 * owners * each, GRACE);
                }
                _ => {
                    let deltas: Vec<_> = (0..random.below(5))
                        .map(|_| {
                            let mut value = TallyValue::ZERO;
                            let verdict = random.below(value.verdicts.len() as u64) as usize;
                            value.verdicts[verdict] = random.below(1000);
                            value.prunes[random.below(6) as usize] = random.below(3);
                            value.stalls[random.below(64) as usize] = random.below(3);
                            value.counts[random.below(10) as usize] = random.below(9);
                            value.stall_ns = random.below(1_000_000);
                            value.ofo_pruned = random.below(2);
                            delta(random.below(20), value)
                        })
                        .collect();
                    for delta in &deltas {
                        happened.add(&delta.value);
                    }
                    ledger.count(now, &deltas, &owner_of);
                    // Series that are hidden and shown again between two scrapes are none the worse.
                    if random.below(3) > 0 {
                        continue;
                    }
                }
            }
            scraper.scrape(&ledger);
            let rooms = ledger.share().owners;
            assert!(figures(&ledger).owners.len() <= rooms + 1);
        }
        crowded += figures(&ledger).agent.bounds_hit["series_counters"];
        // Whoever is hidden at the end has not been scraped since it last counted, so it is shown once more.
        ledger.bound(
            Share::fixed() + 2 * 20 * catalogue::most(Scope::OwnerCounter),
            GRACE,
        );
        for number in 0..20 {
            let one = refused(number, 1);
            happened.add(&one.value);
            ledger.count(now, &[one], &owner_of);
        }
        scraper.scrape(&ledger);
        assert_eq!(scraper.rise, cells(&happened), "seed {seed}");
    }
    assert!(crowded > 100, "histories must be short of room: {crowded}");
}

pub(in crate::agent) fn socket(number: u64, state: TcpState, bytes: u32) -> Socket {
    let stand_in = state == TcpState::TimeWait;
    Socket {
        netns_inum: 1,
        local: ([10, 0, 0, 1], 80).into(),
        remote: ([10, 0, 0, 2], 4000).into(),
        state,
        inode: if stand_in { 0 } else { 5 },
        cookie: number,
        cgroup_id: Some(number),
        memory: (!stand_in).then(|| SocketMemory {
            rmem_alloc: bytes,
            ..SocketMemory::default()
        }),
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: bytes / 2,
        unsent: 0,
    }
}

pub(in crate::agent) fn scan(sockets: impl IntoIterator<Item = Socket>) -> Scan {
    Scan {
        sockets: sockets.into_iter().collect(),
        ..Scan::default()
    }
}

pub(in crate::agent) fn owner_of_socket(socket: &Socket) -> Owner {
    owner(socket.cgroup_id.unwrap())
}

#[test]
fn those_that_hold_most_stand_alone_and_the_rest_together() {
    // One state and six figures of memory each.
    let each = 7;
    let mut ledger = ledger(1);
    let room = ledger.share().held / each;
    let owners = room as u64 + 10;
    let sockets =
        (0..owners).map(|number| socket(number, TcpState::Established, 1000 + number as u32));
    ledger.hold(&scan(sockets), &owner_of_socket);
    let holders = figures(&ledger).holders;
    assert_eq!(holders.len(), room + 1);
    let (last, other) = holders.last().unwrap();
    assert_eq!(**last, OwnerLabels::other());
    // The ten that hold least: 1000 + 0 to 1000 + 9 bytes.
    assert_eq!((other.total.held, other.total.sockets), (10_045, 10));
    assert_eq!(other.states, BTreeMap::from([("established", 10)]));
    let held: u64 = holders.iter().map(|(_, held)| held.total.held).sum();
    assert_eq!(held, (0..owners).map(|number| 1000 + number).sum::<u64>());
    assert_eq!(figures(&ledger).agent.bounds_hit["series_held"], 1);
    // The next listing stands in its place.
    ledger.hold(&scan([socket(1, TcpState::CloseWait, 7)]), &owner_of_socket);
    let holders = figures(&ledger).holders;
    assert_eq!(*holders[0].0, labels(1));
    assert_eq!((holders.len(), holders[0].1.total.unread), (1, 3));
}

#[test]
fn sums_of_sockets_count_as_their_sockets_do() {
    let sockets = || (0..5).map(|number| socket(1, TcpState::CloseWait, number * 100));
    let mut part = Part::default();
    sockets().skip(2).for_each(|socket| part.add(&socket));
    let summed = Scan {
        sums: vec![Sum {
            example: sockets().next().unwrap(),
            part,
            top: Vec::new(),
        }],
        ..scan(sockets().take(2))
    };
    let held = |scan: &Scan| {
        let mut ledger = ledger(1);
        ledger.hold(scan, &owner_of_socket);
        figures(&ledger).holders
    };
    assert_eq!(held(&summed), held(&scan(sockets())));
    assert_eq!(held(&summed)[0].1.states["close_wait"], 5);
}

#[test]
fn states_have_small_names_and_unknown_ones_one_together() {
    let numbers = (1..=255).map(|number| socket(1, TcpState::from_number(number), 1));
    let mut ledger = ledger(1);
    ledger.hold(&scan(numbers), &owner_of_socket);
    let states = figures(&ledger).holders[0].1.states.clone();
    let names: Vec<_> = states.keys().copied().collect();
    let want = [
        "close",
        "close_wait",
        "closing",
        "established",
        "fin_wait_1",
        "fin_wait_2",
        "last_ack",
        "listen",
        "other",
        "syn_recv",
        "syn_sent",
        "time_wait",
    ];
    assert_eq!(names, want);
    assert_eq!(names.len(), STATES);
    assert_eq!(states["other"], 255 - 13);
}

/// Everything that a ledger can tell, of more owners than there is room for.
pub(in crate::agent) fn full(budget: usize) -> Ledger {
    let mut ledger = Ledger::new(budget, GRACE);
    let full = TallyValue {
        verdicts: [1; _],
        prunes: [2; _],
        stalls: [3; _],
        counts: [4; _],
        rcv_pruned: 5,
        ofo_pruned: 6,
        rcv_collapsed: 7,
        stall_ns: 8_000_000_000,
        ..TallyValue::ZERO
    };
    let deltas: Vec<_> = (0..1000).map(|number| delta(number, full)).collect();
    ledger.count(at(0), &deltas, &owner_of);
    let sockets = (0..1000).flat_map(|owner| {
        (1..=14).map(move |number| socket(owner, TcpState::from_number(number), 100))
    });
    ledger.hold(&scan(sockets), &owner_of_socket);
    let rows = Counter::ALL.map(|counter| Row {
        netns_inum: 1,
        netns_cookie: None,
        counter,
        kernel: Some(9),
        attributed: Some(8),
        bound: Some(1),
        state: RowState::Present,
    });
    ledger.rows(&rows);
    let mut losses = Losses::default();
    losses.set_cells(&[1; _]);
    losses.suppressed_evidence = Some(2);
    losses.possible_misses = Some(0);
    losses.unattributed = Some(3);
    ledger.lost(&losses);
    let ran = ProgramRuns {
        program: "tcp_prune".into(),
        run_ns: 1_500_000_000,
        runs: 3,
    };
    ledger.ran(&[ran]);
    ledger
}

#[test]
fn shares_add_up_to_the_budget() {
    for budget in [0, 1, Share::least(), 2_000, 10_000, 123_456] {
        let share = Share::of(budget);
        assert_eq!(share.budget, budget.max(Share::least()));
        let counters = share.owners * catalogue::most(Scope::OwnerCounter);
        assert_eq!(Share::fixed() + counters + share.held, share.budget);
        assert!(share.owners >= 1);
        assert!(share.held >= catalogue::most(Scope::OwnerGauge));
    }
}
