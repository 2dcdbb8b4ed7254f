//! The agent: always there, exact, a guest on a node that may be dying. Its parts are pure where they can be; what reads, waits and
//! writes stands at their edges.

pub mod config;
pub mod http;
pub mod ledger;
pub mod metrics;
pub mod notify;
pub mod privileges;
pub mod recorder;
pub mod socket;
