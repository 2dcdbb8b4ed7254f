//! The table of keys as a reference and as an example file (pure).

use std::fmt::Write as _;

use super::{Config, KEYS};
use crate::output::text;

/// Longest line of a comment in the example.
const WIDTH: usize = 100;

/// The reference in Markdown: one table of all keys.
#[must_use]
pub fn reference() -> String {
    let mut out =
        String::from("| key | default | meaning | allowed | SIGHUP |\n|---|---|---|---|---|\n");
    for key in &KEYS {
        let reloads = if key.reloads { "yes" } else { "restart" };
        let (name, default, meaning) = (key.name, key.default(), key.meaning);
        let allowed = key.allowed();
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "| `{name}` | `{default}` | {meaning} | {allowed} | {reloads} |"
        );
    }
    out
}

/// A file in which every key has its default and stands behind a `#`.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Configuration of `tcpress agent`: /etc/tcpress/agent.toml. Every key with its default.\n# `tcpress agent --check` says what is wrong with a file; SIGHUP reads it again.\n",
    );
    let defaults = Config::default();
    let mut open = "";
    for key in &KEYS {
        let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if table != open {
            let _ = writeln!(out, "\n[{table}]");
            open = table;
        } else {
            out.push('\n');
        }
        for line in text::wrap(&key.meaning.replace('`', ""), WIDTH) {
            let _ = writeln!(out, "# {line}");
        }
        let restart = if key.reloads { "" } else { " Takes a restart." };
        for line in text::wrap(&format!("Allowed: {}.{restart}", key.allowed()), WIDTH) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{name} = {}", key.shown(&defaults));
    }
    out
}
