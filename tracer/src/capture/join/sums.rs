//! Counts of windows in a row.

use std::collections::{BTreeMap, btree_map::Entry};

use tracer_common::TallyValue;

use crate::{
    aggregate::{Delta, Tallies},
    indicators::memcg::Pressed,
};

/// Counts of both; figures of one moment are those of the later.
pub(in crate::capture) fn tallies(one: Vec<Delta>, other: Vec<Delta>) -> Vec<Delta> {
    let mut sums: Tallies = Tallies::new();
    for Delta { key, value } in one.into_iter().chain(other) {
        match sums.entry(key) {
            Entry::Vacant(place) => drop(place.insert(value)),
            Entry::Occupied(mut sum) => add(sum.get_mut(), &value),
        }
    }
    let sums = sums.into_iter();
    sums.map(|(key, value)| Delta { key, value }).collect()
}

fn add(sum: &mut TallyValue, later: &TallyValue) {
    let lists = (sum.verdicts.iter_mut().zip(&later.verdicts))
        .chain(sum.prunes.iter_mut().zip(&later.prunes))
        .chain(sum.stalls.iter_mut().zip(&later.stalls))
        .chain(sum.collapses.iter_mut().zip(&later.collapses))
        .chain(sum.counts.iter_mut().zip(&later.counts));
    let single = [
        (&mut sum.rcv_pruned, &later.rcv_pruned),
        (&mut sum.ofo_pruned, &later.ofo_pruned),
        (&mut sum.rcv_collapsed, &later.rcv_collapsed),
        (&mut sum.early_exits, &later.early_exits),
        (&mut sum.stall_ns, &later.stall_ns),
        (&mut sum.collapse_ns, &later.collapse_ns),
        (&mut sum.suppressed, &later.suppressed),
    ];
    for (sum, more) in lists.chain(single) {
        *sum = sum.saturating_add(*more);
    }
    // Of one moment; where the later window has none it is 0.
    if later.last_allocated_pages > 0 {
        sum.last_allocated_pages = later.last_allocated_pages;
        sum.last_tcp_mem_max_pages = later.last_tcp_mem_max_pages;
    }
    sum.last_evidence_ns = later.last_evidence_ns;
}

/// Events of both; figures of one moment are those of the later.
pub(super) fn memcgs(one: Vec<Pressed>, other: Vec<Pressed>) -> Vec<Pressed> {
    let mut sums: BTreeMap<u64, Pressed> = BTreeMap::new();
    for mut pressed in one.into_iter().chain(other) {
        if let Some(before) = sums.get(&pressed.id) {
            let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
                (Some(one), Some(other)) => Some(one.saturating_add(other)),
                (one, other) => one.or(other),
            };
            let (one, other) = (before.events, &mut pressed.events);
            other.high = add(one.high, other.high);
            other.max = add(one.max, other.max);
            other.oom = add(one.oom, other.oom);
            other.oom_kill = add(one.oom_kill, other.oom_kill);
            other.sock_throttled = add(one.sock_throttled, other.sock_throttled);
        }
        sums.insert(pressed.id, pressed);
    }
    sums.into_values().collect()
}
