//! Figures as they stand in columns: each fits into nine characters, and what is not known is no zero.

use crate::output::size;

/// What stands for an absent value.
pub(super) const ABSENT: &str = "–";
/// Largest number that is written out.
const WRITTEN_OUT: u64 = 9_999_999;
/// Units beyond.
const UNITS: [&str; 5] = ["M", "G", "T", "P", "E"];

/// A number of events: `61,204`, and from ten millions on `12.3 M`.
pub(super) fn count(number: u64) -> String {
    if number <= WRITTEN_OUT {
        return size::grouped(number);
    }
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = number as f64 / 1e6;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be shown as 1000.0 is 1.0 of the next unit.
    while value >= 999.95 {
        value /= 1e3;
        unit = units.next();
    }
    format!("{value:.1} {}", unit.copied().unwrap_or_default())
}

/// Events a second: `0.5`, `918`. What is not nothing is never shown as 0.0.
pub(super) fn rate(number: u64, seconds: f64) -> String {
    if seconds <= 0.0 {
        return ABSENT.to_owned();
    }
    #[allow(clippy::cast_precision_loss, reason = "few digits are shown")]
    let rate = number as f64 / seconds;
    if number == 0 {
        return "0".to_owned();
    }
    if rate < 0.05 {
        return "<0.1".to_owned();
    }
    if rate < 9.95 {
        return format!("{rate:.1}");
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion of floats saturates, and it is above 0"
    )]
    let whole = rate.round() as u64;
    count(whole)
}

/// A time: `1.5 ms`, or `0`.
pub(super) fn time(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        _ => size::nanos(ns),
    }
}

/// A time within each second.
pub(super) fn time_a_second(ns: u64, seconds: f64) -> String {
    if seconds <= 0.0 {
        return ABSENT.to_owned();
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "few digits are shown, and a conversion of floats saturates"
    )]
    let each = (ns as f64 / seconds).ceil() as u64;
    time(each)
}

/// A change of size within each second: `+1.5 MiB`.
pub(super) fn growth(rate: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a conversion of floats saturates"
    )]
    let rounded = rate.round() as i64;
    size::change(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_into_their_columns() {
        for (number, text) in [
            (0, "0"),
            (9_999_999, "9,999,999"),
            (10_000_000, "10.0 M"),
            (999_960_000, "1.0 G"),
            (u64::MAX, "18.4 E"),
        ] {
            assert_eq!(count(number), text);
            assert!(text.chars().count() <= 9);
        }
    }

    #[test]
    fn rates_are_numbers_over_time() {
        for (number, seconds, text) in [
            (0, 2.0, "0"),
            (1, 2.0, "0.5"),
            (1, 60.0, "<0.1"),
            (1836, 2.0, "918"),
            (19, 2.0, "9.5"),
            (20_000_000, 0.5, "40.0 M"),
            (5, 0.0, ABSENT),
        ] {
            assert_eq!(rate(number, seconds), text, "{number} in {seconds} s");
        }
        assert_eq!(time_a_second(3_000_000, 2.0), "1.5 ms");
        assert_eq!(time_a_second(1, 10.0), "1 ns");
        assert_eq!(time_a_second(1, 0.0), ABSENT);
        assert_eq!(growth(-1536.4), "-1.5 KiB");
        assert_eq!(growth(0.0), "0 B");
    }
}
