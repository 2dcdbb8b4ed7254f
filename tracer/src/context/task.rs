//! Looks at the threads of a process.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    thread::{self, Look, Scheduled, State, Syscall},
    threads::Sample,
};
use crate::indicators::netns::numbers;

/// Threads of one process that are looked at.
pub const MAX_THREADS: usize = 64;

/// What a look at a process brought besides samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// One for each thread that is still there.
    pub samples: Vec<Sample>,
    /// Threads beyond [`MAX_THREADS`] or the deadline.
    pub left_out: usize,
    /// Whether its system calls may not be read.
    pub denied: bool,
}

/// How looks are made.
#[derive(Clone, Copy, Debug)]
pub struct Eye<'a> {
    /// Folder of procfs.
    pub proc: &'a Path,
    /// The moment that times of samples count from.
    pub since: Instant,
    /// Nanoseconds of a clock tick, where the kernel accounts waiting for block devices.
    pub tick_ns: Option<u64>,
}

impl Eye<'_> {
    /// Looks once at each thread of a process. One that is gone has none.
    #[must_use]
    pub fn look(&self, pid: i32, deadline: Instant) -> Looked {
        let folder = self.proc.join(pid.to_string());
        let mut looked = Looked::default();
        let mut tids = numbers(&folder.join("task")).unwrap_or_default();
        tids.sort_unstable();
        for (index, tid) in tids.iter().enumerate() {
            if index >= MAX_THREADS || Instant::now() >= deadline {
                looked.left_out = tids.len() - index;
                break;
            }
            let sample = self.thread(&folder, pid, *tid, &tids, &mut looked.denied);
            looked.samples.extend(sample);
        }
        looked
    }

    fn thread(
        &self,
        process: &Path,
        pid: i32,
        tid: i32,
        siblings: &[i32],
        denied: &mut bool,
    ) -> Option<Sample> {
        let folder = process.join("task").join(tid.to_string());
        let read = |name: &str| fs::read(folder.join(name));
        let text = |name: &str| {
            let bytes = read(name).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let state = State::parse(&text("stat")?)?;
        let channel = text("wchan");
        let channel = channel.as_deref().and_then(thread::channel);
        let syscall = match read("syscall") {
            Ok(bytes) => Syscall::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                // `proc_pid_syscall` answers EPERM where the mode of the file would have let us in.
                *denied |= error.kind() == ErrorKind::PermissionDenied;
                None
            }
        };
        let is_socket = syscall.and_then(|syscall| {
            let link = fs::read_link(process.join("fd").join(syscall.descriptor()?.to_string()));
            Some(link.ok()?.to_str()?.starts_with("socket:"))
        });
        let (wait, lock) = thread::classify(&Look {
            state,
            channel,
            syscall,
            is_socket,
            siblings,
        });
        Some(Sample {
            pid,
            tid,
            at: self.since.elapsed(),
            wait,
            channel: channel.map(str::to_owned),
            lock,
            scheduled: text("schedstat").and_then(|text| Scheduled::parse(&text)),
            block_ns: state
                .block_ticks
                .zip(self.tick_ns)
                .map(|(ticks, ns)| ticks.saturating_mul(ns)),
        })
    }
}

/// Nanoseconds of a clock tick where the kernel accounts waiting for block devices: before 5.14 always, if built in, since then
/// as `kernel.task_delayacct` says. Where that file is missing it is not known, and zeros would be a lie.
#[must_use]
pub fn tick_ns(proc: &Path) -> Option<u64> {
    let accounted = fs::read_to_string(proc.join("sys/kernel/task_delayacct")).ok()?;
    if accounted.trim() != "1" {
        return None;
    }
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let ticks = u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)?;
    Some(Duration::from_secs(1).as_nanos() as u64 / ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::Fixture, report::context::Wait};

    fn eye(proc: &Path) -> Eye<'_> {
        Eye {
            proc,
            since: Instant::now(),
            tick_ns: Some(10_000_000),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn threads_of_a_process_as_its_files_say() {
        let machine = Fixture::new();
        machine
            .file("7/task/7/stat", "7 (a) S 1 0 0 0")
            .file("7/task/7/wchan", "hrtimer_nanosleep")
            .file(
                "7/task/7/syscall",
                "230 0x0 0x0 0x1 0x1 0x0 0x0 0x7ffc1129fd10 0x7fc22bebc3a7\n",
            )
            .file("7/task/7/schedstat", "5 6 7\n")
            .file("7/task/8/stat", "8 (b) S 1 0 0 0")
            .file("7/task/8/wchan", "0")
            .file(
                "7/task/8/syscall",
                "0 0x5 0x0 0x1 0x1 0x0 0x0 0x7ffc1129fd10 0x7fc22bebc3a7\n",
            )
            .link("7/fd/5", "socket:[99]")
            // One that ended between the listing and the look.
            .dir("7/task/9");
        let looked = eye(machine.path()).look(7, soon());
        let kinds: Vec<_> = looked
            .samples
            .iter()
            .map(|sample| (sample.tid, sample.wait))
            .collect();
        assert_eq!(kinds, [(7, Wait::Sleep), (8, Wait::Receive)]);
        assert_eq!(looked.samples[0].scheduled.unwrap().delay_ns, 6);
        assert_eq!(
            looked.samples[0].channel.as_deref(),
            Some("hrtimer_nanosleep")
        );
        assert_eq!(
            (
                looked.samples[1].scheduled,
                looked.samples[1].channel.as_deref()
            ),
            (None, None)
        );
        assert_eq!((looked.left_out, looked.denied), (0, false));
        assert_eq!(eye(machine.path()).look(8, soon()), Looked::default());
    }

    #[test]
    fn many_threads_and_no_time_are_told() {
        let machine = Fixture::new();
        for tid in 0..MAX_THREADS + 3 {
            machine.file(&format!("7/task/{tid}/stat"), "7 (a) R 1");
        }
        let looked = eye(machine.path()).look(7, soon());
        assert_eq!((looked.samples.len(), looked.left_out), (MAX_THREADS, 3));
        let late = eye(machine.path()).look(7, Instant::now());
        assert_eq!((late.samples.len(), late.left_out), (0, MAX_THREADS + 3));
    }

    #[test]
    fn a_thread_of_this_test_is_seen_asleep() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || receive.recv());
        let pid = i32::try_from(std::process::id()).unwrap();
        // Which of our threads it is does not matter: the looker runs, another waits in a futex.
        let end = soon();
        let seen = loop {
            let looked = eye(Path::new("/proc")).look(pid, soon());
            let any = |wait| looked.samples.iter().any(|sample| sample.wait == wait);
            if any(Wait::Running) && (any(Wait::Futex) || any(Wait::Lock) || looked.denied) {
                break true;
            }
            if Instant::now() > end {
                break false;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(seen);
        drop(send);
        assert!(sleeper.join().unwrap().is_err());
    }

    #[test]
    fn block_delay_is_known_only_where_it_is_accounted() {
        let machine = Fixture::new();
        assert_eq!(tick_ns(machine.path()), None);
        machine.file("sys/kernel/task_delayacct", "0\n");
        assert_eq!(tick_ns(machine.path()), None);
        machine.file("sys/kernel/task_delayacct", "1\n");
        assert!(tick_ns(machine.path()).is_some());
    }
}
