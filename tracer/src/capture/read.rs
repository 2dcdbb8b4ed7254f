//! From lines to a capture. Pure: the caller reads the file.

use std::collections::BTreeMap;

use thiserror::Error;
use tracer_common::ABI_VERSION;

use super::{
    contents::Capture,
    damage::Damage,
    record::{Record, SCHEMA},
};
use crate::output::text;

/// Why nothing can be read at all.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It has no first line.
    #[error("it is empty; `tcpress record FILE` writes a capture")]
    Empty,
    /// The first line is no header of a capture.
    #[error("its first line is no header of a capture ({0}); `tcpress record FILE` writes one")]
    NoHeader(String),
    /// Another format, or another version of it.
    #[error("it is a document of {0}, and this version reads {SCHEMA}")]
    OtherSchema(String),
    /// Its lists of counters mean something else.
    #[error(
        "its counters are those of interface {0}, and this version reads {ABI_VERSION}; replay it with the version that recorded it ({1})"
    )]
    OtherAbi(u32, String),
}

/// Takes the lines of a file one after the other.
#[derive(Debug, Default)]
pub struct Reader {
    capture: Option<Capture>,
    lines: u64,
    found: BTreeMap<String, u64>,
    damage: Damage,
}

impl Reader {
    /// Takes the next line, without its line break.
    ///
    /// # Errors
    /// When it is the first one, and no header that this version reads.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ReadError> {
        self.lines += 1;
        let record: Result<Record, _> = serde_json::from_slice(line);
        let Some(capture) = &mut self.capture else {
            self.capture = Some(begin(line, record)?);
            return Ok(());
        };
        let why = match record {
            Ok(Record::Header(_)) => "a second header".to_owned(),
            Ok(record) => {
                *self.found.entry(record.kind().to_owned()).or_default() += 1;
                capture.take(record);
                return Ok(());
            }
            Err(error) => text::clean(&error.to_string(), 100),
        };
        self.damage.bad_lines += 1;
        self.damage.first_bad.get_or_insert((self.lines, why));
        Ok(())
    }

    /// Notes why no more can be read, in words that follow a line number.
    pub fn stop(&mut self, why: &str) {
        self.damage.stopped = Some(format!("after line {}: {why}", self.lines));
    }

    /// What was read.
    ///
    /// # Errors
    /// When there was no line at all.
    pub fn finish(self) -> Result<Capture, ReadError> {
        let mut capture = self.capture.ok_or(ReadError::Empty)?;
        capture.damage = self.damage.words(&capture.header.records, &self.found);
        Ok(capture)
    }
}

fn begin(line: &[u8], record: Result<Record, serde_json::Error>) -> Result<Capture, ReadError> {
    // Another version may have another header: what it calls itself tells more than what is wrong with it.
    #[derive(serde::Deserialize)]
    struct Name {
        schema: String,
    }
    match serde_json::from_slice::<Name>(line) {
        Ok(Name { schema }) if schema != SCHEMA => {
            return Err(ReadError::OtherSchema(text::name(&schema)));
        }
        _ => {}
    }
    match record {
        Ok(Record::Header(header)) if header.abi != ABI_VERSION => {
            Err(ReadError::OtherAbi(header.abi, text::name(&header.tcpress)))
        }
        Ok(Record::Header(header)) => Ok(Capture::new(*header)),
        Ok(other) => Err(ReadError::NoHeader(format!("it is of {}", other.kind()))),
        Err(error) => Err(ReadError::NoHeader(text::clean(&error.to_string(), 100))),
    }
}
