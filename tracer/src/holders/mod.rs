//! Who holds TCP memory now: every TCP socket of every network namespace, with its memory.

pub mod socket;

pub use socket::{Scan, Socket, TcpState};
