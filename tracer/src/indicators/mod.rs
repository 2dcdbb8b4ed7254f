//! What the kernel itself counts and allows: SNMP counters per network namespace, sockstat, `tcp_mem`.

mod enter;
pub mod memcg;
pub mod memory;
pub mod mountinfo;
pub mod netns;
pub mod netstat;
pub mod readings;
pub mod reconcile;
pub mod reserve;
pub mod rows;
pub mod sockstat;

pub use memory::TcpMemory;
pub use netns::Netns;
pub use netstat::Netstat;
pub use readings::NetnsReading;
pub use reconcile::{Counter, Row, RowState};
pub use sockstat::Sockstat;
