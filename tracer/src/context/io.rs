//! Disk IO of a cgroup: `io.stat`, and on v1 hosts `blkio.throttle.io_service_bytes` and `blkio.throttle.io_serviced`
//! (`Documentation/admin-guide/cgroup-v2.rst`, `cgroup-v1/blkio-controller.rst`). Pure.

use super::rise;
use crate::indicators::netstat::number;

/// IO at one time over all devices, or the difference of two. `None` where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoDone {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub written_bytes: Option<u64>,
    /// Reads and writes.
    pub operations: Option<u64>,
}

impl IoDone {
    /// Reads `io.stat`: a line for each device that was used, `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let sum = |names: &[&str]| {
            let words = text.lines().flat_map(|line| line.split_ascii_whitespace());
            let values = words
                .filter_map(|word| word.split_once('='))
                .filter(|(name, _)| names.contains(name))
                .filter_map(|(_, value)| number(value));
            values.fold(0, u64::saturating_add)
        };
        Self {
            read_bytes: Some(sum(&["rbytes"])),
            written_bytes: Some(sum(&["wbytes"])),
            operations: Some(sum(&["rios", "wios"])),
        }
    }

    /// Reads the two files of v1: lines `8:0 Read 1`, and a last one with the sum.
    #[must_use]
    pub fn parse_v1(bytes: &str, operations: &str) -> Self {
        let sum = |text: &str, kinds: &[&str]| {
            let lines = text.lines().filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (_device, kind, value) = (words.next()?, words.next()?, words.next()?);
                kinds.contains(&kind).then(|| number(value))?
            });
            Some(lines.fold(0, u64::saturating_add))
        };
        Self {
            read_bytes: sum(bytes, &["Read"]),
            written_bytes: sum(bytes, &["Write"]),
            operations: sum(operations, &["Read", "Write"]),
        }
    }

    /// How far it has risen.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            read_bytes: rise(self.read_bytes, before.read_bytes),
            written_bytes: rise(self.written_bytes, before.written_bytes),
            operations: rise(self.operations, before.operations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_summed_in_both_hierarchies() {
        let v2 = IoDone::parse(
            "8:16 rbytes=1024 wbytes=3 rios=1 wios=2 dbytes=9 dios=9\n8:0 rbytes=1 wbytes=5 rios=10 wios=20\n",
        );
        assert_eq!(
            (v2.read_bytes, v2.written_bytes, v2.operations),
            (Some(1025), Some(8), Some(33))
        );
        let v1 = IoDone::parse_v1(
            "8:16 Read 1024\n8:16 Write 3\n8:16 Sync 7\n8:0 Read 1\n8:0 Write 5\nTotal 1033\n",
            "8:16 Read 1\n8:16 Write 2\n8:0 Read 10\n8:0 Write 20\nTotal 33\n",
        );
        assert_eq!(v1, v2);
    }

    #[test]
    fn no_device_was_used_and_lines_that_lie() {
        let none = IoDone::parse("");
        assert_eq!(none.read_bytes, Some(0), "an empty file is no IO");
        let odd = IoDone::parse(
            "8:0 rbytes=x wbytes rbytes=-1 =\n8:0 rbytes=18446744073709551615 rbytes=2",
        );
        assert_eq!(odd.read_bytes, Some(u64::MAX));
        assert_eq!(IoDone::default().since(&none), IoDone::default());
    }
}
