//! What the threads of an owner did, from many looks at them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{share, thread::Scheduled};
use crate::report::context::{ThreadWait, Threads, Wait};

/// Threads of one owner that are kept apart; what comes after is not looked at.
pub const MAX_TRACKS: usize = 512;
/// Shortest time between the first and the last look at a thread that its CPU time is reckoned over: below, one tick decides.
const MIN_SPAN: Duration = Duration::from_millis(100);

/// One look at one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its process.
    pub pid: i32,
    /// Its id.
    pub tid: i32,
    /// When, on whatever clock all samples share.
    pub at: Duration,
    /// What it did.
    pub wait: Wait,
    /// Where in the kernel.
    pub channel: Option<String>,
    /// The lock that it waited for.
    pub lock: Option<u64>,
    /// Its CPU time so far.
    pub scheduled: Option<Scheduled>,
    /// Time that it waited for block devices so far; `None` where the kernel does not account it.
    pub block_ns: Option<u64>,
}

/// All looks at the threads of one owner.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    rounds: u64,
    processes: BTreeSet<i32>,
    tracks: BTreeMap<i32, Track>,
}

/// All looks at one thread.
#[derive(Clone, Debug)]
struct Track {
    looks: u64,
    kinds: BTreeMap<(Wait, Option<String>), u64>,
    locks: BTreeMap<u64, u64>,
    first: Sample,
    last: Sample,
}

/// CPU time of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ran {
    /// On a CPU, all threads together.
    pub run_ns: u64,
    /// In a run queue, all threads together.
    pub delay_ns: u64,
    /// Part of the time that the busiest thread ran.
    pub busiest_share: Option<f64>,
    /// Part of the time that the most delayed thread stood in a run queue.
    pub delayed_share: Option<f64>,
}

impl Tracks {
    /// Adds one round of looks; one that found no thread is none.
    pub fn add(&mut self, samples: Vec<Sample>) {
        self.rounds += u64::from(!samples.is_empty());
        for sample in samples {
            if self.tracks.len() >= MAX_TRACKS && !self.tracks.contains_key(&sample.tid) {
                continue;
            }
            self.processes.insert(sample.pid);
            let track = self.tracks.entry(sample.tid);
            track
                .or_insert_with(|| Track::new(sample.clone()))
                .add(sample);
        }
    }

    /// Forgets all processes but these.
    pub fn keep(&mut self, pids: &[i32]) {
        self.processes.retain(|pid| pids.contains(pid));
        self.tracks
            .retain(|_, track| pids.contains(&track.last.pid));
    }

    /// How many rounds there were.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Threads that were there in at least half of the rounds: those that live for one request tell nothing of each other.
    fn steady(&self) -> impl Iterator<Item = &Track> {
        let tracks = self.tracks.values();
        tracks.filter(|track| track.looks.saturating_mul(2) >= self.rounds)
    }

    /// What they did.
    #[must_use]
    pub fn summary(&self) -> Threads {
        let mut waits: BTreeMap<(Wait, Option<String>), ThreadWait> = BTreeMap::new();
        for ((kind, channel), samples) in self.tracks.values().flat_map(|track| &track.kinds) {
            let wait = waits
                .entry((*kind, channel.clone()))
                .or_insert_with(|| ThreadWait {
                    kind: *kind,
                    wait_channel: channel.clone(),
                    ..ThreadWait::default()
                });
            wait.samples += samples;
        }
        for key in self.steady().filter_map(Track::mostly) {
            waits.entry(key).and_modify(|wait| wait.threads += 1);
        }
        let mut waits: Vec<ThreadWait> = waits.into_values().collect();
        waits.sort_by_key(|wait| std::cmp::Reverse((wait.threads, wait.samples)));
        Threads {
            processes: self.processes.len() as u64,
            threads: self.steady().count() as u64,
            rounds: self.rounds,
            samples: self.tracks.values().map(|track| track.looks).sum(),
            waits,
        }
    }

