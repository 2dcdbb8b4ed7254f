//! From records to sums.

pub mod group;
pub mod harm;
pub mod holding;

pub use group::Group;
pub use harm::Harm;
pub use holding::Holding;

use tracer_common::{TallyKey, TallyValue};

/// What one key did within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Whose.
    pub key: TallyKey,
    /// How much: the differences of two readings; the `last_*` fields are those of the later one.
    pub value: TallyValue,
}
