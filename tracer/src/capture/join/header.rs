//! What there is once, of windows in a row.

use std::collections::BTreeMap;

use crate::{
    capture::Header,
    kernel::plan::{Plan, Sight},
};

impl Header {
    /// Adds what there is once of the window that follows, so much time after this one.
    pub(super) fn join(&mut self, later: Self, between: u64) {
        let durations = [self.window.duration_ns, between, later.window.duration_ns];
        let at_rest = &mut self.at_rest;
        at_rest.agreed = at_rest.agreed.max(later.at_rest.agreed);
        at_rest.unknown = at_rest.unknown.saturating_add(later.at_rest.unknown);
        self.window.end = later.window.end;
        self.window.duration_ns = durations.into_iter().fold(0, u64::saturating_add);
        self.top = self.top.max(later.top);
        for (sum, more) in self.losses.iter_mut().zip(later.losses) {
            *sum = sum.saturating_add(more);
        }
        self.selfcheck = match (self.selfcheck, later.selfcheck) {
            (Some(mut sum), Some(more)) => {
                let cells = sum.iter_mut().zip(more);
                cells.for_each(|(sum, more)| *sum = sum.saturating_add(more));
                Some(sum)
            }
            (one, other) => one.or(other),
        };
        let traced = [self.traced, later.traced];
        let misses = (self.recursion_misses.take(), later.recursion_misses);
        self.recursion_misses = told(traced, misses, |one, other| {
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            for (program, misses) in one.into_iter().chain(other) {
                let sum = sums.entry(program).or_default();
                *sum = sum.saturating_add(misses);
            }
            sums.into_iter().collect()
        });
        let possible = (self.possible_misses, later.possible_misses);
        self.possible_misses = told(traced, possible, u64::saturating_add);
        self.traced |= later.traced;
        self.memcgs |= later.memcgs;
        self.maps = later.maps.or(self.maps);
        let known = &mut self.runtimes;
        let new = later.runtimes.into_iter();
        let new: Vec<String> = new.filter(|runtime| !known.contains(runtime)).collect();
        known.extend(new);
        let plan = match traced {
            // The plan of a time in which nothing was traced says nothing of what was.
            [true, false] => self.plan.clone(),
            _ => later.plan,
        };
        self.plan = match traced {
            [true, true] => worse(&self.plan, plan),
            _ => plan,
        };
        self.tcpress = later.tcpress;
        self.node = later.node;
        let reserve = self.memory_start.reserve_pages;
        self.memory_start.reserve_pages = reserve.or(later.memory_start.reserve_pages);
        self.memory_end = later.memory_end;
    }
}

/// What is told where something was traced: the sum, or nothing if the kernel did not tell one of the two.
fn told<T>(
    [one_traced, other_traced]: [bool; 2],
    (one, other): (Option<T>, Option<T>),
    add: impl Fn(T, T) -> T,
) -> Option<T> {
    match (one_traced, other_traced) {
        (true, true) => Some(add(one?, other?)),
        (true, false) => one,
        (false, true) => other,
        (false, false) => one.or(other),
    }
}

/// The later plan, in which no counter is seen better than it was before.
fn worse(before: &Plan, mut later: Plan) -> Plan {
    let rank = |sight: Sight| match sight {
        Sight::Exact => 0,
        Sight::Derived => 1,
        Sight::Blind => 2,
    };
    for counter in &mut later.counters {
        let mut earlier = before.counters.iter();
        let earlier = earlier.find(|earlier| earlier.counter == counter.counter);
        if let Some(earlier) = earlier.filter(|it| rank(it.sight) > rank(counter.sight)) {
            *counter = earlier.clone();
        }
    }
    later
}
