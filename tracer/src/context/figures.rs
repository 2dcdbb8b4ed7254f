//! Figures of an owner from the readings of its cgroups and the looks at its threads. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::{
    cgroup::{Reading, lineage},
    memory::events_since,
    psi::Pressure,
    share,
    subject::Subject,
    threads::Tracks,
};
use crate::report::context::{Context, Cpu, Io, Locks, Memory, Network, Psi, Threads, Wait};

/// Readings of cgroups by path: at the end of a window, and where there is one the earlier one.
pub type Readings = BTreeMap<String, (Option<Reading>, Reading)>;

/// What the figures of one owner are made from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The owner.
    pub subject: &'a Subject<'a>,
    /// Readings of its cgroups and those above.
    pub readings: &'a Readings,
    /// Looks at its threads.
    pub tracks: &'a Tracks,
    /// Pressure of the node on disks, CPUs and memory; `None` where the kernel does not tell.
    pub node: [Option<Psi>; 3],
}

/// The figures, with nothing ruled yet.
#[must_use]
pub fn figures(parts: &Parts<'_>, network: Network) -> Context {
    let Parts {
        subject,
        readings,
        tracks,
        node: [node_io, node_cpu, node_memory],
    } = *parts;
    let threads = tracks.summary();
    let home = subject
        .home()
        .and_then(|home| readings.get_key_value(&home));
    let levels = levels(subject, readings);
    let elapsed = home.and_then(|(_, (before, now))| {
        let elapsed = now.at.saturating_duration_since(before.as_ref()?.at);
        (elapsed > Duration::ZERO).then_some(elapsed)
    });
    let psi = |of: fn(&Reading) -> Option<Pressure>| {
        let (before, now) = home?.1;
        let before = before.as_ref().and_then(of).zip(elapsed);
        Some(of(now)?.since(before))
    };
    let mut context = Context {
        covers_ns: elapsed.map(nanoseconds),
        cgroups: levels.iter().map(|(path, _)| (*path).clone()).collect(),
        ..Context::default()
    };
    context.io.figures = Io {
        psi: psi(|reading| reading.io_psi),
        node_psi: node_io,
        blocked_samples: samples(&threads, &[Wait::Disk]),
        block_delay_ns: tracks.blocked_ns(),
        ..Io::default()
    };
    if let Some((_, (Some(before), now))) = home {
        let io = now.io.since(&before.io);
        let figures = &mut context.io.figures;
        figures.read_bytes = io.read_bytes;
        figures.written_bytes = io.written_bytes;
        figures.operations = io.operations;
    }
    context.cpu.figures = cpu(&levels, home.map(|(_, pair)| pair), elapsed, tracks);
    context.cpu.figures.psi = psi(|reading| reading.cpu_psi);
    context.cpu.figures.node_psi = node_cpu;
    context.memory.figures = memory(&levels, home.map(|(_, pair)| pair));
    context.memory.figures.psi = psi(|reading| reading.memory_psi);
    context.memory.figures.node_psi = node_memory;
    context.memory.figures.reclaim_samples = samples(&threads, &[Wait::Memory]);
    context.locks.figures = locks(&threads, tracks);
    context.network.figures = Network {
        receiving_samples: samples(&threads, &[Wait::Receive]),
        sending_samples: samples(&threads, &[Wait::Send]),
        ..network
    };
    context.threads = threads;
    context
}

/// The owner's cgroups and all above them that were read: home first, then the deepest.
fn levels<'a>(
    subject: &Subject<'_>,
    readings: &'a Readings,
) -> Vec<(&'a String, &'a (Option<Reading>, Reading))> {
    let paths = subject.paths();
    let mut levels: Vec<String> = paths.iter().flat_map(|path| lineage(path)).collect();
    let home = subject.home();
    levels.sort_by_key(|path| {
        (
            Some(path) != home.as_ref(),
            std::cmp::Reverse(path.len()),
            path.clone(),
        )
    });
    levels.dedup();
    levels
        .iter()
        .filter_map(|path| readings.get_key_value(path))
        .collect()
}

type Pair = (Option<Reading>, Reading);

