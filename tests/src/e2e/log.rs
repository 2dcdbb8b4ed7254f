//! The log of a container as runtimes write it for the kubelet: `TIME STREAM TAG TEXT`, where the tag `P` says that the line goes on
//! in the next (kubernetes/design-proposals-archive, kubelet-cri-logging.md).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Whole lines of its standard output; none where there is no log yet.
#[must_use]
pub(super) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Waits for a line of a container's output; `name` is for messages.
pub(super) fn wait(
    path: &Path,
    name: &str,
    wait: Duration,
    found: impl Fn(&str) -> bool,
) -> Result<String> {
    let end = Instant::now() + wait;
    loop {
        let lines = lines(path);
        if let Some(line) = lines.iter().find(|line| found(line)) {
            return Ok(line.clone());
        }
        if Instant::now() > end {
            let tail = lines[lines.len().saturating_sub(4)..].join(" | ");
            bail!(
                "{name}: the expected line did not come within {} s; it said: {tail}",
                wait.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The last whole line, as JSON.
pub(super) fn last(path: &Path) -> Result<Value> {
    let lines = lines(path);
    let last = lines.last().context("a container without output")?;
    serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))
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
