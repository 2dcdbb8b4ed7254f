//! What the agent says on stderr: one line a message, as words or as JSON.

use std::{
    io::{self, Write as _},
    sync::Mutex,
};

use jiff::Timestamp;
use serde::Serialize;

use super::config::{Level, Log, LogFormat};
use crate::output::text;

/// Longest line, in bytes: one that comes out whole wherever logs are cut.
const MAX_LINE: usize = 1024;

/// Says it, as the configuration wants it.
#[derive(Debug)]
pub struct Words(Mutex<Log>);

/// One line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    level: &'static str,
    message: &'a str,
}

impl Words {
    /// In this shape, and this much.
    #[must_use]
    pub const fn new(log: Log) -> Self {
        Self(Mutex::new(log))
    }

    /// Otherwise from now on.
    pub fn set(&self, log: Log) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = log;
    }

    /// Something, if that much is wanted. stderr may be gone; that is no reason to end.
    pub fn say(&self, level: Level, words: &str) {
        let log = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if level <= log.level {
            let line = line(log.format, level, words, Timestamp::now());
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

/// A line of [`MAX_LINE`] bytes at most, with its break.
fn line(format: LogFormat, level: Level, words: &str, at: Timestamp) -> String {
    let mut most = MAX_LINE;
    loop {
        let words = text::clean(words, most);
        let line = match format {
            LogFormat::Text => format!("tcpress: {words}\n"),
            LogFormat::Json => {
                let line = Line {
                    at,
                    level: name(level),
                    message: &words,
                };
                serde_json::to_string(&line).unwrap_or_default() + "\n"
            }
        };
        // Characters may take more than one byte, and escapes as well.
        if line.len() <= MAX_LINE || most < 16 {
            return line;
        }
        most = most * 3 / 4;
    }
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_at_most_a_kibibyte_whatever_is_said() {
        for words in [
            "short".to_owned(),
            "ü".repeat(5_000),
            "\"\\\n\u{1b}[2J".repeat(500),
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = line(format, Level::Info, &words, Timestamp::UNIX_EPOCH);
                assert!(line.len() <= MAX_LINE, "{}", line.len());
                assert_eq!(line.find('\n'), Some(line.len() - 1));
                assert!(!line.contains('\u{1b}'));
            }
        }
    }

    #[test]
    fn json_has_when_how_bad_and_what() {
        let at = "2026-03-14T15:09:26Z".parse().unwrap();
        assert_eq!(
            line(LogFormat::Json, Level::Warn, "a \"b\"", at),
            "{\"at\":\"2026-03-14T15:09:26Z\",\"level\":\"warn\",\"message\":\"a \\\"b\\\"\"}\n"
        );
        assert_eq!(line(LogFormat::Text, Level::Warn, "a", at), "tcpress: a\n");
    }
}
