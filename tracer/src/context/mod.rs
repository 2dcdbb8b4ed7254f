//! Why does it not read? Readers of what cgroups, threads and network namespaces tell of waiting, and what is made of two of their
//! readings. The rulings are [`crate::diagnose::context`]'s.
//!
//! Who is a victim or a culprit is known only when the window closes. So when it opens, the cheap figures of every cgroup that owns
//! TCP sockets are read, and the threads of those that hold most are looked at now and then; who is named by evidence meanwhile is
//! taken in when that happens, and what is named at the end is looked at then. Everything is bounded in number and time, and what
//! a bound left out is a gap.

pub mod cgroup;
pub mod cpu;
pub mod figures;
pub mod io;
pub mod memory;
pub mod network;
pub mod observer;
pub mod processes;
pub mod psi;
pub mod subject;
pub mod task;
pub mod thread;
pub mod threads;

pub use observer::Observer;
pub use subject::Subject;

/// Nanoseconds of a microsecond.
const MICROSECOND: u64 = 1_000;

/// The number in a line `NAME NUMBER` of a flat file of cgroups.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    crate::indicators::netstat::number(value.trim())
}

/// How far a counter has risen; one that fell was replaced, and counts since then.
fn rise(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    let (now, before) = (now?, before?);
    Some(now.checked_sub(before).unwrap_or(now))
}

/// A part of a whole, to six decimals; `None` of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "six decimals are kept")]
    let share = part as f64 / whole as f64;
    (whole > 0).then_some((share * 1e6).round() / 1e6)
}
