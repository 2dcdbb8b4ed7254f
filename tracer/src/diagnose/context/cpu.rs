//! Waiting for CPU time.

use super::{BUSY, Ruled, STALLED, THROTTLED, say, stalled};
use crate::{
    output::size,
    report::context::{Cpu, Ruling},
};

/// Part of the periods in which the quota ran out.
fn throttled(cpu: &Cpu) -> Option<f64> {
    let (periods, throttled) = (cpu.periods?, cpu.throttled_periods?);
    (periods > 0).then(|| super::super::culprit::ratio(throttled, periods))
}

/// Whether something takes its CPU time away: a quota, or others in the run queue. Where the threads of the reader are known, what
/// other tasks of its cgroup waited is not held against it.
pub(super) fn starved(cpu: &Cpu) -> bool {
    let by_quota = throttled(cpu).is_some_and(|share| share >= THROTTLED);
    let by_others = match cpu.delayed_thread_share {
        Some(share) => share >= STALLED,
        None => cpu.psi.and_then(|psi| psi.some()) >= Some(STALLED),
    };
    by_quota || by_others
}

/// Whether one of its threads has more to do than one CPU can.
pub(super) fn busy(cpu: &Cpu) -> bool {
    cpu.busiest_thread_share >= Some(BUSY)
}

pub(super) fn rule(cpu: &Cpu) -> Ruled {
    let stall = stalled(cpu.psi.as_ref(), cpu.node_psi.as_ref());
    let finding = if starved(cpu) || busy(cpu) {
        Ruling::Confirmed
    } else if cpu.delayed_thread_share.is_some() || stall.is_some() {
        Ruling::RuledOut
    } else {
        Ruling::NotKnown
    };
    let mut figures = Vec::new();
    if let Some(share) = throttled(cpu).filter(|share| *share > 0.0) {
        let quota = cpu
            .quota_cpus
            .map_or_else(String::new, |cpus| format!(" by a quota of {cpus:.2} CPUs"));
        figures.push(format!(
            "throttled in {} of {}{quota}",
            size::percent(share),
            size::count(cpu.periods.unwrap_or(0), "period"),
        ));
    }
    if let Some(share) = cpu.busiest_thread_share {
        let share = size::percent(share);
        figures.push(format!("its busiest thread ran {share} of the time"));
    }
    if let Some(share) = cpu.delayed_thread_share {
        let share = size::percent(share);
        figures.push(format!(
            "the most delayed one stood {share} of it in a run queue"
        ));
    } else {
        figures.extend(stall.map(|(_, words)| words));
    }
    say(finding, "CPU", &figures)
}
