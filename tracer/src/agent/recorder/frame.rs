//! A capture as bytes, and the head before them.
//!
//! A frame is a head of 64 bytes and a payload: the lines of a capture, compressed by Zstandard (RFC 8878). All numbers are
//! little-endian. Both hashes are XXH3 (64 bits), seeded by the number that the file was given when it was made: neither bytes of
//! another file nor those that somebody put into a name are ever taken for a frame.

use std::io::{self, Read as _};

use jiff::Timestamp;
use thiserror::Error;
use twox_hash::XxHash3_64;

use crate::capture::{self, Capture, FileError};

/// Size of a head; frames begin at multiples of it.
pub(super) const HEAD: u64 = 64;
/// First bytes of a head.
const MAGIC: [u8; 4] = *b"TCPF";
/// Bytes of a head that its hash is of.
const HASHED: usize = 56;
/// Most bytes of lines that a payload may grow to.
const MAX_PLAIN: u64 = 64 << 20;

/// Why a frame is no capture.
#[derive(Debug, Error)]
pub enum FrameError {
    /// It does not fit, even with little in it.
    #[error("a frame of {0} bytes is more than a recording takes at once ({1})")]
    TooLarge(usize, u64),
    /// It cannot be made, or be read.
    #[error("a frame cannot be made or read: {0}")]
    Io(#[from] io::Error),
    /// What it holds is no capture.
    #[error("a frame holds no capture: {0}")]
    Capture(#[from] FileError),
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Which frame it is; they are numbered as they are written, also those that were lost by that.
    pub(super) seq: u64,
    /// The first frame that was not overwritten when this one was.
    pub(super) first: u64,
    /// Bytes of the payload.
    pub(super) length: u32,
    /// Hash of the payload.
    pub(super) payload: u64,
    /// When its window begins and ends, in microseconds of the wall clock.
    pub(super) ends: [i64; 2],
}

impl Head {
    pub(super) fn new(
        id: u64,
        seq: u64,
        first: u64,
        capture: [Timestamp; 2],
        bytes: &[u8],
    ) -> Self {
        Self {
            seq,
            first,
            length: bytes.len() as u32,
            payload: hash(id, bytes),
            ends: capture.map(Timestamp::as_microsecond),
        }
    }

    pub(super) fn to_bytes(self, id: u64) -> [u8; HEAD as usize] {
        let mut bytes = [0; HEAD as usize];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        let words = [
            self.seq,
            self.first,
            self.payload,
            self.ends[0].cast_unsigned(),
            self.ends[1].cast_unsigned(),
        ];
        for (at, word) in words.into_iter().enumerate() {
            bytes[8 + 8 * at..16 + 8 * at].copy_from_slice(&word.to_le_bytes());
        }
        let seal = hash(id, &bytes[..HASHED]);
        bytes[HASHED..].copy_from_slice(&seal.to_le_bytes());
        bytes
    }

    /// `None` where the bytes are no head of this file.
    pub(super) fn from_bytes(id: u64, bytes: &[u8; HEAD as usize]) -> Option<Self> {
        if bytes[..4] != MAGIC {
            return None;
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let [seq, first, payload, start, end] = [8, 16, 24, 32, 40].map(word);
        (word(HASHED) == hash(id, &bytes[..HASHED])).then_some(Self {
            seq,
            first,
            length,
            payload,
            ends: [start.cast_signed(), end.cast_signed()],
        })
    }

    /// Bytes from its beginning to where the next frame may begin.
    pub(super) const fn room(&self) -> u64 {
        room(self.length as u64)
    }
}

/// Bytes that a frame takes with its payload.
pub(super) const fn room(payload: u64) -> u64 {
    (HEAD + payload).next_multiple_of(HEAD)
}

/// The hash of a file's frames.
pub(super) fn hash(id: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(id, bytes)
}

/// The lines of a capture, compressed. At once and not line by line: of what is of a known and small size, the compressor's tables are small too.
pub(super) fn encode(capture: &Capture, level: i32) -> Result<Vec<u8>, FrameError> {
    let mut plain = Vec::new();
    capture::lines(capture, &mut plain)?;
    Ok(zstd::bulk::compress(&plain, level)?)
}

/// And back.
pub(super) fn decode(payload: &[u8]) -> Result<Capture, FrameError> {
    let lines = zstd::stream::read::Decoder::with_buffer(payload)?;
    let lines = io::BufReader::new(lines.take(MAX_PLAIN));
    Ok(capture::parse(lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_head_can_change_unseen() {
        let ends = [Timestamp::UNIX_EPOCH, Timestamp::MAX];
        let head = Head::new(7, 3, 2, ends, b"payload");
        let bytes = head.to_bytes(7);
        assert_eq!(Head::from_bytes(7, &bytes), Some(head));
        assert_eq!(Head::from_bytes(8, &bytes), None, "of another file");
        for bit in 0..8 * bytes.len() {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::from_bytes(7, &other), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_takes_whole_heads() {
        assert_eq!([room(0), room(1), room(64), room(65)], [64, 128, 128, 192]);
    }
}
