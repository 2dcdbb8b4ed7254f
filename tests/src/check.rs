//! Assertions that collect: a scenario says everything that was wrong, not only the first thing.

use std::fmt::Debug;

use anyhow::{Result, bail};

/// Findings against a report, gathered until [`Checks::finish`].
#[derive(Debug, Default)]
pub struct Checks(Vec<String>);

impl Checks {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `what` must hold; `wrong` says what was seen instead.
    pub fn that(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.0.push(wrong());
        }
    }

    /// `got`, what tcpress said, must equal `want`, what the kernel or arithmetic says.
    pub fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: T, want: T) {
        self.that(got == want, || {
            format!("{what} is {got:?}, expected {want:?}")
        });
    }

    /// `got` must be above zero: an equality of nothing with nothing proves nothing.
    pub fn above_zero(&mut self, what: &str, got: u64) {
        self.that(got > 0, || format!("{what} is 0, expected more"));
    }

    /// Takes over the error of a step that must not end the other checks.
    pub fn succeeds<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| self.0.push(format!("{what}: {error:#}")))
            .ok()
    }

    /// Fails with everything that was wrong.
    pub fn finish(self) -> Result<()> {
        if !self.0.is_empty() {
            bail!("{}", self.0.join("; "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said() {
        let mut checks = Checks::new();
        checks.equal("a", 1, 1);
        checks.equal("b", 1, 2);
        checks.above_zero("c", 0);
        let said = checks.finish().unwrap_err().to_string();
        assert_eq!(said, "b is 1, expected 2; c is 0, expected more");
    }
}
