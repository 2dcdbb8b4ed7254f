//! The kernel programs in the running kernel: loaded, attached, read. The only place that names aya.

mod exempt;
mod info;
mod load;
#[cfg(feature = "log")]
mod log;
mod read;
mod ring;
mod sizes;
mod skipped;
mod syscall;

pub use exempt::{NotExempt, OwnSockets};
pub use info::Price;
pub use load::LoadError;
pub use read::Reading;
pub use ring::Ring;
pub use sizes::{Sizes, default_budget};

use std::sync::OnceLock;

use crate::{kernel::Plan, report::plan::Maps};

/// CPUs that this machine may ever have, by which the kernel sizes per-CPU maps; 1 where it does not tell.
#[must_use]
pub fn possible_cpus() -> u32 {
    aya::util::nr_cpus().map_or(1, |cpus| cpus as u32)
}

/// The attached programs. Dropping it detaches them and frees their maps: nothing is pinned.
pub struct Tracer {
    ebpf: aya::Ebpf,
    kprobes: skipped::Links,
    /// Sizes of its maps.
    pub sizes: Sizes,
    /// The plan as the kernel accepted it.
    pub plan: Plan,
    /// What its maps take, once somebody has asked.
    maps: OnceLock<Maps>,
}
