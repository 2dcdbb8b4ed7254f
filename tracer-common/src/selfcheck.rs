//! The self-check: every call of `tcp_try_rmem_schedule` judged by us, against the kernel's own counters
//! before and after that very call.

/// Calls that began.
pub const CALLS: u32 = 0;
/// Calls that could be compared: no other call was live meanwhile, and it ended on the CPU where it began.
pub const COMPARED: u32 = 1;
/// Calls in which a counter rose by another amount than ours, one cell for each of [`COUNTERS`].
pub const WRONG: u32 = 2;
/// The counters that rise within the call, as the kernel names them.
pub const COUNTERS: [&str; 4] = ["PruneCalled", "RcvPruned", "OfoPruned", "TCPRcvCollapsed"];
/// How many cells there are.
pub const COUNT: u32 = WRONG + COUNTERS.len() as u32;
