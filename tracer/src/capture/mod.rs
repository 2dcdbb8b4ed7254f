//! Everything that a report is made from, in a file: written where it was measured, read anywhere, without rights. The report
//! that is made of it is the same to the last byte, because one function makes both ([`crate::report::build()`]).
//!
//! A file is lines of JSON, each one record ([`Record`]); the first is the header. A name that ends in `.zst` is compressed by
//! Zstandard (RFC 8878). What can be read of a damaged file is read, and what is missing is told.
//!
//! Captures of windows in a row can be joined to one of the whole time, and trimmed to what a recording has room for.

mod contents;
mod damage;
mod file;
mod join;
mod keep;
mod keys;
mod left_out;
mod read;
mod record;
mod records;
mod story;
mod trim;

pub use contents::Capture;
pub use file::{FileError, lines, parse, read, write};
pub use keep::Keep;
pub use left_out::{LeftOut, Rest};
pub use read::{ReadError, Reader};
pub use record::{Header, Moment, Record, SCHEMA};
pub use story::Story;

#[cfg(test)]
pub(crate) mod tests;
