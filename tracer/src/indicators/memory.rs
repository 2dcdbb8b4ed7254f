//! TCP memory of the node.

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    netstat::number,
    sockstat::{Sockstat, tcp_pressure},
};

/// Node-wide TCP memory. It is one account for all network namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpMemory {
    /// Size of a page in bytes.
    pub page_size: u64,
    /// `net.ipv4.tcp_mem`: low, pressure and high mark, in pages.
    pub tcp_mem: Option<[u64; 3]>,
    /// `mem` of `/proc/net/sockstat`, in pages. Per-CPU reserves make it lag: it may even read 0.
    pub sockstat_pages: Option<u64>,
    /// How many pages `sockstat_pages` may be off either way, by the reserves of all CPUs ([`super::reserve`]); `None` where that is not known.
    pub reserve_pages: Option<u64>,
    /// TCP sockets allocated node-wide.
    pub alloc: Option<u64>,
    /// Orphans node-wide.
    pub orphan: Option<u64>,
    /// `net.ipv4.tcp_max_orphans`: beyond it the kernel ends orphans.
    pub orphan_max: Option<u64>,
    /// Whether `/proc/net/protocols` says that TCP is under memory pressure.
    pub pressure: Option<bool>,
}

/// Reads the account as it stands now, from the folder of procfs. A file that is missing or not
/// understood leaves its fields `None`.
///
/// ```no_run
/// let memory = tracer::indicators::memory::read(std::path::Path::new("/proc"));
/// println!("{:?} of {:?} pages", memory.sockstat_pages, memory.tcp_mem.map(|marks| marks[2]));
/// ```
#[must_use]
pub fn read(proc: &Path) -> TcpMemory {
    let text = |name: &str| fs::read_to_string(proc.join(name)).ok();
    let sockstat = text("net/sockstat")
        .map(|text| Sockstat::parse(&text))
        .unwrap_or_default();
    TcpMemory {
        page_size: page_size(),
        tcp_mem: text("sys/net/ipv4/tcp_mem").and_then(|text| parse_tcp_mem(&text)),
        sockstat_pages: sockstat.mem,
        reserve_pages: None,
        alloc: sockstat.alloc,
        orphan: sockstat.orphan,
        orphan_max: text("sys/net/ipv4/tcp_max_orphans").and_then(|text| number(text.trim())),
        pressure: text("net/protocols").and_then(|text| tcp_pressure(&text)),
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
#[must_use]
pub fn available(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let rest = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib = number(rest.trim().strip_suffix(" kB")?.trim())?;
    kib.checked_mul(1024)
}

/// Exactly three numbers, else nothing.
fn parse_tcp_mem(text: &str) -> Option<[u64; 3]> {
    let mut words = text.split_ascii_whitespace().map(number);
    let marks = [words.next()??, words.next()??, words.next()??];
    words.next().is_none().then_some(marks)
}

/// Size of a page in bytes.
pub(crate) fn page_size() -> u64 {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // The page size is always known to the C library; 4096 is that of x86-64.
    u64::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn reads_a_procfs() {
        let proc = Fixture::new();
        proc.file("sys/net/ipv4/tcp_mem", "1024\t1536\t2048\n")
            .file("sys/net/ipv4/tcp_max_orphans", "4096\n")
            .file(
                "net/sockstat",
                "TCP: inuse 4 orphan 1 tw 2 alloc 9 mem 207\n",
            )
            .file(
                "net/protocols",
                "protocol size sockets memory press\nTCP 1 2 3 yes\n",
            );
        let memory = read(proc.path());
        assert_eq!(memory.tcp_mem, Some([1024, 1536, 2048]));
        assert_eq!(memory.sockstat_pages, Some(207));
        assert_eq!(memory.alloc, Some(9));
        assert_eq!(memory.orphan, Some(1));
        assert_eq!(memory.orphan_max, Some(4096));
        assert_eq!(memory.pressure, Some(true));
    }

    #[test]
    fn available_memory_has_its_unit() {
        let text = "MemTotal:  9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        for bad in [
            "",
            "MemAvailable: 5",
            "MemAvailable: -5 kB",
            "MemAvailable: x kB",
        ] {
            assert_eq!(available(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn absent_is_none() {
        let proc = Fixture::new();
        let memory = read(proc.path());
        assert_eq!(
            memory,
            TcpMemory {
                page_size: memory.page_size,
                ..TcpMemory::default()
            }
        );
        assert!(memory.page_size.is_power_of_two());
    }

    #[test]
    fn tcp_mem_is_three_numbers() {
        for bad in ["", "1 2", "1 2 3 4", "1 2 x", "-1 2 3"] {
            assert_eq!(parse_tcp_mem(bad), None, "{bad:?}");
        }
    }
}
