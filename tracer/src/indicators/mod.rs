//! What the kernel itself counts and allows: SNMP counters per network namespace, sockstat, `tcp_mem`.

pub mod memory;
pub mod reconcile;

pub use memory::TcpMemory;
pub use reconcile::{Counter, Row, RowState};
