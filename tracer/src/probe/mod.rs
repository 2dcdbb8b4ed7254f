//! The kernel programs in the running kernel: loaded, attached, read. The only place that names aya.

mod info;
mod load;
#[cfg(feature = "log")]
mod log;
mod read;
mod ring;
mod skipped;
mod syscall;

pub use info::Price;
pub use load::{LoadError, Sizes};
pub use read::Reading;
pub use ring::Ring;

use crate::kernel::Plan;

/// The attached programs. Dropping it detaches them and frees their maps: nothing is pinned.
pub struct Tracer {
    ebpf: aya::Ebpf,
    kprobes: skipped::Links,
    /// The plan as the kernel accepted it.
    pub plan: Plan,
}
