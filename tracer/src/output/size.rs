//! Numbers in words: binary sizes, parts of a whole, times. For people; documents carry the plain numbers.

/// Units of 1024.
const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size with one decimal in the largest unit that keeps it at 1 or above: `1.5 GiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    if size < 1024 {
        return format!("{size} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = size as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // What would be shown as 1024.0 is 1.0 of the next unit.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A change of size with its sign: `+1.5 GiB`.
#[must_use]
pub fn change(size: i64) -> String {
    let sign = match size {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", bytes(size.unsigned_abs()))
}

/// A part of a whole: `93.1 %`. What is not the whole is never shown as 100.0, nor something as 0.0.
#[must_use]
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 99.9 && percent < 100.0 {
        return ">99.9 %".to_owned();
    }
    if percent > 0.0 && percent < 0.1 {
        return "<0.1 %".to_owned();
    }
    format!("{percent:.1} %")
}

/// A time: `1.5 ms`.
#[must_use]
pub fn nanos(ns: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.1} s", value / 1e9),
    }
}

/// A number of things: `1 socket`, `2 sockets`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart: `61,204`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A part and its whole in one unit, that of the whole: `37.9/48.0 GiB`.
#[must_use]
pub fn of(part: u64, whole: u64) -> String {
    let shown = bytes(whole);
    let (number, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
    let power = UNITS.iter().position(|known| *known == unit);
    let Some(power) = power.and_then(|at| i32::try_from(at).ok()) else {
        return format!("{part}/{number} {unit}");
    };
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let part = part as f64 / 1024_f64.powi(power + 1);
    format!("{part:.1}/{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_never_show_1024() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(change(-1536), "-1.5 KiB");
        assert_eq!(change(1024), "+1.0 KiB");
        assert_eq!(change(0), "0 B");
    }

    #[test]
    fn parts_are_not_rounded_to_all_or_nothing() {
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(percent(0.9999), ">99.9 %");
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(0.0001), "<0.1 %");
        assert_eq!(percent(1.25), "125.0 %");
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (61_204, "61,204"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_part_has_the_unit_of_its_whole() {
        assert_eq!(of(48 << 30, 48 << 30), "48.0/48.0 GiB");
        assert_eq!(of(512 << 20, 2 << 30), "0.5/2.0 GiB");
        assert_eq!(of(0, 12 << 20), "0.0/12.0 MiB");
        assert_eq!(of(5, 100), "5/100 B");
    }

    #[test]
    fn times() {
        assert_eq!(nanos(999), "999 ns");
        assert_eq!(nanos(1_500), "1.5 us");
        assert_eq!(nanos(2_500_000), "2.5 ms");
        assert_eq!(nanos(10_000_000_000), "10.0 s");
    }
}
