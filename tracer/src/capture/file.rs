//! Captures on disk, compressed or not.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use thiserror::Error;

use super::{Capture, ReadError, Reader};
use crate::output::json;

/// Longest line that is read: a record has a few kilobytes.
const MAX_LINE: u64 = 16 << 20;
/// First bytes of a file compressed by Zstandard (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a file is no capture.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be opened, or not even its beginning can be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What it holds is none.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads a file, whatever its name, as far as that is possible.
///
/// # Errors
/// When not even a header can be read.
pub fn read(path: &Path) -> Result<Capture, FileError> {
    let mut file = BufReader::new(File::open(path)?);
    let compressed = file.fill_buf()?.starts_with(&MAGIC);
    if compressed {
        let lines = zstd::stream::read::Decoder::with_buffer(file)?;
        return parse(BufReader::new(lines));
    }
    parse(file)
}

/// Reads lines, as far as that is possible.
///
/// # Errors
/// When not even a header can be read.
pub fn parse(mut from: impl BufRead) -> Result<Capture, FileError> {
    let mut reader = Reader::default();
    let mut line = Vec::new();
    let mut lines = 0_u64;
    loop {
        line.clear();
        let got = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match got {
            Ok(0) => break,
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                reader.line(&line)?;
                lines += 1;
            }
            Ok(_) if lines == 0 => {
                // Not even the first line is whole: the reader says what it is not.
                reader.line(&line)?;
                break;
            }
            Ok(_) if line.len() as u64 == MAX_LINE => {
                reader.stop("a line is longer than any record");
                break;
            }
            Ok(_) => {
                reader.stop("the file ends within a line");
                break;
            }
            Err(error) if lines == 0 => return Err(error.into()),
            Err(error) => {
                reader.stop(&error.to_string());
                break;
            }
        }
    }
    Ok(reader.finish()?)
}

/// Writes a capture, compressed if the name says so.
///
/// # Errors
/// When the file cannot be written.
pub fn write(capture: &Capture, file: File, name: &Path) -> io::Result<()> {
    let compress = name.extension().is_some_and(|extension| extension == "zst");
    let mut out = BufWriter::new(file);
    if compress {
        let mut encoder = zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        lines(capture, &mut encoder)?;
        out = encoder.finish()?;
    } else {
        lines(capture, &mut out)?;
    }
    out.flush()?;
    out.get_ref().sync_all()
}

/// Writes the lines of a capture.
///
/// # Errors
/// When they cannot be written.
pub fn lines(capture: &Capture, out: &mut impl Write) -> io::Result<()> {
    for record in capture.records() {
        out.write_all(json::line(&record)?.as_bytes())?;
    }
    Ok(())
}
