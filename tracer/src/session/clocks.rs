//! When something was read, by both clocks.

use std::time::Instant;

use jiff::Timestamp;

use super::observation::nanos;
use crate::report::Window;

/// The wall clock and the monotonic one, read one right after the other: by how much more or less the first has gone on between two
/// readings, it was set.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The time of day.
    pub wall: Timestamp,
    /// Time since the machine was started, which nobody sets.
    pub monotonic: Instant,
}

impl Clocks {
    /// Reads them.
    #[must_use]
    pub fn now() -> Self {
        Self {
            wall: Timestamp::now(),
            monotonic: Instant::now(),
        }
    }

    /// The window from this reading to a later one.
    #[must_use]
    pub fn until(self, end: Self) -> Window {
        let went_by = end.monotonic.saturating_duration_since(self.monotonic);
        Window {
            start: self.wall,
            end: end.wall,
            duration_ns: nanos(went_by),
        }
    }
}
