//! The log of a container as runtimes write it for the kubelet: `TIME STREAM TAG TEXT`, where the tag `P` says that the line goes on
//! in the next (kubernetes/design-proposals-archive, kubelet-cri-logging.md).

use std::path::Path;

/// Whole lines of its standard output; none where there is no log yet.
#[must_use]
pub(super) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    // What comes after the last line break is still being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let mut parts = line.splitn(4, ' ');
        let (Some(_), Some("stdout"), Some(tag), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        open.push_str(text);
        if tag != "P" {
            lines.push(std::mem::take(&mut open));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_and_what_is_being_written_is_left_out() {
        let log = "2026-01-01T00:00:00.1Z stdout F {\"ready\":true}\n\
                   2026-01-01T00:00:00.2Z stderr F words\n\
                   2026-01-01T00:00:00.3Z stdout P long \n\
                   2026-01-01T00:00:00.4Z stdout F line\n\
                   2026-01-01T00:00:00.5Z stdout F half a li";
        assert_eq!(parse(log), ["{\"ready\":true}", "long line"]);
        assert!(parse("").is_empty());
    }
}
