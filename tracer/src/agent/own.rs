//! What this process takes: CPU time, memory, files.

use std::{fs, time::Duration};

/// CPU time of all its threads, user and system; `None` where the clock cannot be read.
#[must_use]
pub fn cpu() -> Option<Duration> {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The same of the thread that asks.
#[must_use]
pub fn cpu_of_thread() -> Option<Duration> {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours.
    let read = unsafe { libc::clock_gettime(id, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    (read == 0).then(|| Duration::new(seconds, time.tv_nsec as u32))
}

/// Resident memory in bytes, as `VmRSS` of `/proc/self/status` tells it.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Open descriptors; the one that is needed to count them is not counted.
#[must_use]
pub fn open_files() -> Option<u64> {
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

/// Has all threads share one pool of memory, to be called before there are others: each with a pool of its own would keep what the busiest moment of
/// its life took.
pub fn share_memory() {
    // SAFETY: it takes no pointer.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives memory that is free back to the system: attaching and listing sockets take some for a moment, which the allocator would keep.
pub fn give_back() {
    // SAFETY: it takes no pointer, and free memory is nobody's.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_something() {
        assert!(cpu().unwrap() > Duration::ZERO);
        // A test binary is larger than a megabyte and smaller than a terabyte.
        assert!((1 << 20..1 << 40).contains(&resident_bytes().unwrap()));
        assert!(open_files().unwrap() >= 3);
    }
}
