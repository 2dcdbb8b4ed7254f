//! tcpress: who fills the TCP memory of a node, who suffers, and which limit refused.
//!
//! The library behind the binary `tcpress`. Its pure core ([`decode`], [`aggregate`], [`kernel::plan`],
//! [`diagnose`], [`report`], [`output`], [`top`]) does no I/O and reads no clock; everything that touches the
//! machine stands at the edge ([`probe`], [`holders`], [`indicators`], [`attribute`], [`context`], [`export`],
//! [`screen`], [`cli`]).

pub mod agent;
pub mod aggregate;

pub mod attribute;
pub mod capture;
pub mod cli;
pub mod context;
pub mod decode;
pub mod diagnose;
pub mod export;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod holders;
pub mod indicators;
pub mod kernel;
pub mod merge;
pub mod output;
pub mod probe;
pub mod report;
pub mod screen;
pub mod session;
#[cfg(test)]
mod skipped;
mod sums;
pub mod top;
