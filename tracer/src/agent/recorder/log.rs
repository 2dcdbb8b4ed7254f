//! The file that is written to: a ring of frames, of one writer.
//!
//! All room is taken when the file is made, so that a full disk takes none of it away later. A frame is one write and one
//! `fdatasync(2)`. Whatever of it reaches the disk before a kill or a power cut: it is whole or it is none, and no other frame is
//! touched but those that it was to overwrite.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, flock},
    io::Errno,
};
use thiserror::Error;

use super::{
    frame::{FrameError, HEAD, Head, encode, room},
    index::{Entry, Index, Page, RING, Title, VERSION},
};
use crate::{
    capture::{Capture, Keep},
    output::size,
};

/// Least size of a file: some frames of the largest kind have room in it.
pub const MIN_SIZE: u64 = 1 << 20;
/// Largest size of a file: going through it takes a while.
pub const MAX_SIZE: u64 = 4 << 30;
/// Most that one frame takes, in bytes.
const MAX_FRAME: u64 = 4 << 20;
/// Once a minute there is time to compress well.
const LEVEL: i32 = 6;
/// Nobody else is to read who talks to whom.
const MODE: u32 = 0o600;

/// Why there is no file to write to, or nothing was written.
#[derive(Debug, Error)]
pub enum LogError {
    /// It cannot be made, opened, read or written.
    #[error("cannot use {0}: {1}")]
    Io(PathBuf, io::Error),
    /// There is no room for it.
    #[error("no room for {1} at {0}: {2}; make room, or give the recording a smaller size")]
    NoRoom(PathBuf, String, io::Error),
    /// A size that none can have.
    #[error("a recording has {MIN_SIZE} to {MAX_SIZE} bytes, not {0}")]
    Size(u64),
    /// Somebody else writes to it.
    #[error("{0} is in use: another agent records to it")]
    Locked(PathBuf),
    /// It is something else, which is left alone.
    #[error("{0} is {1}: it is left alone; move it away, or give the recording another path")]
    Foreign(PathBuf, String),
    /// What was to be written.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// An open file, which nobody else writes to.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    title: Title,
    /// Frames that can be read, the oldest first.
    pub(super) live: VecDeque<Entry>,
    /// Where the next frame goes.
    pub(super) head: u64,
    next_seq: u64,
    /// In words: what was found when it was opened.
    words: Vec<String>,
}

