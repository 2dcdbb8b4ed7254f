//! How Debian orders version numbers, and the choice of the newest name among many.

use std::cmp::Ordering;

/// Compares two version texts as dpkg does: digits by value, letters before other signs, and a
/// tilde before everything, even the end.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let words = split(&mut left, |byte| !byte.is_ascii_digit());
        let other = split(&mut right, |byte| !byte.is_ascii_digit());
        let by_words = (0..words.len().max(other.len()))
            .map(|at| weight(words.get(at)).cmp(&weight(other.get(at))))
            .find(|order| order.is_ne());
        if let Some(order) = by_words {
            return order;
        }
        let number = digits(split(&mut left, u8::is_ascii_digit));
        let other = digits(split(&mut right, u8::is_ascii_digit));
        let by_number = number.len().cmp(&other.len()).then(number.cmp(other));
        if by_number.is_ne() || (left.is_empty() && right.is_empty()) {
            return by_number;
        }
    }
}

/// The newest of `names` that start with `prefix` and end with `suffix`, by what lies between.
pub(crate) fn newest<'a>(
    names: impl IntoIterator<Item = &'a str>,
    prefix: &str,
    suffix: &str,
) -> Option<&'a str> {
    names
        .into_iter()
        .filter_map(|name| {
            let middle = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            middle
                .starts_with(|first: char| first.is_ascii_digit())
                .then_some((middle, name))
        })
        .max_by(|left, right| compare(left.0, right.0))
        .map(|(_, name)| name)
}

fn split<'a>(text: &mut &'a [u8], belongs: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = text
        .iter()
        .position(|byte| !belongs(byte))
        .unwrap_or(text.len());
    let (head, tail) = text.split_at(end);
    *text = tail;
    head
}

fn digits(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    &text[zeros..]
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_dpkg_orders_them() {
        for (older, newer) in [
            ("1.0~rc1", "1.0"),
            ("1.9", "1.10"),
            ("1.0", "1.0+b1"),
            ("6.12.9+deb12", "6.12.10+deb12"),
            ("6.12.90+deb12", "6.12.90+deb12.1"),
            ("0-0.deb11.52", "0-56"),
            ("1.0a", "1.0+"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(compare("1.010", "1.10"), Ordering::Equal);
    }

    #[test]
    fn the_newest_kernel_is_neither_a_meta_package_nor_a_debug_one() {
        let names = [
            "linux-image-6.1-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
            "linux-image-6.1.0-57-cloud-amd64-dbg",
            "linux-image-6.12.117+deb13-cloud-amd64",
        ];
        let found = newest(names, "linux-image-6.1.", "-cloud-amd64");
        assert_eq!(found, Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest(names, "linux-image-6.2.", "-cloud-amd64"), None);
    }
}
