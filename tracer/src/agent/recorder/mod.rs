//! The flight recorder: what happened before anybody looked.
//!
//! The last minutes are kept in memory, second by second, and days in a file, minute by minute. Both keep trimmed captures
//! ([`crate::capture`]), so what answers a question of the past is the function that makes every report.
//!
//! | file | what it knows |
//! |---|---|
//! | `frame` | a capture as bytes, and the bytes before them by which a whole one is known from a torn one |
//! | `index` | which frames a file holds |
//! | `log` | the file that is written to: a ring of frames, preallocated, of one writer |
//! | `history` | the file as whoever asks reads it, while it is written or afterwards |
//! | `memory` | the last minutes |
//! | `writer` | the thread that writes: a disk that hangs holds nobody up |

mod frame;
pub mod history;
mod index;
pub mod log;
mod memory;
mod writer;

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

pub use self::{
    frame::FrameError,
    history::{History, HistoryError, NotRecorded},
    log::{Log, LogError, MIN_SIZE},
    memory::Memory,
    writer::{Status, Writer},
};
use crate::capture::{Capture, Keep};

/// What of the file is written at once.
const MINUTE: Duration = Duration::from_secs(60);
/// Most bytes of the last minutes.
pub const MEMORY_BYTES: usize = 8 << 20;

/// Records windows as they end, and answers what was.
#[derive(Debug)]
pub struct Recorder {
    memory: Memory,
    file: Option<(PathBuf, Writer)>,
    /// The minute that is not in the file yet.
    minute: Option<Capture>,
}

impl Recorder {
    /// Remembers so many minutes, in a few megabytes at most, and writes to a file that was opened, if one was.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn new(minutes: Duration, log: Option<Log>) -> std::io::Result<Self> {
        let file = log.map(|log| {
            let path = log.path().to_owned();
            Ok::<_, std::io::Error>((path, Writer::start(log)?))
        });
        Ok(Self {
            memory: Memory::new(minutes, MEMORY_BYTES),
            file: file.transpose()?,
            minute: None,
        })
    }

    /// Takes the window that has just ended.
    ///
    /// # Errors
    /// When it does not become a frame; that it was lost is counted.
    pub fn take(&mut self, mut window: Capture) -> Result<(), FrameError> {
        window.trim(&Keep::SECONDS);
        let written = self.file.as_ref().map(|(_, writer)| writer.next_seq());
        let begins = written.filter(|_| self.minute.is_none());
        let kept = self.memory.take(&window, begins);
        if self.file.is_some() {
            match &mut self.minute {
                Some(minute) => minute.join(window),
                None => self.minute = Some(window),
            }
            let length = self.minute.as_ref().map_or(0, Capture::duration_ns);
            if u128::from(length) >= MINUTE.as_nanos() {
                self.flush();
            }
        }
        kept
    }

    /// Hands to the file what is not in it yet, before a minute is full. Where the one before is not written yet, both become one
    /// later.
    pub fn flush(&mut self) {
        let Some((_, writer)) = &mut self.file else {
            return;
        };
        if let Some(mut minute) = self.minute.take() {
            minute.trim(&Keep::MINUTES);
            self.minute = writer.write(minute);
        }
    }

    /// Writes what is left, and waits until it is on disk.
    pub fn close(mut self) {
        let Some((_, writer)) = self.file.take() else {
            return;
        };
        let minute = self.minute.take().map(|mut minute| {
            minute.trim(&Keep::MINUTES);
            minute
        });
        writer.close(minute);
    }

    /// How the file fares; `None` where there is none.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.file.as_ref().map(|(_, writer)| writer.status())
    }

    /// From when on there is something, in the file or in memory.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let file = self.status().and_then(|status| status.oldest);
        file.into_iter().chain(self.memory.oldest()).min()
    }

    /// Forgets the older half of the last minutes; what is in the file stays there.
    pub fn cut(&mut self) {
        self.memory.cut();
    }

    /// All that was recorded from a time to another as one capture: second by second where that is still known, else minute by
    /// minute. Windows are not cut: it begins and ends where windows do. That the file cannot be read is a gap of it.
    ///
    /// # Errors
    /// When nothing was recorded then, or nothing of it can be read.
    pub fn between(&self, since: Timestamp, until: Timestamp) -> Result<Capture, HistoryError> {
        let (whole_from, first) = self.memory.whole_from();
        let path = self.file.as_ref().map(|(path, _)| path);
        let path = path.filter(|_| first.is_none_or(|first| since < first));
        let history = path.map(|path| History::open(path));
        let (history, mut unread) = match history.transpose() {
            Ok(history) => (history, None),
            Err(error) => (None, Some(error)),
        };
        // What both have is told by memory, which knows it better; of a minute that memory has in part, by the file.
        let earlier = history
            .as_ref()
            .map(|it| it.before(since, until, whole_from));
        let mut all = match earlier {
            Some(Ok(capture)) => Some(capture),
            Some(Err(HistoryError::NotRecorded(_))) | None => None,
            Some(Err(error)) => {
                unread = Some(error);
                None
            }
        };
        let minute_before = whole_from.and_then(|seq| seq.checked_sub(1));
        let in_file = (history.as_ref().zip(minute_before)).is_some_and(|(it, seq)| it.has(seq));
        for window in self.memory.between(since, until, in_file) {
            match &mut all {
                Some(all) => all.join(window?),
                None => all = Some(window?),
            }
        }
        match (all, unread) {
            (Some(mut all), Some(error)) => {
                all.note_gap(format!("recording: earlier times are not known: {error}"));
                Ok(all)
            }
            (Some(all), None) => Ok(all),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let held = history.as_ref().and_then(History::held).into_iter();
                let held = held.chain(self.memory.held());
                let held =
                    held.reduce(|[start, end], [other, last]| [start.min(other), end.max(last)]);
                Err(NotRecorded { since, until, held }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
