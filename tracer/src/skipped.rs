//! What a test cannot check where it runs.

use std::io::Write as _;

/// Says so where it is counted: on the process' own stdout, which the test harness does not keep to itself as it does what `println!` writes.
pub(crate) fn skipped(test: &str, why: impl std::fmt::Display) {
    let line = format!("SKIP: {test}: {why}\n");
    let _ = std::io::stdout().write_all(line.as_bytes());
}
