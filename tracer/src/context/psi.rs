//! Pressure stall information: the text of `/proc/pressure/*` and `*.pressure` of cgroups (`Documentation/accounting/psi.rst`). Pure.

use std::time::Duration;

use super::{MICROSECOND, share};
use crate::{indicators::netstat::number, report::context::Psi};

/// One file at one time.
///
/// ```
/// use tracer::context::psi::Pressure;
///
/// let text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=4500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
/// let pressure = Pressure::parse(text).unwrap();
/// assert_eq!((pressure.some_us, pressure.full_us), (4500, Some(7)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Time in which at least one task was kept from working, in microseconds.
    pub some_us: u64,
    /// Time in which all were; `None` where the kernel does not tell (`cpu` before 5.13).
    pub full_us: Option<u64>,
    /// Average of the last ten seconds of `some`, 0 to 1.
    pub some_avg10: Option<f64>,
}

impl Pressure {
    /// Reads the text; `None` without a total of `some`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let line = |kind: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            Some(lines.find(|(name, _)| *name == kind)?.1)
        };
        let value = |line: &str, name: &str| {
            let mut words = line.split_ascii_whitespace();
            let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.map(str::to_owned)
        };
        let total = |line: &str| number(&value(line, "total")?);
        let some = line("some")?;
        let percent: Option<f64> = value(some, "avg10").and_then(|text| text.parse().ok());
        Some(Self {
            some_us: total(some)?,
            full_us: line("full").and_then(total),
            some_avg10: percent
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(|percent| percent / 100.0),
        })
    }

    /// What happened since an earlier reading; without one, the kernel's average alone.
    #[must_use]
    pub fn since(&self, before: Option<(Self, Duration)>) -> Psi {
        let part = |now: u64, before: u64, elapsed: Duration| {
            // The kernel adds up on demand, so that a total may run ahead of the clock by a little.
            let stalled = now.checked_sub(before)?.saturating_mul(MICROSECOND);
            let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            share(stalled.min(elapsed), elapsed)
        };
        let full =
            before.and_then(|(before, elapsed)| part(self.full_us?, before.full_us?, elapsed));
        Psi {
            some_share: before
                .and_then(|(before, elapsed)| part(self.some_us, before.some_us, elapsed)),
            full_share: full,
            some_avg10_share: self.some_avg10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "some avg10=12.50 avg60=2.79 avg300=0.60 total=1807733\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";

    #[test]
    fn a_share_is_the_rise_over_the_time_between() {
        let before = Pressure::parse(TEXT).unwrap();
        let now = Pressure {
            some_us: before.some_us + 250_000,
            full_us: Some(9 + 125_000),
            ..before
        };
        let psi = now.since(Some((before, Duration::from_secs(1))));
        assert_eq!((psi.some_share, psi.full_share), (Some(0.25), Some(0.125)));
        assert_eq!(psi.some_avg10_share, Some(0.125));
        let ahead = now.since(Some((before, Duration::from_millis(200))));
        assert_eq!(
            ahead.some_share,
            Some(1.0),
            "never more than all of the time"
        );
        assert_eq!(
            before.since(Some((now, Duration::from_secs(1)))).some_share,
            None
        );
        let alone = now.since(None);
        assert_eq!((alone.some_share, alone.some()), (None, Some(0.125)));
        assert_eq!(now.since(Some((before, Duration::ZERO))).some_share, None);
    }

    #[test]
    fn what_lacks_is_absent() {
        let some = TEXT.lines().next().unwrap();
        let alone = Pressure::parse(some).unwrap();
        assert_eq!(alone.full_us, None);
        for bad in [
            "",
            "full avg10=0.00 total=3\n",
            "some\n",
            "some avg10=1.00\n",
            "some total=\n",
            "some total=-1\n",
            "some total=99999999999999999999\n",
            "somewhat total=3\n",
        ] {
            assert_eq!(Pressure::parse(bad), None, "{bad:?}");
        }
        for bad in ["avg10=x", "avg10=-1", "avg10=101", "avg10=NaN", "avg10"] {
            let text = format!("some {bad} total=1");
            assert_eq!(Pressure::parse(&text).unwrap().some_avg10, None, "{bad}");
        }
    }

    #[test]
    fn every_truncation_is_read_or_refused() {
        for end in 0..TEXT.len() {
            if let Some(pressure) = Pressure::parse(&TEXT[..end]) {
                assert!(pressure.some_us <= 1_807_733 && pressure.full_us.unwrap_or(9) == 9);
            }
        }
    }
}
