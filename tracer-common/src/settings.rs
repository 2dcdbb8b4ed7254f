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
}
crate::pod!(Settings);