    /// Threads that waited for one and the same lock at four of five looks or more.
    #[must_use]
    pub fn stuck(&self) -> u64 {
        let stuck = |track: &&Track| {
            let kernel = track
                .kinds
                .iter()
                .filter(|((kind, _), _)| *kind == Wait::KernelLock);
            let kernel: u64 = kernel.map(|(_, looks)| looks).sum();
            let most = track.locks.values().copied().max().unwrap_or(0).max(kernel);
            most > 0 && most.saturating_mul(5) >= track.looks.saturating_mul(4)
        };
        self.steady().filter(stuck).count() as u64
    }

    /// Their CPU time between the first and the last look at each; `None` where the kernel does not tell.
    #[must_use]
    pub fn ran(&self) -> Option<Ran> {
        let mut sum: Option<Ran> = None;
        for track in self.tracks.values() {
            let Some((first, last)) = track.first.scheduled.zip(track.last.scheduled) else {
                continue;
            };
            let span = track.last.at.saturating_sub(track.first.at);
            if span < MIN_SPAN {
                continue;
            }
            let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            let (run, delay) = (last.run_ns - first.run_ns, last.delay_ns - first.delay_ns);
            let ran = sum.get_or_insert_default();
            ran.run_ns = ran.run_ns.saturating_add(run);
            ran.delay_ns = ran.delay_ns.saturating_add(delay);
            // A tick may be booked after the clock was asked.
            let most = |so_far: Option<f64>, part: u64| {
                let part = share(part.min(span), span);
                if part > so_far { part } else { so_far }
            };
            ran.busiest_share = most(ran.busiest_share, run);
            ran.delayed_share = most(ran.delayed_share, delay);
        }
        sum
    }

    /// Time that they waited for block devices; `None` where the kernel does not account it.
    #[must_use]
    pub fn blocked_ns(&self) -> Option<u64> {
        let of = |track: &Track| {
            let (first, last) = (track.first.block_ns?, track.last.block_ns?);
            Some(last.saturating_sub(first))
        };
        let known = self.tracks.values().filter_map(of);
        known.fold(None, |sum, ns| {
            Some(sum.unwrap_or(0_u64).saturating_add(ns))
        })
    }
}

impl Track {
    fn new(first: Sample) -> Self {
        Self {
            looks: 0,
            kinds: BTreeMap::new(),
            locks: BTreeMap::new(),
            last: first.clone(),
            first,
        }
    }

    fn add(&mut self, sample: Sample) {
        let fell = |before: Scheduled, now: Scheduled| {
            now.run_ns < before.run_ns || now.delay_ns < before.delay_ns
        };
        let times = self.last.scheduled.zip(sample.scheduled);
        // The id has gone to another thread.
        if times.is_some_and(|(before, now)| fell(before, now)) {
            *self = Self::new(sample.clone());
        }
        self.looks += 1;
        *self
            .kinds
            .entry((sample.wait, sample.channel.clone()))
            .or_default() += 1;
        if let Some(lock) = sample.lock.filter(|_| sample.wait == Wait::Lock) {
            *self.locks.entry(lock).or_default() += 1;
        }
        self.last = sample;
    }

