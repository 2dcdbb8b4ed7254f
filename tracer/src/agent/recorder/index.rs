//! Which frames a file holds: every whole one that was not overwritten, and how many are missing between them.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use super::frame::{HEAD, Head, hash};

/// Where frames begin: the page before tells what the file is.
pub(super) const RING: u64 = 4096;
/// First bytes of a file.
const MAGIC: [u8; 8] = *b"TCPRESSH";
/// Version of the format.
pub(super) const VERSION: u32 = 1;
/// Bytes of the first page that mean something: magic, version, nothing, size, number, hash of these.
const TOLD: usize = 40;
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// The first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Title {
    /// Size of the file, in bytes.
    pub(super) size: u64,
    /// What all hashes are seeded with: a number by chance.
    pub(super) id: u64,
}

/// What a first page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// That of a recording that this version reads.
    Ours(Title),
    /// That of another version.
    Version(u32),
    /// Ours, and damaged.
    Damaged,
    /// Nothing but zeros, or less than a page: one that was never finished.
    Blank,
    /// Something else.
    Foreign,
}

impl Title {
    pub(super) fn to_bytes(self) -> [u8; RING as usize] {
        let mut page = [0; RING as usize];
        page[..8].copy_from_slice(&MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[16..24].copy_from_slice(&self.size.to_le_bytes());
        page[24..32].copy_from_slice(&self.id.to_le_bytes());
        let seal = hash(0, &page[..32]);
        page[32..TOLD].copy_from_slice(&seal.to_le_bytes());
        page
    }
}

impl Page {
    /// Reads the first page of a file.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut page = [0; RING as usize];
        let got = read_at(file, &mut page, 0)?;
        if page.iter().all(|byte| *byte == 0) {
            return Ok(Self::Blank);
        }
        if page[..8] != MAGIC {
            return Ok(Self::Foreign);
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&page[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let version = u32::from_le_bytes([page[8], page[9], page[10], page[11]]);
        if got < page.len() || word(32) != hash(0, &page[..32]) {
            return Ok(Self::Damaged);
        }
        if version != VERSION {
            return Ok(Self::Version(version));
        }
        Ok(Self::Ours(Title {
            size: word(16),
            id: word(24),
        }))
    }
}

/// A frame and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) head: Head,
}

impl Entry {
    pub(super) const fn end(&self) -> u64 {
        self.offset + self.head.room()
    }

    /// Reads the payload; `None` where it is not what it was any more.
    pub(super) fn payload(&self, file: &File, id: u64) -> io::Result<Option<Vec<u8>>> {
        let mut payload = vec![0; self.head.length as usize];
        let got = read_at(file, &mut payload, self.offset + HEAD)?;
        let whole = got == payload.len() && hash(id, &payload) == self.head.payload;
        Ok(whole.then_some(payload))
    }
}

/// Every frame that is whole, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) entries: Vec<Entry>,
    /// Frames that were written, not overwritten, and are not whole or not there.
    pub(super) missing: u64,
    /// The number of the next frame.
    pub(super) next_seq: u64,
}

impl Index {
    /// Goes through all of a file, in bounded memory.
    pub(super) fn read(file: &File, title: Title) -> io::Result<Self> {
        let end = title.size.min(file.metadata()?.len());
        let mut chunk = Chunk::default();
        let mut entries: Vec<Entry> = Vec::new();
        // The number of a frame whose head is there and whose payload is not.
        let mut torn = 0;
        let mut offset = RING;
        while offset + HEAD <= end {
            let head = chunk.head(file, offset)?;
            let head = head.and_then(|bytes| Head::from_bytes(title.id, &bytes));
            let Some(head) = head.filter(|head| offset + head.room() <= end) else {
                offset += HEAD;
                continue;
            };
            let entry = Entry { offset, head };
            if entry.payload(file, title.id)?.is_some() {
                offset = entry.end();
                entries.push(entry);
            } else {
                torn = torn.max(head.seq.saturating_add(1));
                offset += HEAD;
            }
        }
        entries.sort_by_key(|entry| entry.head.seq);
        let Some(newest) = entries.last().copied() else {
            return Ok(Self {
                entries,
                missing: torn,
                next_seq: torn,
            });
        };
        let first = newest.head.first;
        entries.retain(|entry| entry.head.seq >= first);
        let next_seq = newest.head.seq.saturating_add(1).max(torn);
        let wanted = next_seq.saturating_sub(first);
        Ok(Self {
            missing: wanted.saturating_sub(entries.len() as u64),
            next_seq,
            entries,
        })
    }
}

/// What was read last.
#[derive(Default)]
struct Chunk {
    at: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// The bytes of a head; `None` where the file ends before.
    fn head(&mut self, file: &File, offset: u64) -> io::Result<Option<[u8; HEAD as usize]>> {
        let within = |chunk: &Self| {
            let from = usize::try_from(offset.checked_sub(chunk.at)?).ok()?;
            chunk.bytes.get(from..from + HEAD as usize)?.try_into().ok()
        };
        if let Some(head) = within(self) {
            return Ok(Some(head));
        }
        self.bytes.resize(CHUNK, 0);
        let got = read_at(file, &mut self.bytes, offset)?;
        self.bytes.truncate(got);
        self.at = offset;
        Ok(within(self))
    }
}

/// Reads as much as there is.
fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < to.len() {
        match file.read_at(&mut to[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
