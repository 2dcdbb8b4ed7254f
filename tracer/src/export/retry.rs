//! When to try again: exponential backoff with full jitter, so that many nodes that failed together do not come back together.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// When to try again, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Times to try again after the first one.
    pub retries: u32,
    /// The first wait is at most this long, and each further one at most twice the one before.
    pub base: Duration,
    /// No wait is longer, unless the far end asks for it.
    pub cap: Duration,
    /// The longest wait that the far end may ask for.
    pub patience: Duration,
    /// Least wait after an issue of Jira may have been made without an answer: its search does not find a new one at once.
    pub settle: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            settle: Duration::from_secs(10),
        }
    }
}

impl Policy {
    /// Time to wait before the next try, after so many tries have failed. `None` when it is time to give up. `random` is between 0
    /// and 1; `asked` is what the far end asked for.
    #[must_use]
    pub fn wait(&self, failed: u32, asked: Option<Duration>, random: f64) -> Option<Duration> {
        if failed > self.retries || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        let doubled = 1_u32.checked_shl(failed.saturating_sub(1));
        let most = doubled
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |most| most.min(self.cap));
        Some(asked.unwrap_or_default() + most.mul_f64(random.clamp(0.0, 1.0)))
    }
}

/// The time that a `Retry-After` header asks for: seconds, or a date (RFC 9110, 10.2.3). A date that has passed asks for none.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> Policy {
        Policy {
            retries: 6,
            base: SECOND,
            cap: 10 * SECOND,
            patience: 60 * SECOND,
            settle: Duration::ZERO,
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_covers_all_of_them() {
        let most: Vec<u64> = (1..=6)
            .map(|failed| policy().wait(failed, None, 1.0).unwrap().as_secs())
            .collect();
        assert_eq!(most, [1, 2, 4, 8, 10, 10]);
        assert_eq!(policy().wait(3, None, 0.0), Some(Duration::ZERO));
        assert_eq!(policy().wait(3, None, 0.5), Some(2 * SECOND));
        assert_eq!(policy().wait(7, None, 0.5), None, "six retries");
        let endless = Policy {
            retries: u32::MAX,
            ..policy()
        };
        assert_eq!(endless.wait(4_000, None, 1.0), Some(10 * SECOND));
    }

    #[test]
    fn what_the_far_end_asks_for_is_the_least_wait() {
        assert_eq!(policy().wait(1, Some(30 * SECOND), 0.0), Some(30 * SECOND));
        assert_eq!(policy().wait(1, Some(30 * SECOND), 1.0), Some(31 * SECOND));
        assert_eq!(policy().wait(1, Some(61 * SECOND), 0.0), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1999-12-31T23:59:00Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(120 * SECOND));
        // The example of RFC 9110.
        let date = "Fri, 31 Dec 1999 23:59:59 GMT";
        assert_eq!(retry_after(date, now), Some(59 * SECOND));
        let later = "2000-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(retry_after(date, later), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-5", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }
}
