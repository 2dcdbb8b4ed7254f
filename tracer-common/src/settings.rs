//! What user space decides before load.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Set once before load; the kernel sees constants.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Settings {
    /// Least time between two records of evidence of the same owner, queue and limit, in nanoseconds.
    pub evidence_interval_ns: u64,
    /// Evidence of the same owner, queue and limit that is sent however fast it comes.
    pub evidence_burst: u64,
    /// Address of the kernel's table `__per_cpu_offset`; 0 when not known.
    pub per_cpu_offset: u64,
    /// Address of the kernel's `tcp_memory_pressure`, 0 while there is none; 0 when not known.
    pub tcp_memory_pressure: u64,
    /// 1 to compare every call with the kernel's own counters.
    pub selfcheck: u64,
    /// 1 where the programs are kprobes, to which the verifier gives no typed pointers.
    pub kprobes: u64,
}
crate::pod!(Settings);
