//! What is wrong with a configuration, and where.

use std::fmt;

use crate::output::text;

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In that line of the file, from 1 on.
    Line(usize),
    /// On the command line.
    Option,
    /// In what keys say together.
    Together,
}

/// One thing that is wrong. A configuration with any is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, and what is allowed instead.
    pub what: String,
}

/// Longest message; a file may hold lines of any length.
const MAX_SHOWN: usize = 400;

impl ConfigError {
    pub(super) fn new(place: Place, what: impl AsRef<str>) -> Self {
        Self {
            place,
            what: text::clean(what.as_ref(), MAX_SHOWN),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line) => write!(out, "line {line}: {}", self.what),
            Place::Option => write!(out, "on the command line: {}", self.what),
            Place::Together => out.write_str(&self.what),
        }
    }
}
