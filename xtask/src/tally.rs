//! Counts checks of all kinds into one result. It reads what cargo and `lab` print.

use std::time::Duration;

use crate::vm::TIMED_OUT;

/// What has been counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    skips: Vec<String>,
    shares: Vec<(&'static str, Duration)>,
}

impl Tally {
    /// Counts one check that passed.
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts one check that failed.
    pub(crate) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Counts one check that was not made.
    pub(crate) fn skip(&mut self, what: String) {
        self.skips.push(what);
    }

    /// Adds to the time that a kind of work took.
    pub(crate) fn took(&mut self, share: &'static str, time: Duration) {
        match self.shares.iter_mut().find(|(name, _)| *name == share) {
            Some((_, sum)) => *sum += time,
            None => self.shares.push((share, time)),
        }
    }

    /// Whether all is well.
    pub(crate) fn good(&self) -> bool {
        self.failures.is_empty()
    }

    /// Counts the output of `cargo test`; `succeeded` is its exit status.
    pub(crate) fn cargo_test(&mut self, output: &str, succeeded: bool) {
        let before = self.failures.len();
        let mut itself = 0;
        for line in output.lines() {
            if let Some(counts) = line.trim().strip_prefix("test result: ") {
                self.passed += number_before(counts, " passed");
            } else if let Some(why) = line.strip_prefix("SKIP: ") {
                // cargo knows no test that skips itself, and calls it passed.
                self.skip(why.to_owned());
                itself += 1;
            } else if let Some((name, result)) = test_line(line) {
                match result.split_once(',').unwrap_or((result, "")) {
                    ("FAILED", _) => self.fail(format!("test {name}")),
                    ("ignored", why) => {
                        let why = if why.is_empty() {
                            " marked ignored"
                        } else {
                            why
                        };
                        self.skip(format!("test {name}:{why}"));
                    }
                    _ => {}
                }
            }
        }
        self.passed = self.passed.saturating_sub(itself);
        if !succeeded && self.failures.len() == before {
            self.fail("cargo test: it failed without naming a test; see above".to_owned());
        }
    }

    /// Counts the lines of `lab scenarios` on one kernel; `status` is how the machine's run ended.
    pub(crate) fn scenarios(&mut self, kernel: &str, output: &str, status: i32) {
        let (before, mut lines) = (self.failures.len(), 0);
        for line in output.lines() {
            let Some((word, rest)) = line.split_once(' ') else {
                continue;
            };
            match word {
                "PASS" => self.pass(),
                "FAIL" => self.fail(format!("{kernel}: {rest}")),
                "SKIP" => self.skip(format!("{kernel}: {rest}")),
                _ => continue,
            }
            lines += 1;
        }
        if lines == 0 {
            self.fail(format!("{kernel}: no scenario reported (status {status})"));
        // One that failed explains the status, but not that others had no time.
        } else if status == TIMED_OUT || (status != 0 && self.failures.len() == before) {
            self.fail(format!(
                "{kernel}: the scenarios ended with status {status}"
            ));
        }
    }

    /// The closing words. The last line is for machines.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (name, time) in &self.shares {
            text.push_str(&format!("{:>6} s  {name}\n", time.as_secs()));
        }
        for (title, list) in [("skipped", &self.skips), ("failed", &self.failures)] {
            for line in list {
                text.push_str(&format!("{title}: {line}\n"));
            }
        }
        text.push_str(&format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failures.len(),
            self.skips.len()
        ));
        text
    }
}

/// The name and the result in `test NAME ... RESULT`.
fn test_line(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

fn number_before(text: &str, word: &str) -> usize {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_programs_add_up() {
        let output = "\
running 3 tests
test a::one ... ok
test a::two ... FAILED
test a::three ... ignored, needs root
SKIP: a::four: no browser
test a::four ... ok
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s
";
        let mut tally = Tally::default();
        tally.cargo_test(output, false);
        assert_eq!(
            tally.report(),
            "skipped: test a::three: needs root\nskipped: a::four: no browser\nfailed: test a::two\n\
             13 passed, 1 failed, 2 skipped"
        );
    }

    #[test]
    fn a_build_that_fails_counts_as_a_failure() {
        let mut tally = Tally::default();
        tally.cargo_test("error[E0425]: x\n", false);
        assert!(!tally.good());
    }

    #[test]
    fn scenarios_are_read_and_silence_is_a_failure() {
        let mut tally = Tally::default();
        tally.scenarios("6.1", "PASS flood\nnoise\nSKIP icmp: no raw socket\n", 0);
        assert!(tally.good());
        tally.scenarios("6.12", "PASS flood\nFAIL order: 3 is not 4\n", 1);
        tally.scenarios("6.18", "", 0);
        tally.scenarios("7.0", "PASS flood\nFAIL order: 3 is not 4\n", TIMED_OUT);
        assert_eq!(
            tally.report(),
            "skipped: 6.1: icmp: no raw socket\n\
             failed: 6.12: order: 3 is not 4\n\
             failed: 6.18: no scenario reported (status 0)\n\
             failed: 7.0: order: 3 is not 4\n\
             failed: 7.0: the scenarios ended with status 124\n\
             3 passed, 4 failed, 1 skipped"
        );
    }
}
