//! A window in steps: what was refused in each, and what TCP had allocated. How many there are is bounded, however long the window:
//! where too many would come, neighbours become one.

use std::{collections::BTreeMap, mem};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::{TallyKey, TallyValue, tally::queue};

use super::Tallies;

/// Most steps of one window.
pub const MAX_STEPS: usize = 120;

/// One step of a window, from the end of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When it ended, in nanoseconds from the start of the window by the monotonic clock.
    pub end_ns: u64,
    /// The most that was allocated by TCP when it was looked at within the step, in pages (`mem` of `/proc/net/sockstat`).
    pub sockstat_pages: Option<u64>,
    /// Segments refused within it; keys of which none was are left out.
    pub refused: Vec<(TallyKey, u64)>,
}

impl Step {
    /// Both as one, `later` being the one that follows.
    pub fn join(&mut self, later: Self) {
        self.end_ns = later.end_ns;
        self.sockstat_pages = self.sockstat_pages.max(later.sockstat_pages);
        self.refused.extend(later.refused);
        self.sum_equal();
    }

    /// Makes one of the counts of equal keys.
    pub fn sum_equal(&mut self) {
        let mut sums: BTreeMap<TallyKey, u64> = BTreeMap::new();
        for (key, count) in mem::take(&mut self.refused) {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(count);
        }
        self.refused = sums.into_iter().collect();
    }
}

/// Makes one of neighbours as long as they take no longer together; `steps` are in the order of time, the first since time 0.
#[must_use]
pub fn coarsen(steps: Vec<Step>, width_ns: u64) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    let mut began = 0;
    for step in steps {
        match joined.last_mut() {
            Some(last) if step.end_ns.saturating_sub(began) <= width_ns => last.join(step),
            last => {
                began = last.map_or(0, |last| last.end_ns);
                joined.push(step);
            }
        }
    }
    joined
}

/// Segments that were refused, over the three queues that drop.
#[must_use]
pub fn refused(value: &TallyValue) -> u64 {
    let queues = [queue::RCV, queue::OFO, queue::SEND_RCVQ].into_iter();
    queues
        .map(|queue| value.verdicts_of(queue))
        .fold(0, u64::saturating_add)
}

/// Steps as they come.
#[derive(Clone, Debug)]
pub struct Steps {
    /// Refusals of each key when it was last looked.
    seen: BTreeMap<TallyKey, u64>,
    steps: Vec<Step>,
    /// Looks that make one step.
    looks: u32,
    /// Looks that the last step holds.
    held: u32,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
            steps: Vec::new(),
            looks: 1,
            held: 0,
        }
    }
}

impl Steps {
    /// Takes in one look; `base` are the tallies at the start of the window.
    pub fn look(
        &mut self,
        end_ns: u64,
        sockstat_pages: Option<u64>,
        base: &Tallies,
        tallies: &Tallies,
    ) {
        let mut step = Step {
            end_ns,
            sockstat_pages,
            refused: Vec::new(),
        };
        for (key, value) in tallies {
            let now = refused(value);
            let before = self.seen.insert(*key, now);
            let before = before.unwrap_or_else(|| base.get(key).map_or(0, refused));
            let since = now.saturating_sub(before);
            if since > 0 {
                step.refused.push((*key, since));
            }
        }
        match self.steps.last_mut().filter(|_| self.held < self.looks) {
            Some(last) => {
                last.join(step);
                self.held += 1;
            }
            None => {
                self.make_room();
                self.steps.push(step);
                self.held = 1;
            }
        }
    }

    /// The steps in the order of time.
    #[must_use]
    pub fn done(self) -> Vec<Step> {
        self.steps
    }

    /// Makes one of each pair of neighbours where there are as many steps as there may be.
    fn make_room(&mut self) {
        if self.steps.len() < MAX_STEPS {
            return;
        }
        let mut steps = mem::take(&mut self.steps).into_iter();
        while let Some(mut step) = steps.next() {
            if let Some(later) = steps.next() {
                step.join(later);
            }
            self.steps.push(step);
        }
        self.looks = self.looks.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::tally::{limit, slot};

    use super::*;

    fn key(cgroup_id: u64) -> TallyKey {
        TallyKey {
            cgroup_id,
            ..TallyKey::default()
        }
    }

    /// One refusal of each queue that drops, and one that was queued by force, so many times.
    fn tally(times: u64) -> TallyValue {
        let mut value = TallyValue::ZERO;
        for queue in [queue::RCV, queue::OFO, queue::SEND_RCVQ, queue::FORCED] {
            value.verdicts[slot(queue, limit::TCP_MEM_HARD)] = times;
        }
        value
    }

    #[test]
    fn a_step_has_what_was_refused_since_the_one_before() {
        let base = Tallies::from([(key(1), tally(10))]);
        let mut steps = Steps::default();
        steps.look(
            1,
            Some(5),
            &base,
            &Tallies::from([(key(1), tally(11)), (key(2), tally(2))]),
        );
        steps.look(
            2,
            None,
            &base,
            &Tallies::from([(key(1), tally(11)), (key(2), tally(4))]),
        );
        let steps = steps.done();
        assert_eq!(steps[0].refused, [(key(1), 3), (key(2), 6)]);
        assert_eq!(steps[1].refused, [(key(2), 6)]);
        assert_eq!(
            (steps[0].sockstat_pages, steps[1].sockstat_pages),
            (Some(5), None)
        );
    }

    #[test]
    fn neighbours_become_one_up_to_a_width() {
        let step = |end_ns, pages| Step {
            end_ns,
            sockstat_pages: pages,
            refused: vec![(key(1), end_ns)],
        };
        let steps = vec![
            step(10, None),
            step(20, Some(7)),
            step(35, Some(3)),
            step(40, None),
        ];
        assert_eq!(coarsen(steps.clone(), 9), steps);
        let joined = coarsen(steps, 20);
        let seen: Vec<_> = joined
            .iter()
            .map(|step| (step.end_ns, step.sockstat_pages, step.refused[0].1))
            .collect();
        assert_eq!(seen, [(20, Some(7), 30), (40, Some(3), 75)]);
        assert_eq!(coarsen(Vec::new(), 20), []);
    }

    #[test]
    fn a_long_window_has_fewer_and_longer_steps_and_loses_nothing() {
        let looks = 3 * MAX_STEPS as u64 + 7;
        let (base, mut steps) = (Tallies::new(), Steps::default());
        for look in 1..=looks {
            // The node is fullest at the ninth look.
            let pages = if look == 9 { 1_000 } else { look };
            steps.look(
                look,
                Some(pages),
                &base,
                &Tallies::from([(key(1), tally(look))]),
            );
        }
        let steps = steps.done();
        // Four looks to a step: the first 360 fill 90 of them, 7 more need two.
        assert_eq!(steps.len(), 92);
        assert_eq!(steps.last().unwrap().end_ns, looks);
        assert_eq!(steps[0].end_ns, 4);
        let sum: u64 = steps
            .iter()
            .flat_map(|step| &step.refused)
            .map(|(_, n)| n)
            .sum();
        assert_eq!(sum, 3 * looks);
        assert!(
            steps[..91]
                .iter()
                .all(|step| step.refused == [(key(1), 12)])
        );
        assert_eq!(steps[2].sockstat_pages, Some(1_000));
    }
}
