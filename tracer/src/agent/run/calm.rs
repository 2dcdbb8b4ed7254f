//! How long a window lasts while all is well: the longer nothing has happened, the longer. What a listing would tell has hardly changed then, and an
//! idle node is not to pay for it. Pure.

use std::time::Duration;

use tracer_common::{TallyValue, tally::count};

/// By how much of the pressure line memory may move before that is something.
const MOVED: f64 = 0.05;

/// Whether an owner suffered anything. Of what is counted besides, some belongs to every healthy connection: a FIN that is not read is memory thrown
/// away with its socket.
pub(super) fn suffered(value: &TallyValue) -> bool {
    let cells = value.verdicts.iter().chain(&value.prunes);
    let counts = &value.counts[..count::OFO_COVERED_SKBS];
    cells.chain(counts).any(|&cell| cell > 0)
}

/// Whether anything happens.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// Windows in a row in which nothing did.
    windows: u32,
    /// Whether something did in the window that is open.
    stirred: bool,
    /// The fill when it began.
    fill: Option<f64>,
}

impl Calm {
    /// Takes what a tick saw: whether an owner suffered, and TCP memory over the pressure line. `true` where it is not calm, so that the
    /// window that is open is to be no longer than usual.
    pub(super) fn tick(&mut self, suffered: bool, fill: Option<f64>) -> bool {
        self.fill = self.fill.or(fill);
        let moved = self.fill.zip(fill);
        let moved = moved.is_some_and(|(before, now)| (now - before).abs() >= MOVED);
        let stirs = suffered || moved;
        if stirs {
            self.stirred = true;
            self.windows = 0;
        }
        stirs
    }

    /// A window has ended.
    pub(super) fn turn(&mut self) {
        if !std::mem::take(&mut self.stirred) {
            self.windows = self.windows.saturating_add(1);
        }
        // That of the next tick.
        self.fill = None;
    }

    /// The length of the next one: twice as long with each that was calm.
    pub(super) fn interval(&self, usual: Duration, longest: Duration) -> Duration {
        let times = 1_u32.checked_shl(self.windows).unwrap_or(u32::MAX);
        usual.saturating_mul(times).min(longest.max(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(300);

    fn seconds(calm: &Calm) -> u64 {
        calm.interval(USUAL, LONGEST).as_secs()
    }

    #[test]
    fn windows_become_long_while_nothing_happens_and_short_as_soon_as_something_does() {
        let mut calm = Calm::default();
        let mut lengths = vec![seconds(&calm)];
        for _ in 0..40 {
            assert!(!calm.tick(false, Some(0.20)));
            assert!(!calm.tick(false, Some(0.24)));
            calm.turn();
            lengths.push(seconds(&calm));
        }
        assert_eq!(lengths[..5], [60, 120, 240, 300, 300]);
        assert_eq!(lengths[40], 300);

        assert!(calm.tick(true, Some(0.24)));
        assert_eq!(seconds(&calm), 60);
        calm.turn();
        assert_eq!(seconds(&calm), 60, "that window was not calm");
        calm.turn();
        assert_eq!(seconds(&calm), 120);
    }

    #[test]
    fn what_every_healthy_connection_does_is_nothing() {
        let mut value = TallyValue::ZERO;
        value.counts[count::DESTROYED_BYTES] = 768;
        value.counts[count::OFO_COVERED_SKBS] = 1;
        value.suppressed = 1;
        assert!(!suffered(&value));
        for cell in 0..count::OFO_COVERED_SKBS {
            let mut value = TallyValue::ZERO;
            value.counts[cell] = 1;
            assert!(suffered(&value), "{cell}");
        }
        value.verdicts[0] = 1;
        assert!(suffered(&value));
        let mut value = TallyValue::ZERO;
        value.prunes[0] = 1;
        assert!(suffered(&value));
    }

    #[test]
    fn memory_that_creeps_is_something() {
        let mut calm = Calm::default();
        calm.turn();
        assert!(!calm.tick(false, Some(0.10)));
        assert!(!calm.tick(false, Some(0.14)));
        assert!(calm.tick(false, Some(0.16)), "since the window began");
        calm.turn();
        assert!(!calm.tick(false, Some(0.16)));
        assert!(calm.tick(false, Some(0.10)), "freed memory as well");
        // Where it is not known, only counts tell.
        calm.turn();
        assert!(!calm.tick(false, None));
        assert!(calm.tick(true, None));
    }

    #[test]
    fn what_is_configured_to_be_longer_stays_so() {
        let mut calm = Calm::default();
        calm.turn();
        assert_eq!(calm.interval(LONGEST, USUAL), LONGEST);
    }
}