    /// What it did at least half of the time, and where most of that; `None` when there is no such thing.
    fn mostly(&self) -> Option<(Wait, Option<String>)> {
        let mut by_kind: BTreeMap<Wait, u64> = BTreeMap::new();
        for ((kind, _), looks) in &self.kinds {
            *by_kind.entry(*kind).or_default() += looks;
        }
        let (kind, looks) = by_kind.into_iter().max_by_key(|(_, looks)| *looks)?;
        if looks.saturating_mul(2) < self.looks {
            return None;
        }
        let places = self.kinds.iter().filter(|((of, _), _)| *of == kind);
        places
            .max_by_key(|(_, looks)| **looks)
            .map(|(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(tid: i32, round: u64, wait: Wait, channel: &str) -> Sample {
        Sample {
            pid: 1,
            tid,
            at: Duration::from_secs(round),
            wait,
            channel: Some(channel.to_owned()),
            lock: None,
            scheduled: None,
            block_ns: None,
        }
    }

    #[test]
    fn a_thread_counts_for_what_it_mostly_does() {
        let mut tracks = Tracks::default();
        for round in 0..10 {
            let often = match round {
                0..6 => sample(2, round, Wait::Sleep, "hrtimer_nanosleep"),
                _ => sample(2, round, Wait::Running, ""),
            };
            let mut looks = vec![sample(1, round, Wait::Receive, "do_epoll_wait"), often];
            // A thread of one request.
            looks.push(sample(100 + round as i32, round, Wait::Disk, "io_schedule"));
            tracks.add(looks);
        }
        tracks.add(Vec::new());
        let threads = tracks.summary();
        assert_eq!(
            (threads.threads, threads.rounds, threads.samples),
            (2, 10, 30)
        );
        assert_eq!(threads.mostly(Wait::Receive), 1);
        assert_eq!(
            (threads.mostly(Wait::Sleep), threads.samples_of(Wait::Sleep)),
            (1, 6)
        );
        assert_eq!(
            (
                threads.mostly(Wait::Running),
                threads.samples_of(Wait::Running)
            ),
            (0, 4)
        );
        assert_eq!(
            (threads.mostly(Wait::Disk), threads.samples_of(Wait::Disk)),
            (0, 10)
        );
        assert_eq!(
            threads.waits[0].wait_channel.as_deref(),
            Some("do_epoll_wait")
        );
    }

    #[test]
    fn a_thread_is_stuck_at_one_lock_not_at_many() {
        let stuck = |locks: [u64; 5]| {
            let mut tracks = Tracks::default();
            for (round, lock) in locks.into_iter().enumerate() {
                let look = sample(1, round as u64, Wait::Lock, "futex_wait_queue");
                tracks.add(vec![Sample {
                    lock: Some(lock),
                    ..look
                }]);
            }
            tracks.stuck()
        };
        assert_eq!(stuck([7, 7, 7, 7, 8]), 1, "four of five");
        assert_eq!(stuck([7, 7, 7, 8, 8]), 0);
        let mut kernel = Tracks::default();
        kernel.add(vec![sample(
            1,
            0,
            Wait::KernelLock,
            "rwsem_down_read_slowpath",
        )]);
        assert_eq!(kernel.stuck(), 1);
    }

    #[test]
    fn shares_are_of_the_time_between_first_and_last_look() {
        let mut tracks = Tracks::default();
        let at = |tid, round, run_ns, delay_ns| Sample {
            scheduled: Some(Scheduled { run_ns, delay_ns }),
            block_ns: Some(run_ns / 10),
            ..sample(tid, round, Wait::Running, "")
        };
        tracks.add(vec![at(1, 0, 1_000, 0), at(2, 0, 0, 500)]);
        tracks.add(vec![at(1, 2, 1_500_001_000, 0), at(2, 2, 0, 400_000_500)]);
        let ran = tracks.ran().unwrap();
        assert_eq!((ran.run_ns, ran.delay_ns), (1_500_000_000, 400_000_000));
        assert_eq!(
            (ran.busiest_share, ran.delayed_share),
            (Some(0.75), Some(0.2))
        );
        assert_eq!(tracks.blocked_ns(), Some(150_000_000));
        // The id goes to another thread, which is looked at once.
        tracks.add(vec![at(1, 3, 5, 0)]);
        assert_eq!(tracks.ran().unwrap().run_ns, 0);
        assert_eq!(Tracks::default().ran(), None);
        assert_eq!(Tracks::default().blocked_ns(), None);
    }

    #[test]
    fn only_what_reads_is_kept() {
        let mut tracks = Tracks::default();
        let of = |pid, tid| Sample {
            pid,
            ..sample(tid, 0, Wait::Sleep, "")
        };
        tracks.add(vec![of(1, 1), of(1, 2), of(3, 3)]);
        tracks.keep(&[3]);
        let threads = tracks.summary();
        assert_eq!(
            (threads.processes, threads.threads, threads.samples),
            (1, 1, 1)
        );
    }

    #[test]
    fn threads_are_bounded() {
        let mut tracks = Tracks::default();
        let many = i32::try_from(MAX_TRACKS).unwrap() + 5;
        tracks.add(
            (0..many)
                .map(|tid| sample(tid, 0, Wait::Sleep, ""))
                .collect(),
        );
        assert_eq!(tracks.summary().threads, MAX_TRACKS as u64);
    }
}
