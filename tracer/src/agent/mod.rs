//! The agent: always there, exact, a guest on a node that may be dying. Its parts are pure where they can be; what reads, waits and
//! writes stands at their edges.

pub mod board;
pub mod config;
pub mod courier;
pub mod http;
pub mod incident;
pub mod ledger;
pub mod metrics;
pub mod notify;
pub mod own;
pub mod privileges;
pub mod recorder;
pub mod run;
pub mod socket;
pub mod trigger;
pub mod words;
