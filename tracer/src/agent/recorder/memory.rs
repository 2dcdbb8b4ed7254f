//! The last minutes, second by second, as frames: their size is known to the byte.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::frame::{FrameError, decode, encode};
use crate::capture::Capture;

/// Windows end while the node is in trouble: compressing is to cost little.
const LEVEL: i32 = 1;

/// Windows of the last minutes, bounded in time and bytes.
#[derive(Debug)]
pub struct Memory {
    windows: VecDeque<Window>,
    length_ns: u64,
    max_bytes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Window {
    ends: [Timestamp; 2],
    duration_ns: u64,
    payload: Vec<u8>,
    /// The number of the frame of the file that it begins; `None` where it is not the first of one.
    begins: Option<u64>,
}

impl Memory {
    /// Remembers so much time, in so many bytes at most.
    #[must_use]
    pub fn new(length: Duration, max_bytes: usize) -> Self {
        Self {
            windows: VecDeque::new(),
            length_ns: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX),
            max_bytes,
            bytes: 0,
        }
    }

    /// Takes the next window.
    pub(super) fn take(
        &mut self,
        capture: &Capture,
        begins: Option<u64>,
    ) -> Result<(), FrameError> {
        let payload = encode(capture, LEVEL)?;
        if payload.len() > self.max_bytes {
            return Err(FrameError::TooLarge(payload.len(), self.max_bytes as u64));
        }
        self.bytes += payload.len();
        self.windows.push_back(Window {
            ends: capture.ends(),
            duration_ns: capture.duration_ns(),
            payload,
            begins,
        });
        // By the monotonic clock: wall clocks are set.
        let mut length: u64 =
            (self.windows.iter()).fold(0, |sum, window| sum.saturating_add(window.duration_ns));
        while let Some(first) = self.windows.front() {
            let enough = length.saturating_sub(first.duration_ns) >= self.length_ns;
            if !(enough || self.bytes > self.max_bytes) {
                break;
            }
            length = length.saturating_sub(first.duration_ns);
            self.forget_first();
        }
        Ok(())
    }

    /// Forgets the older windows, so that at most half of the bytes are left.
    pub(super) fn cut(&mut self) {
        let half = self.bytes / 2;
        while self.bytes > half {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let first = self.windows.pop_front();
        self.bytes -= first.map_or(0, |first| first.payload.len());
    }

    /// Bytes that they take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// From when on there is something.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.windows.front().map(|window| window.ends[0])
    }

    /// From when to when there is something.
    pub(super) fn held(&self) -> Option<[Timestamp; 2]> {
        let ends = self.windows.iter().map(|window| window.ends);
        ends.reduce(|[start, end], [other, last]| [start.min(other), end.max(last)])
    }

    /// The first frame of the file of which all windows are here, and when it begins.
    pub(super) fn whole_from(&self) -> (Option<u64>, Option<Timestamp>) {
        let whole = self.windows.iter().find(|window| window.begins.is_some());
        match whole {
            Some(window) => (window.begins, Some(window.ends[0])),
            None => (None, self.oldest()),
        }
    }

    /// Windows of some time, one after the other; `whole`: only from the first on that begins a frame of the file.
    pub(super) fn between(
        &self,
        since: Timestamp,
        until: Timestamp,
        whole: bool,
    ) -> impl Iterator<Item = Result<Capture, FrameError>> {
        let windows = self.windows.iter();
        let windows = windows.skip_while(move |window| whole && window.begins.is_none());
        let wanted = windows.filter(move |window| {
            let [start, end] = window.ends;
            // The clock may have been set back within it.
            start.min(end) < until && start.max(end) > since
        });
        wanted.map(|window| decode(&window.payload))
    }
}
