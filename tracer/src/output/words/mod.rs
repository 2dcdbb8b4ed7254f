//! The sentences that renderings for people share: what is said is said in one place, a rendering lays it out. Names within them are
//! cut to a length; what else is unsafe in a shape is for its rendering to know.

pub(super) mod advice;
pub(super) mod context;
pub(super) mod facts;
pub(super) mod holder;
pub(super) mod losses;
pub(super) mod narrowed;
pub(super) mod node;
pub(super) mod plan;
pub(super) mod reconciliation;
pub(super) mod recovery;
pub(super) mod victim;

use super::size;

/// What stands for an absent value.
pub(super) const ABSENT: &str = "–";

/// A count.
pub(super) fn number(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

/// A size.
pub(super) fn bytes(value: Option<u64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), size::bytes)
}
