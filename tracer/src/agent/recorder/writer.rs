//! The thread that writes to the file. A disk may take seconds, or hang: whoever hands something over does not wait, and what finds
//! the thread busy is joined to what comes next.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use jiff::Timestamp;

use super::log::Log;
use crate::capture::Capture;

/// How the file fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// From when on there is something in it.
    pub oldest: Option<Timestamp>,
    /// Frames written since it was opened.
    pub written: u64,
    /// Frames that could not be written.
    pub failed: u64,
    /// In words: why the last one that failed could not be written; `None` once one was again.
    pub error: Option<String>,
    /// Times that the thread was still busy, and two minutes became one frame.
    pub busy: u64,
}

/// Hands captures to the thread.
#[derive(Debug)]
pub struct Writer {
    to: SyncSender<Capture>,
    thread: JoinHandle<()>,
    status: Arc<Mutex<Status>>,
    next_seq: u64,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(mut log: Log) -> io::Result<Self> {
        let status = Arc::new(Mutex::new(Status {
            oldest: log.oldest(),
            ..Status::default()
        }));
        let next_seq = log.next_seq();
        let shared = Arc::clone(&status);
        let (to, from) = sync_channel::<Capture>(1);
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                for capture in from {
                    let done = log.write(&capture);
                    let mut status = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    status.oldest = log.oldest();
                    match done {
                        Ok(()) => {
                            status.written += 1;
                            status.error = None;
                        }
                        Err(error) => {
                            status.failed += 1;
                            status.error = Some(error.to_string());
                        }
                    }
                }
            })?;
        Ok(Self {
            to,
            thread,
            status,
            next_seq,
        })
    }

    /// The number of the frame that the next capture becomes.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Hands over a capture; the capture itself where the thread is busy.
    pub fn write(&mut self, capture: Capture) -> Option<Capture> {
        match self.to.try_send(capture) {
            Ok(()) => {
                self.next_seq += 1;
                None
            }
            Err(TrySendError::Full(capture)) => {
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                status.busy += 1;
                Some(capture)
            }
            // The thread is gone: what it was told last is in the status.
            Err(TrySendError::Disconnected(_)) => {
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                status.failed += 1;
                status.error = Some("the thread that writes has ended".to_owned());
                None
            }
        }
    }

    /// How the file fares.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Hands over what is left and waits until it is written.
    pub fn close(self, last: Option<Capture>) {
        let Self { to, thread, .. } = self;
        // Where the thread is gone there is nobody to write it.
        last.and_then(|last| to.send(last).err());
        drop(to);
        let _ = thread.join();
    }
}
