//! What the agent may take of a CPU. Over its budget it looks more rarely; over it all the same, it detaches.

use std::time::{Duration, Instant};

use crate::agent::{config::Limits, own};

/// What the budget is an average over.
const OVER: Duration = Duration::from_secs(60);
/// Longest that windows are stretched.
const MOST: u32 = 8;

/// CPU time and memory against their limits.
#[derive(Debug)]
pub(super) struct Budget {
    since: Instant,
    cpu: Duration,
    stretch: u32,
    spent: Option<&'static str>,
    /// Whether it has been said that memory is over its limit.
    large: bool,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            cpu: own::cpu().unwrap_or_default(),
            stretch: 1,
            spent: None,
            large: false,
        }
    }

    /// By how much windows are longer than they are configured to be.
    pub(super) const fn stretch(&self) -> u32 {
        self.stretch
    }

    /// Why nothing may be attached any more.
    pub(super) const fn spent(&self) -> Option<&'static str> {
        self.spent
    }

    /// Looks once a minute; in words, what has changed.
    ///
    /// # Errors
    /// When the agent takes twice the memory that it may: whoever supervises it begins anew.
    pub(super) fn look(&mut self, now: Instant, limits: &Limits) -> anyhow::Result<Option<String>> {
        let over = now.saturating_duration_since(self.since);
        if over < OVER {
            return Ok(None);
        }
        let Some(cpu) = own::cpu() else {
            return Ok(None);
        };
        let used = cpu.saturating_sub(self.cpu).as_secs_f64() / over.as_secs_f64();
        (self.since, self.cpu) = (now, cpu);
        let memory = own::resident_bytes().unwrap_or(0);
        anyhow::ensure!(
            memory <= limits.memory.saturating_mul(2),
            "it takes {memory} bytes of memory and may take {} ([limits] memory): ending, to be started anew",
            limits.memory,
        );
        let was = std::mem::replace(&mut self.large, memory > limits.memory);
        if self.large && !was {
            return Ok(Some(format!(
                "it takes {memory} bytes of memory, more than [limits] memory ({})",
                limits.memory
            )));
        }
        Ok(self.judge(used, limits.cpu))
    }

    /// What follows from the part of a CPU that was used in the last while.
    fn judge(&mut self, used: f64, limit: f64) -> Option<String> {
        if self.spent.is_some() {
            return None;
        }
        if used <= limit {
            // Back slowly, or it would swing.
            if used * 2.0 <= limit {
                self.stretch = (self.stretch / 2).max(1);
            }
            return None;
        }
        let share = format!(
            "{:.1} % of a CPU, and may take {:.1} %",
            used * 100.0,
            limit * 100.0
        );
        if self.stretch < MOST {
            self.stretch *= 2;
            return Some(format!(
                "it took {share} ([limits] cpu): windows are {} times as long",
                self.stretch
            ));
        }
        self.spent = Some("over its CPU budget ([limits] cpu)");
        Some(format!(
            "it took {share}, although it looks as rarely as it may: it detaches itself"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_the_budget_it_looks_more_rarely_and_then_not_at_all() {
        let mut budget = Budget::new(Instant::now());
        assert_eq!(budget.judge(0.05, 0.05), None);
        for stretch in [2, 4, 8] {
            assert!(budget.judge(0.06, 0.05).is_some());
            assert_eq!((budget.stretch(), budget.spent()), (stretch, None));
        }
        assert!(budget.judge(0.06, 0.05).unwrap().contains("detaches"));
        assert!(budget.spent().is_some());
        assert_eq!(budget.judge(0.06, 0.05), None, "it is said once");
    }

    #[test]
    fn well_below_it_windows_become_short_again() {
        let mut budget = Budget::new(Instant::now());
        budget.judge(0.06, 0.05);
        budget.judge(0.06, 0.05);
        budget.judge(0.04, 0.05);
        assert_eq!(budget.stretch(), 4, "just below it is no reason");
        budget.judge(0.025, 0.05);
        budget.judge(0.0, 0.05);
        budget.judge(0.0, 0.05);
        assert_eq!(budget.stretch(), 1);
    }
}
