//! The file as whoever asks reads it: without rights beyond reading it, without a lock, while it is written or long afterwards.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use thiserror::Error;

use super::{
    frame::{FrameError, decode},
    index::{Entry, Index, Page, Title, VERSION},
};
use crate::{
    capture::{Capture, Keep},
    output::size,
};

/// Nothing was recorded for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub struct NotRecorded {
    /// From when on it was asked for.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The time of which there is something; `None` where there is nothing at all.
    pub held: Option<[Timestamp; 2]>,
}

impl std::fmt::Display for NotRecorded {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { since, until, held } = self;
        write!(to, "nothing is recorded from {since:.0} to {until:.0}; ")?;
        match held {
            Some([start, end]) => write!(to, "there is something from {start:.0} to {end:.0}"),
            None => write!(to, "there is nothing yet: `tcpress agent` records"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
    /// It is no recording.
    #[error("{0} is no recording of `tcpress agent`")]
    Foreign(PathBuf),
    /// Nothing in it can be read.
    #[error("{0} is a recording whose first page is damaged: nothing in it can be read")]
    Damaged(PathBuf),
    /// It is of another version.
    #[error("{0} is a recording of version {1}, and this tcpress reads version {VERSION}")]
    Version(PathBuf, u32),
    /// There is nothing of that time.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// What there is cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// A file that was opened for reading.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    pub(super) file: File,
    pub(super) title: Title,
    pub(super) index: Index,
}

impl History {
    /// Opens a recording and finds what it holds.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let failed = |error: io::Error| HistoryError::Io(path.to_owned(), error);
        let file = File::open(path).map_err(failed)?;
        let title = match Page::read(&file).map_err(failed)? {
            Page::Ours(title) => title,
            Page::Damaged => return Err(HistoryError::Damaged(path.to_owned())),
            Page::Version(version) => return Err(HistoryError::Version(path.to_owned(), version)),
            Page::Blank | Page::Foreign => return Err(HistoryError::Foreign(path.to_owned())),
        };
        let index = Index::read(&file, title).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            title,
            index,
        })
    }

    /// From when to when there is something; `None` where there is nothing.
    #[must_use]
    pub fn held(&self) -> Option<[Timestamp; 2]> {
        let ends = self.index.entries.iter().map(times);
        ends.reduce(|[start, end], [other, last]| [start.min(other), end.max(last)])
    }

    /// Frames that were written and cannot be read any more.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.index.missing
    }

    /// Whether a frame can be read.
    pub(super) fn has(&self, seq: u64) -> bool {
        let entries = &self.index.entries;
        entries.binary_search_by_key(&seq, |it| it.head.seq).is_ok()
    }

    /// All that was recorded from a time to another, as one capture, one frame after the other.
    ///
    /// # Errors
    /// When nothing was, or nothing of it can be read.
    pub fn between(&self, since: Timestamp, until: Timestamp) -> Result<Capture, HistoryError> {
        self.before(since, until, None)
    }

    /// The same of frames before a number.
    pub(super) fn before(
        &self,
        since: Timestamp,
        until: Timestamp,
        seq: Option<u64>,
    ) -> Result<Capture, HistoryError> {
        let entries = self.index.entries.iter();
        let wanted = entries.filter(|entry| {
            let [start, end] = times(entry);
            start < until && end > since && seq.is_none_or(|seq| entry.head.seq < seq)
        });
        let mut all: Option<Capture> = None;
        let mut last: Option<u64> = None;
        let (mut lost, mut unread, mut why) = (0_u64, 0_u64, None);
        for entry in wanted {
            let before = last.replace(entry.head.seq);
            let skipped = before.map_or(0, |before| entry.head.seq - before - 1);
            // Frames of other times, where the clock was set, are not lost.
            let from = entry.head.seq - skipped;
            lost += (from..entry.head.seq).filter(|seq| !self.has(*seq)).count() as u64;
            let payload = entry.payload(&self.file, self.title.id);
            let payload = payload.map_err(|error| HistoryError::Io(self.path.clone(), error))?;
            // Overwritten since, while it was read.
            let Some(payload) = payload else {
                lost += 1;
                continue;
            };
            match decode(&payload) {
                Ok(capture) => match &mut all {
                    Some(all) => all.join(capture),
                    None => all = Some(capture),
                },
                Err(error) => {
                    unread += 1;
                    why = Some(error);
                }
            }
        }
        let Some(mut all) = all else {
            let held = self.held();
            return Err(why.map_or(
                NotRecorded { since, until, held }.into(),
                HistoryError::Frame,
            ));
        };
        if lost > 0 {
            all.note_gap(format!(
                "recording: {} of this time cannot be read any more",
                size::count(lost, "frame")
            ));
        }
        if let Some(why) = why {
            all.note_gap(format!(
                "recording: {} of this time are not understood ({})",
                size::count(unread, "frame"),
                crate::output::text::clean(&why.to_string(), 200)
            ));
        }
        all.trim(&Keep::SECONDS);
        Ok(all)
    }
}

/// When a frame begins and ends, the earlier first: the clock may have been set back meanwhile.
fn times(entry: &Entry) -> [Timestamp; 2] {
    let [start, end] = entry.head.ends.map(|at| {
        let limit = if at < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Timestamp::from_microsecond(at).unwrap_or(limit)
    });
    [start.min(end), start.max(end)]
}
