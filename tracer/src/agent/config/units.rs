//! Sizes and times as they stand in a file: `64MiB`, `60s`.

use std::time::Duration;

/// Units of sizes, the largest first.
const SIZES: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// The bytes in `64MiB`, `512 KiB` or `4096`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let scale = match unit {
        "" | "B" => Some(1),
        unit => SIZES
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale),
    };
    let wanted = || format!("{text:?} is not a size such as 64MiB (units: B, KiB, MiB, GiB, TiB)");
    let bytes: u64 = number.parse().map_err(|_| wanted())?;
    let bytes = bytes.checked_mul(scale.ok_or_else(wanted)?);
    bytes.ok_or_else(|| format!("{text:?} is more than can be counted"))
}

/// In the largest unit that shows it whole.
pub(super) fn size(bytes: u64) -> String {
    let whole = SIZES
        .iter()
        .find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    match whole {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// In minutes from two on, in seconds or milliseconds below, so that it is shown whole.
pub(crate) fn time(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if !millis.is_multiple_of(1000) => format!("{millis}ms"),
        120_000.. if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ => format!("{}s", millis / 1000),
    }
}
