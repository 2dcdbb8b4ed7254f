//! How far sockstat's `mem` may be off: each CPU keeps some of TCP's memory account to itself.
//!
//! From 6.0 on a CPU adds what it takes to `tcp_memory_allocated` only once that comes to a reserve, and takes back the same way
//! (`sk_memory_allocated_add`, `include/net/sock.h`), so that what `/proc/net/sockstat` shows is off by less than one reserve for each
//! CPU, either way. The reserve is `net.core.mem_pcpu_rsv`, in pages, where that exists; before, a MiB. Kernels before 6.0 have none: there
//! `struct proto` lacks the field that points to the per-CPU part.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use super::netstat::number;

/// The reserve on kernels that have one and no setting for it (`SK_MEMORY_PCPU_RESERVE`).
const CONSTANT: u64 = 1 << 20;
/// The name of the field in the strings of BTF, which end in NUL each.
const FIELD: &[u8] = b"\0per_cpu_fw_alloc\0";
/// BTF that is searched at once.
const BLOCK: usize = 64 * 1024;

/// The reserves of all CPUs together, in pages; 0 where the kernel has none, `None` where neither procfs nor the type information of
/// the kernel tells.
#[must_use]
pub fn pages(proc: &Path, btf: &Path, page_size: u64) -> Option<u64> {
    let setting = fs::read_to_string(proc.join("sys/net/core/mem_pcpu_rsv")).ok();
    let each = match setting.as_deref().and_then(|text| number(text.trim())) {
        Some(pages) => pages,
        None if contains(File::open(btf).ok()?, FIELD)? => CONSTANT.checked_div(page_size)?,
        None => 0,
    };
    let stat = fs::read_to_string(proc.join("stat")).ok()?;
    each.checked_mul(cpus(&stat))
}

/// CPUs that are online, from the text of `/proc/stat`: a line for each after that of all.
fn cpus(stat: &str) -> u64 {
    let is_cpu = |line: &&str| {
        let number = line
            .strip_prefix("cpu")
            .and_then(|rest| rest.chars().next());
        number.is_some_and(|it| it.is_ascii_digit())
    };
    stat.lines().filter(is_cpu).count() as u64
}

/// Whether some bytes stand in a file, which is never in memory as a whole; `None` when it cannot be read to its end.
fn contains(mut file: impl Read, wanted: &[u8]) -> Option<bool> {
    let mut block = vec![0; BLOCK];
    let mut kept = 0;
    loop {
        let got = file.read(&mut block[kept..]).ok()?;
        if got == 0 {
            return Some(false);
        }
        let filled = kept + got;
        if block[..filled].windows(wanted.len()).any(|it| it == wanted) {
            return Some(true);
        }
        // What may be the beginning of it goes before the next part.
        kept = filled.min(wanted.len() - 1);
        block.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const STAT: &str = "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\ncpu12 1 2 3\nintr 5\ncpufreq 7\n";

    #[test]
    fn the_setting_the_constant_and_none() {
        let machine = Fixture::new();
        machine.file("proc/stat", STAT);
        let of = || {
            let at = machine.path();
            pages(&at.join("proc"), &at.join("btf"), 4096)
        };
        assert_eq!(of(), None, "neither tells");
        machine.file("btf", "\0int\0per_cpu_fw_allocated\0");
        assert_eq!(of(), Some(0));
        machine.file("btf", "\0int\0per_cpu_fw_alloc\0");
        assert_eq!(of(), Some(3 * 256));
        machine.file("proc/sys/net/core/mem_pcpu_rsv", "16\n");
        assert_eq!(of(), Some(3 * 16));
    }

    #[test]
    fn a_name_across_two_blocks_is_found() {
        for at in BLOCK - FIELD.len() - 1..=BLOCK + 1 {
            let mut bytes = vec![b'x'; at];
            bytes.extend(FIELD);
            assert_eq!(contains(bytes.as_slice(), FIELD), Some(true), "{at}");
            bytes.pop();
            assert_eq!(contains(bytes.as_slice(), FIELD), Some(false), "{at}");
        }
    }
}