impl Drop for Log {
    fn drop(&mut self) {
        // Closing it would do, but for a child that this process begins in the same moment: it has the file until it runs its own program.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Log {
    /// Opens a file, and makes it where there is none or an unfinished one. One that is something else, or of another version, is
    /// replaced only if that is asked for; one of another size goes on to be used as it is otherwise.
    ///
    /// # Errors
    /// When it cannot be had, or another process has it.
    pub fn open(path: &Path, size: u64, replace: bool) -> Result<Self, LogError> {
        if !(MIN_SIZE..=MAX_SIZE).contains(&size) {
            return Err(LogError::Size(size));
        }
        let size = size / HEAD * HEAD;
        let failed = |error: io::Error| LogError::Io(path.to_owned(), error);
        if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mut builder = DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let foreign = |what: &str| LogError::Foreign(path.to_owned(), what.to_owned());
        if !about.is_file() {
            return Err(foreign("no regular file"));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LogError::Locked(path.to_owned())),
            Err(error) => return Err(failed(error.into())),
        }
        let mut words = Vec::new();
        let page = Page::read(&file).map_err(failed)?;
        let make = |why: Option<&str>, words: &mut Vec<String>| {
            words.extend(why.map(|why| format!("{} is begun anew: {why}", path.display())));
            make(path, &file, size)
        };
        let title = match page {
            Page::Blank => {
                let unfinished = (about.len() > 0).then_some("it was never finished");
                make(unfinished, &mut words)?
            }
            Page::Damaged => {
                let why = "its first page is damaged, without which nothing in it can be read";
                make(Some(why), &mut words)?
            }
            Page::Foreign if !replace => return Err(foreign("no recording of tcpress")),
            Page::Foreign => make(Some("it was no recording"), &mut words)?,
            Page::Version(version) if !replace => {
                return Err(foreign(&format!(
                    "a recording of version {version}, and this tcpress writes version {VERSION}"
                )));
            }
            Page::Version(_) => make(Some("it was of another version"), &mut words)?,
            Page::Ours(title) if title.size != size && replace => {
                make(Some("it was of another size"), &mut words)?
            }
            Page::Ours(title) if !(MIN_SIZE..=MAX_SIZE).contains(&title.size) => {
                make(Some("it says to be of a size that none has"), &mut words)?
            }
            Page::Ours(title) => {
                if title.size != size {
                    words.push(format!(
                        "{} has {} and goes on to be used, though {} were asked for; move it away for another size",
                        path.display(),
                        size::bytes(title.size),
                        size::bytes(size)
                    ));
                }
                // One that was cut, or has holes, has room for all of it again.
                reserve(path, &file, title.size)?;
                title
            }
        };
        if about.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(MODE))
                .map_err(failed)?;
            words.push(format!(
                "{} was open to others: it is not any more",
                path.display()
            ));
        }
        let index = Index::read(&file, title).map_err(failed)?;
        if index.missing > 0 {
            words.push(format!(
                "{}: {} of the recording cannot be read",
                path.display(),
                size::count(index.missing, "frame")
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            head: index.entries.last().map_or(RING, Entry::end),
            next_seq: index.next_seq,
            live: index.entries.into(),
            file,
            title,
            words,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In words: what was found when it was opened.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// From when on there is something.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let first = self.live.front()?;
        Timestamp::from_microsecond(first.head.ends[0]).ok()
    }

    /// The number of the next frame.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Frames that can be read.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.live.len()
    }

    /// Most bytes of one payload.
    fn most(&self) -> u64 {
        MAX_FRAME.min((self.title.size - RING) / 4) - HEAD
    }

    /// Writes a capture and waits until it is on disk. Where it is too large, with less in it.
    ///
    /// # Errors
    /// When it cannot be written; its number is then one that is missing.
    pub fn write(&mut self, capture: &Capture) -> Result<(), LogError> {
        let encoded = encode(capture, LEVEL).and_then(|payload| {
            if payload.len() as u64 <= self.most() {
                return Ok(payload);
            }
            let mut least = capture.clone();
            least.trim(&Keep::LEAST);
            encode(&least, LEVEL)
        });
        match encoded {
            Ok(payload) => self.append(capture.ends(), &payload),
            Err(error) => {
                self.next_seq += 1;
                Err(error.into())
            }
        }
    }

    /// Appends a frame.
    pub(super) fn append(&mut self, ends: [Timestamp; 2], payload: &[u8]) -> Result<(), LogError> {
        let seq = self.next_seq;
        self.next_seq += 1;
        if payload.len() as u64 > self.most() {
            return Err(FrameError::TooLarge(payload.len(), self.most()).into());
        }
        let need = room(payload.len() as u64);
        let offset = match self.head + need <= self.title.size {
            true => self.head,
            false => RING,
        };
        let overlaps = |entry: &Entry| entry.offset < offset + need && offset < entry.end();
        // The oldest go first, also those at the end of the file that nothing overwrites yet.
        while self.live.iter().any(overlaps) {
            self.live.pop_front();
        }
        let first = self.live.front().map_or(seq, |entry| entry.head.seq);
        let head = Head::new(self.title.id, seq, first, ends, payload);
        let mut bytes = Vec::with_capacity(need as usize);
        bytes.extend(head.to_bytes(self.title.id));
        bytes.extend(payload);
        let failed = |error: io::Error| LogError::Io(self.path.clone(), error);
        self.file.write_all_at(&bytes, offset).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.live.push_back(Entry { offset, head });
        self.head = offset + need;
        Ok(())
    }
}

/// Makes an empty recording of a file. Whatever stops it half-way leaves one that is known as unfinished.
pub(super) fn make(path: &Path, file: &File, size: u64) -> Result<Title, LogError> {
    let failed = |error: io::Error| LogError::Io(path.to_owned(), error);
    file.set_len(0).map_err(failed)?;
    if let Err(error) = reserve(path, file, size) {
        // What it could get is given back.
        file.set_len(0).map_err(failed)?;
        return Err(error);
    }
    let mut id = [0; 8];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| failed(error.into()))?;
    let title = Title {
        size,
        id: u64::from_le_bytes(id),
    };
    file.sync_all().map_err(failed)?;
    file.write_all_at(&title.to_bytes(), 0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // Its name is to be there after a power cut as well.
    File::open(folder)
        .and_then(|it| it.sync_all())
        .map_err(failed)?;
    Ok(title)
}

/// Takes all the room that a file needs.
fn reserve(path: &Path, mut file: &File, size: u64) -> Result<(), LogError> {
    let no_room = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            LogError::NoRoom(path.to_owned(), size::bytes(size), error)
        }
        _ => LogError::Io(path.to_owned(), error),
    };
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        // Some file systems cannot: there room is taken by writing, where there is nothing yet.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = vec![0; 1 << 20];
            let mut at = file.metadata().map_err(no_room)?.len();
            io::Seek::seek(&mut file, io::SeekFrom::Start(at)).map_err(no_room)?;
            while at < size {
                let more = (size - at).min(zeros.len() as u64);
                file.write_all(&zeros[..more as usize]).map_err(no_room)?;
                at += more;
            }
            Ok(())
        }
        Err(error) => Err(no_room(error.into())),
    }
}
