//! How often sockets may be listed: so rarely that it takes no more than a small part of one CPU, however many there are.

use std::time::{Duration, Instant};

/// From one listing to the next there must be so many times the CPU time that it took: 5 % of one CPU.
const TIMES: u32 = 20;

/// The last listing, and what it cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// Whether it is time for the next one.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|(begun, cost)| {
            now.saturating_duration_since(begun) >= cost.saturating_mul(TIMES)
        })
    }

    /// The next one is due at once, whatever the last one cost.
    pub(super) const fn hurry(&mut self) {
        self.last = None;
    }

    /// Does it, and takes note of what it cost.
    pub(super) fn measure<T>(&mut self, list: impl FnOnce() -> T) -> T {
        let (begun, before) = (Instant::now(), cpu_time());
        let result = list();
        self.note(begun, cpu_time().saturating_sub(before));
        result
    }

    fn note(&mut self, begun: Instant, cost: Duration) {
        self.last = Some((begun, cost));
    }
}

/// CPU time of all threads of this process so far.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours; every process has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_listing_waits_for_twenty_times_what_the_last_one_cost() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        assert!(pace.is_due(begun));
        pace.note(begun, Duration::from_millis(300));
        assert!(!pace.is_due(begun + Duration::from_millis(5_999)));
        assert!(pace.is_due(begun + Duration::from_millis(6_000)));
        pace.note(begun, Duration::ZERO);
        assert!(pace.is_due(begun));
        pace.note(begun, Duration::from_secs(300));
        pace.hurry();
        assert!(pace.is_due(begun));
    }

    #[test]
    fn what_is_measured_is_work_and_not_waiting() {
        let mut pace = Pace::default();
        let mut spent = Duration::ZERO;
        let sum = pace.measure(|| {
            let before = cpu_time();
            let mut sum = 0_u64;
            while spent < Duration::from_millis(5) {
                sum = sum.wrapping_mul(31).wrapping_add(1);
                spent = cpu_time() - before;
            }
            sum
        });
        assert_ne!(sum, 0);
        let (_, cost) = pace.last.unwrap();
        assert!(cost >= spent, "{cost:?} of {spent:?}");
    }
}
