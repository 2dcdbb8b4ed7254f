//! Who holds TCP memory now: every TCP socket of every network namespace, with its memory.

pub mod diag;
pub mod netlink;
pub mod proc_tcp;
pub mod scan;
pub mod socket;

pub use scan::{scan, scan_namespaces, unlisted, windows};
pub use socket::{Scan, Socket, TcpState};
