//! The live view: reports in a row become the state of a screen, and that a frame. Pure: keys and reports come from the edge
//! ([`crate::cli`]), which also owns the terminal ([`crate::screen`]).
//!
//! Nothing here counts: every figure is one of a report, a sum of those of several, or a quotient of one by the time that it took.

mod frame;
mod history;
mod identity;
mod key;
mod owners;
mod state;

#[cfg(test)]
mod tests;

pub use frame::View;
pub use key::{Key, Then};
pub use state::State;
