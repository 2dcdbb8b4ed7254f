//! Everything that a report is made from, in a file: written where it was measured, read anywhere, without rights. The report
//! that is made of it is the same to the last byte, because one function makes both ([`crate::report::build()`]).
//!
//! A file is lines of JSON, each one record ([`Record`]); the first is the header. A name that ends in `.zst` is compressed by
//! Zstandard (RFC 8878). What can be read of a damaged file is read, and what is missing is told.

mod contents;
mod damage;
mod file;
mod read;
mod record;

pub use contents::Capture;
pub use file::{FileError, parse, read, write};
pub use read::{ReadError, Reader};
pub use record::{Header, Moment, Record, SCHEMA};

#[cfg(test)]
pub(crate) mod tests;
