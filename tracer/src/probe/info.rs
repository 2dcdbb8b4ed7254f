//! What the kernel says of our programs and maps: misses and price.

use std::{collections::BTreeMap, fs, os::fd::AsFd as _};

use aya::programs::{Program, ProgramFd};
use aya_obj::generated::bpf_prog_info;

use super::{Tracer, possible_cpus, syscall};
use crate::report::plan::Maps;

/// What the programs and maps cost while they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Each program that is attached, by its name.
    pub programs: BTreeMap<String, ProgramPrice>,
    /// Maps, in bytes as the kernel accounts them; `None` where it does not say.
    pub map_bytes: Option<u64>,
}

/// What one program costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramPrice {
    /// Instructions that the verifier walked, of 1,000,000 that it would; `None` where the kernel does not say (before 5.16).
    pub verified_instructions: Option<u64>,
    /// Machine code, in bytes.
    pub code_bytes: u64,
}

impl Tracer {
    /// How often a program was skipped because it, or for a kprobe any other, was running on that CPU
    /// already, by name of program; `None` where the kernel does not tell (before 5.12, which skips none; of
    /// kprobes before 6.7, which does).
    #[must_use]
    pub fn recursion_misses(&self) -> Option<Vec<(String, u64)>> {
        let mut misses = Vec::new();
        for (name, program) in self.ebpf.programs() {
            let Ok(fd) = program.fd() else { continue };
            let mut missed = recursion_misses(fd)?;
            if matches!(program, Program::KProbe(_)) {
                missed += self.kprobes.missed(name)?;
            }
            misses.push((name.to_owned(), missed));
        }
        Some(misses)
    }

    /// The maps and what they take: read once, for all of them take their memory when they are made.
    #[must_use]
    pub fn maps(&self) -> Maps {
        let read = || Maps::new(&self.sizes, possible_cpus(), map_bytes());
        *self.maps.get_or_init(read)
    }

    /// What the programs and maps cost.
    #[must_use]
    pub fn price(&self) -> Price {
        let programs = self.ebpf.programs();
        let price = |(name, program): (&str, &Program)| {
            let info = program.info().ok()?;
            let price = ProgramPrice {
                verified_instructions: info.verified_instruction_count().map(u64::from),
                code_bytes: u64::from(info.size_jitted()),
            };
            Some((name.to_owned(), price))
        };
        Price {
            programs: programs.filter_map(price).collect(),
            map_bytes: map_bytes(),
        }
    }
}

/// Every map that this process holds open is one of ours.
fn map_bytes() -> Option<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc/self/fdinfo").ok()? {
        // A descriptor may close while we look.
        let Ok(text) = fs::read_to_string(entry.ok()?.path()) else {
            continue;
        };
        if text.lines().any(|line| line.starts_with("map_type:")) {
            sum += memlock(&text)?;
        }
    }
    Some(sum)
}

/// The line `memlock:` of `/proc/PID/fdinfo/FD` of a map (`bpf_map_show_fdinfo`, `kernel/bpf/syscall.c`).
fn memlock(fdinfo: &str) -> Option<u64> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))?
        .trim()
        .parse()
        .ok()
}

fn recursion_misses(fd: &ProgramFd) -> Option<u64> {
    let read = syscall::info::<bpf_prog_info>(fd.as_fd())?;
    let known = std::mem::offset_of!(bpf_prog_info, recursion_misses) + size_of::<u64>();
    (read.len >= known).then_some(read.info.recursion_misses)
}

#[cfg(test)]
mod tests {
    use super::memlock;

    #[test]
    fn memlock_is_read_from_fdinfo() {
        let text = "pos:\t0\nmap_type:\t1\nmax_entries:\t8192\nmemlock:\t3145728\nfrozen:\t0\n";
        assert_eq!(memlock(text), Some(3_145_728));
        assert_eq!(memlock("pos:\t0\n"), None);
        assert_eq!(memlock("memlock:\tmany\n"), None);
    }
}
