//! What this process takes: CPU time, memory, files.

use std::{fs, time::Duration};

/// CPU time of all its threads, user and system; `None` where the clock cannot be read.
#[must_use]
pub fn cpu() -> Option<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
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

/// What is as large as this, in bytes, is asked from the system by itself, and given back as soon as it is free.
const LARGE: libc::c_int = 128 << 10;

/// Keeps this process small, to be called before it has other threads. All of them share one pool of memory: each with a pool of its own would keep
/// what the busiest moment of its life took. What is large does not go there, nor does the pool keep much that is free at its end: by itself the
/// allocator takes the largest piece that was ever freed for usual (mallopt(3), `M_MMAP_THRESHOLD`), and keeps twice as much. And there are no huge
/// pages: every ten seconds the kernel (khugepaged, where they are set to `always`) would make one of each two megabytes of which a single page is
/// left, and so take back all that [`give_back`] gave.
pub fn stay_small() {
    // SAFETY: none of them takes a pointer.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE);
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Gives back to the system what is not needed from one look to the next: memory that is free, which the allocator would keep, and pages of this
/// program's file, of which most belong to what ran once. Those that are read again come from the page cache.
pub fn give_back() {
    // SAFETY: it takes no pointer, and free memory is nobody's.
    unsafe { libc::malloc_trim(0) };
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for [start, end] in maps.lines().filter_map(unwritten) {
        // SAFETY: private pages of a file that were never written to are read from it again.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The ends of a mapping of a program's file that nothing was ever written to, from its line of `/proc/self/maps` (proc(5)): its code, or its
/// constants, which are what is mapped from its beginning. What lies behind the code may have been written to before it could only be read (`PT_GNU_RELRO`).
fn unwritten(line: &str) -> Option<[usize; 2]> {
    let mut words = line.split_ascii_whitespace();
    let (ends, rights, offset) = (words.next()?, words.next()?, words.next()?);
    let inode = words.nth(1)?;
    let (start, end) = ends.split_once('-')?;
    let hex = |text| usize::from_str_radix(text, 16).ok();
    let constants = rights == "r--p" && hex(offset)? == 0;
    (inode != "0" && (rights == "r-xp" || constants)).then_some([hex(start)?, hex(end)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_to_is_given_back() {
        for line in [
            "7f00-7fa0 r-xp 00001000 08:02 173521 /usr/bin/tcpress",
            "7f00-7fa0 r--p 00000000 08:02 173521 /usr/bin/tcpress",
        ] {
            assert_eq!(unwritten(line), Some([0x7f00, 0x7fa0]), "{line}");
        }
        for other in [
            "7f00-7fa0 r--p 00001000 08:02 173521 /usr/bin/tcpress",
            "7f00-7fa0 r--p 00000000 00:00 0 [vvar]",
            "7f00-7fa0 r--s 00000000 00:10 31 anon_inode:bpf-map",
            "7f00-7fa0 rw-p 00000000 08:02 173521 /usr/bin/tcpress",
            "7f00-7fa0 rwxp 00001000 08:02 173521 /usr/bin/tcpress",
            "7f00-7fa0 r-xs 00001000 08:02 173521 /dev/shm/code",
            "7ffe00-7ffe20 r-xp 00000000 00:00 0 [vdso]",
            "",
        ] {
            assert_eq!(unwritten(other), None, "{other}");
        }
        // What it lets go of is there when it is called.
        let constant = "a constant of this program";
        give_back();
        assert!(std::hint::black_box(constant).ends_with("program"));
        assert_eq!(unwritten(""), None);
    }

    #[test]
    fn a_process_takes_something() {
        assert!(cpu().unwrap() > Duration::ZERO);
        // A test binary is larger than a megabyte and smaller than a terabyte.
        assert!((1 << 20..1 << 40).contains(&resident_bytes().unwrap()));
        assert!(open_files().unwrap() >= 3);
    }
}
