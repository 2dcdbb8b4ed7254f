//! From facts to a verdict: which limit refused, who explains it, and what to do first. Rules only: it
//! reads no kernel, no clock, and accuses nobody beyond what the limit that refused makes responsible.

pub mod advice;
pub mod blemish;
pub mod context;
pub mod culprit;
pub mod leak;
pub mod limit;
pub mod reader;
pub mod sufferer;
pub mod summary;
mod words;

pub use culprit::{Account, Accused};
pub use limit::{Finding, Tallied};
pub use sufferer::Sufferer;
pub use summary::Case;
