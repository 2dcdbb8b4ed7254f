//! What the kernel let us see.

use std::collections::BTreeSet;

use super::bytes;
use crate::{
    output::size,
    report::{Plan, plan::Sight},
};

/// The plan in lines.
pub(in crate::output) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &plan.impossible {
        lines.push(format!("nothing is traced: {why}"));
    }
    let attached = plan
        .probes
        .iter()
        .filter(|probe| probe.missing.is_none())
        .count();
    if !plan.probes.is_empty() {
        lines.push(format!("{attached} of {} probes", plan.probes.len()));
    }
    for probe in &plan.probes {
        if let Some(why) = &probe.missing {
            lines.push(format!("not attached: {}: {why}", probe.hook));
        }
    }
    for sight in [Sight::Exact, Sight::Derived, Sight::Blind] {
        let names: Vec<&str> = plan
            .counters
            .iter()
            .filter(|counter| counter.sight == sight)
            .map(|counter| counter.counter.as_str())
            .collect();
        if !names.is_empty() {
            lines.push(format!("{}: {}", sight.name(), names.join(", ")));
        }
    }
    let whys: BTreeSet<&str> = plan
        .counters
        .iter()
        .filter_map(|counter| counter.why.as_deref())
        .collect();
    lines.extend(whys.into_iter().map(|why| format!("why: {why}")));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    if let Some(maps) = &plan.maps {
        lines.push(format!(
            "maps: {} in the kernel ({} reckoned for {}): {} owners, {} namespaces, {} sockets, {} calls, {} of evidence",
            bytes(maps.bytes),
            size::bytes(maps.reckoned_bytes),
            size::count(u64::from(maps.possible_cpus), "possible CPU"),
            maps.owners,
            maps.namespaces,
            maps.sockets,
            maps.calls,
            size::bytes(u64::from(maps.ring_bytes)),
        ));
    }
    lines
}
