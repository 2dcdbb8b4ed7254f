//! How full TCP memory was in the last minutes.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::report::TcpMemory;

/// Windows that are remembered: as many as the widest screen has columns.
const MAX: usize = 512;

/// Fill at the end of each of the last windows, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    windows: VecDeque<(Timestamp, Option<f64>)>,
}

impl History {
    /// Adds a window that ended.
    pub(super) fn add(&mut self, end: Timestamp, memory: &TcpMemory) {
        if self.windows.len() == MAX {
            self.windows.pop_front();
        }
        self.windows.push_back((end, memory.fill));
    }

    /// The last windows in per mille, at most so many, the oldest first; `None` where it is not known.
    pub(super) fn last(&self, most: usize) -> Vec<Option<u64>> {
        self.fills(most).map(|fill| fill.map(per_mille)).collect()
    }

    /// The fullest of these.
    pub(super) fn peak(&self, most: usize) -> Option<f64> {
        self.fills(most).flatten().max_by(f64::total_cmp)
    }

    fn fills(&self, most: usize) -> impl Iterator<Item = Option<f64>> {
        let skipped = self.windows.len().saturating_sub(most);
        self.windows.iter().skip(skipped).map(|(_, fill)| *fill)
    }

    /// Seconds from the first of these windows to the last.
    pub(super) fn span(&self, most: usize) -> u64 {
        let skipped = self.windows.len().saturating_sub(most);
        let first = self.windows.get(skipped);
        let ends = first.zip(self.windows.back());
        ends.map_or(0, |((first, _), (last, _))| {
            let span = last.duration_since(*first).as_secs();
            u64::try_from(span).unwrap_or(0)
        })
    }
}

/// Fill in thousandths; beyond ten times the limit it is all the same.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is small and not negative"
)]
fn per_mille(fill: f64) -> u64 {
    (fill.clamp(0.0, 10.0) * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(fill: Option<f64>) -> TcpMemory {
        TcpMemory {
            fill,
            ..TcpMemory::default()
        }
    }

    #[test]
    fn the_last_windows_are_kept_and_what_is_not_known_is_no_zero() {
        let mut history = History::default();
        for second in 0..1000_i64 {
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let fill = (second != 998).then_some(second as f64 / 1000.0);
            history.add(Timestamp::from_second(second).unwrap(), &memory(fill));
        }
        assert_eq!(history.last(3), [Some(997), None, Some(999)]);
        assert_eq!((history.span(3), history.peak(3)), (2, Some(0.999)));
        assert_eq!(history.last(9999).len(), MAX);
        assert_eq!(history.span(9999), MAX as u64 - 1);
        assert_eq!(History::default().span(5), 0);
    }

    #[test]
    fn no_figure_is_too_odd() {
        assert_eq!(per_mille(f64::NAN), 0);
        assert_eq!(per_mille(f64::INFINITY), 10_000);
        assert_eq!(per_mille(-1.0), 0);
        assert_eq!(per_mille(1.083), 1083);
    }
}
