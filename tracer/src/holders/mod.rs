//! Who holds TCP memory now: every TCP socket of every network namespace, and those that no table lists, with their memory.

pub(crate) mod descriptors;
pub mod diag;
mod duplicate;
mod gather;
pub mod netlink;
pub mod part;
pub mod proc_tcp;
mod progress;
pub mod scan;
pub mod socket;
pub mod tcp_info;
mod unlisted;

pub use gather::Detail;
pub use progress::Progress;
pub use scan::{scan, scan_namespaces, windows};
pub use socket::{Scan, Socket, Sum, TcpState};
