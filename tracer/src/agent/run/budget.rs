//! What the agent may take. Over its budget of a CPU it looks more rarely; over it all the same, it detaches. Near its budget of memory it
//! forgets; far over it, it ends.

use std::time::{Duration, Instant};

use crate::agent::{config::Limits, own};

/// What the budget is an average over.
const OVER: Duration = Duration::from_secs(60);
/// Longest that windows are stretched.
const MOST: u32 = 8;

/// A bound that was hit, in words where that is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// More of a CPU than it may take: windows are longer from now on.
    Throttled(String),
    /// The same with the longest windows: everything is to be detached.
    Spent(String),
    /// Memory: the last minutes are to be cut.
    Memory(Option<String>),
}

impl Reached {
    /// Its name in `tcpress_bounds_hit_total`.
    pub(super) const fn bound(&self) -> &'static str {
        match self {
            Self::Throttled(_) => "cpu_throttled",
            Self::Spent(_) => "cpu",
            Self::Memory(_) => "memory",
        }
    }

    /// What is to be said of it.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Throttled(words) | Self::Spent(words) => Some(words),
            Self::Memory(words) => words.as_deref(),
        }
    }
}

/// CPU time and memory against their limits.
#[derive(Debug)]
pub(super) struct Budget {
    since: Instant,
    cpu: Duration,
    stretch: u32,
    spent: Option<&'static str>,
    /// Whether it has been said that memory is near its limit.
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

    /// Looks once a minute; which bounds were hit since.
    ///
    /// # Errors
    /// When the agent takes twice the memory that it may: whoever supervises it begins anew.
    pub(super) fn look(&mut self, now: Instant, limits: &Limits) -> anyhow::Result<Vec<Reached>> {
        let over = now.saturating_duration_since(self.since);
        if over < OVER {
            return Ok(Vec::new());
        }
        let Some(cpu) = own::cpu() else {
            return Ok(Vec::new());
        };
        let used = cpu.saturating_sub(self.cpu).as_secs_f64() / over.as_secs_f64();
        (self.since, self.cpu) = (now, cpu);
        let memory = self.weigh(own::resident_bytes().unwrap_or(0), limits.memory)?;
        Ok(memory
            .into_iter()
            .chain(self.judge(used, limits.cpu))
            .collect())
    }

    /// What follows from the bytes that are resident: from seven eighths of the limit on there is to be less.
    fn weigh(&mut self, memory: u64, limit: u64) -> anyhow::Result<Option<Reached>> {
        anyhow::ensure!(
            memory <= limit.saturating_mul(2),
            "it takes {memory} bytes of memory and may take {limit} ([limits] memory): ending, to be started anew",
        );
        let was = std::mem::replace(&mut self.large, memory >= limit / 8 * 7);
        let words = format!(
            "it takes {memory} bytes of memory, and may take {limit} ([limits] memory): of the last minutes it forgets the older half"
        );
        Ok(self.large.then(|| Reached::Memory((!was).then_some(words))))
    }

    /// What follows from the part of a CPU that was used in the last while.
    fn judge(&mut self, used: f64, limit: f64) -> Option<Reached> {
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
            return Some(Reached::Throttled(format!(
                "it took {share} ([limits] cpu): windows are {} times as long",
                self.stretch
            )));
        }
        self.spent = Some("over its CPU budget ([limits] cpu)");
        Some(Reached::Spent(format!(
            "it took {share}, although it looks as rarely as it may: it detaches itself"
        )))
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
            let reached = budget.judge(0.06, 0.05).unwrap();
            assert_eq!(reached.bound(), "cpu_throttled");
            assert_eq!((budget.stretch(), budget.spent()), (stretch, None));
        }
        let reached = budget.judge(0.06, 0.05).unwrap();
        assert_eq!(reached.bound(), "cpu");
        assert!(reached.words().unwrap().contains("detaches"));
        assert!(budget.spent().is_some());
        assert_eq!(budget.judge(0.06, 0.05), None, "it is said once");
    }

    #[test]
    fn near_its_limit_memory_is_to_become_less_and_far_over_it_the_agent_ends() {
        let mut budget = Budget::new(Instant::now());
        assert_eq!(budget.weigh(69, 80).unwrap(), None);
        let reached = budget.weigh(70, 80).unwrap().unwrap();
        assert_eq!(reached.bound(), "memory");
        assert!(reached.words().unwrap().contains("may take 80"));
        // It goes on, which is no news.
        assert_eq!(budget.weigh(160, 80).unwrap(), Some(Reached::Memory(None)));
        assert_eq!(budget.weigh(10, 80).unwrap(), None);
        assert!(budget.weigh(75, 80).unwrap().unwrap().words().is_some());
        assert!(budget.weigh(161, 80).is_err());
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
