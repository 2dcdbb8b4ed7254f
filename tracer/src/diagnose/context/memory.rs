//! Waiting for user-space memory. A cgroup at its limit is no wait by itself: sockets are charged to it too, and page cache fills
//! it in the best of health. What counts is that tasks stand still for it.

use super::{Ruled, STALLED, held_up, looked, of_threads, say, stalled};
use crate::{
    output::size,
    report::context::{Memory, Ruling, Threads, Wait},
};

pub(super) fn rule(memory: &Memory, threads: &Threads) -> Ruled {
    let stall = stalled(memory.psi.as_ref(), memory.node_psi.as_ref());
    let waiting = held_up(threads, Wait::Memory);
    let killed = memory.oom_kills > Some(0);
    let share = stall.as_ref().map(|(share, _)| *share);
    let finding = match share {
        _ if waiting || killed => Ruling::Confirmed,
        Some(share) if share >= STALLED => Ruling::Confirmed,
        Some(_) => Ruling::RuledOut,
        None => Ruling::NotKnown,
    };
    let mut figures: Vec<String> = stall.into_iter().map(|(_, words)| words).collect();
    if waiting {
        figures.push(format!(
            "{} in reclaim{}",
            of_threads(threads.mostly(Wait::Memory), threads),
            super::channel(threads, Wait::Memory)
        ));
    } else if looked(threads) && threads.samples_of(Wait::Memory) > 0 {
        figures.push(format!(
            "reclaim in {} of {} looks at threads",
            threads.samples_of(Wait::Memory),
            threads.samples
        ));
    }
    figures.extend(room(memory));
    let events = [
        (memory.high_events, "over memory.high"),
        (memory.max_events, "at the limit"),
    ];
    for (charges, how) in events {
        if let Some(charges) = charges.filter(|charges| *charges > 0) {
            figures.push(format!("{} {how}", size::count(charges, "charge")));
        }
    }
    if let Some(kills) = memory.oom_kills.filter(|kills| *kills > 0) {
        figures.push(format!("{} for want of memory", size::count(kills, "kill")));
    }
    if let Some(pages) = memory.reclaimed_pages.filter(|pages| *pages > 0) {
        figures.push(format!("{} reclaimed", size::count(pages, "page")));
    }
    // A full cgroup in which nobody waits is worth a word, or it would be looked for elsewhere.
    if memory.max_events > Some(0) || memory.high_events > Some(0) {
        figures = vec![figures.join(", ")];
    }
    say(finding, "memory", &figures)
}

/// How full the tightest cgroup is.
fn room(memory: &Memory) -> Option<String> {
    let usage = size::bytes(memory.usage_bytes?);
    let limit = match (memory.max_bytes, memory.high_bytes) {
        (max, Some(high)) if max.is_none_or(|max| high < max) => {
            format!("memory.high of {}", size::bytes(high))
        }
        (Some(max), _) => size::bytes(max),
        (None, _) => return None,
    };
    Some(format!("{usage} used of {limit}"))
}