fn cpu(
    levels: &[(&String, &Pair)],
    home: Option<&Pair>,
    elapsed: Option<Duration>,
    tracks: &Tracks,
) -> Cpu {
    let mut cpu = Cpu::default();
    let mut worst = None;
    for (path, (before, now)) in levels {
        if let Some(quota) = now.quota_cpus
            && cpu.quota_cpus.is_none_or(|tightest| quota < tightest)
        {
            cpu.quota_cpus = Some(quota);
        }
        let Some(before) = before else { continue };
        let time = now.cpu.since(&before.cpu);
        let (Some(periods), Some(throttled)) = (time.periods, time.throttled_periods) else {
            continue;
        };
        let part = share(throttled, periods).unwrap_or(0.0);
        // Where no level is throttled, the first one says so.
        if worst.is_none_or(|worst| part > worst) {
            worst = Some(part);
            cpu.periods = Some(periods);
            cpu.throttled_periods = Some(throttled);
            cpu.throttled_ns = time.throttled_ns;
            cpu.throttled_cgroup = (throttled > 0).then(|| (*path).clone());
        }
    }
    if let Some((Some(before), now)) = home {
        cpu.usage_ns = now.cpu.since(&before.cpu).usage_ns;
        cpu.usage_cpus = cpu
            .usage_ns
            .zip(elapsed)
            .and_then(|(usage, elapsed)| share(usage, nanoseconds(elapsed)));
    }
    if let Some(ran) = tracks.ran() {
        cpu.run_ns = Some(ran.run_ns);
        cpu.run_delay_ns = Some(ran.delay_ns);
        cpu.busiest_thread_share = ran.busiest_share;
        cpu.delayed_thread_share = ran.delayed_share;
    }
    cpu
}

fn memory(levels: &[(&String, &Pair)], home: Option<&Pair>) -> Memory {
    let mut memory = Memory::default();
    let fill = |pair: &Pair| pair.1.usage.fill();
    let tightest = levels
        .iter()
        .filter(|(_, pair)| fill(pair).is_some())
        .max_by(|(_, a), (_, b)| fill(a).unwrap_or(0.0).total_cmp(&fill(b).unwrap_or(0.0)))
        .or_else(|| levels.first());
    if let Some((path, (before, now))) = tightest {
        memory.cgroup = Some((*path).clone());
        memory.usage_bytes = now.usage.usage_bytes;
        memory.max_bytes = now.usage.max_bytes;
        memory.high_bytes = now.usage.high_bytes;
        if let Some(before) = before {
            let events = events_since(now.events, before.events);
            memory.high_events = events.high;
            memory.max_events = events.max;
            memory.oom_events = events.oom;
            memory.oom_kills = events.oom_kill;
        }
    }
    if let Some((Some(before), now)) = home {
        let reclaim = now.reclaim.since(&before.reclaim);
        memory.scanned_pages = reclaim.scanned_pages;
        memory.reclaimed_pages = reclaim.reclaimed_pages;
        memory.refaulted_pages = reclaim.refaulted_pages;
        memory.major_faults = reclaim.major_faults;
    }
    memory
}

fn locks(threads: &Threads, tracks: &Tracks) -> Locks {
    let of_locks = [Wait::Lock, Wait::KernelLock, Wait::Futex];
    let mut waits = threads
        .waits
        .iter()
        .filter(|wait| of_locks.contains(&wait.kind));
    let place = waits.next();
    let looked = threads.samples > 0;
    Locks {
        stuck_threads: looked.then(|| tracks.stuck()),
        lock_samples: samples(threads, &[Wait::Lock, Wait::KernelLock]),
        futex_samples: samples(threads, &[Wait::Futex]),
        wait_channel: place.and_then(|wait| wait.wait_channel.clone()),
        wait_channel_threads: place.map(|wait| wait.threads),
    }
}

/// Samples of some kinds; `None` where no thread was looked at.
fn samples(threads: &Threads, kinds: &[Wait]) -> Option<u64> {
    let samples = kinds.iter().map(|kind| threads.samples_of(*kind));
    (threads.samples > 0).then(|| samples.sum())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
