//! The course of the window. What the looks within it did not see yet belongs to its last step, so that the counts of an owner add
//! up to its refusals.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Harms, holders::part};
use crate::{
    aggregate::{Group, Harm, group, harm},
    report::{
        self, Inputs, Series,
        inputs::MAX_SERIES,
        series::{OwnerSeries, Step},
    },
};

/// Refusals and fill step by step; `None` when nothing was traced.
pub(super) fn series(inputs: &Inputs<'_>, harms: &Harms) -> Option<Series> {
    if !inputs.traced {
        return None;
    }
    let end_ns = inputs.window.duration_ns;
    let looks = inputs.steps.iter().filter(|step| step.end_ns < end_ns);
    let count = looks.clone().count() + 1;
    let mut refused: BTreeMap<Group, Vec<u64>> = BTreeMap::new();
    for (at, step) in looks.clone().enumerate() {
        for (key, more) in &step.refused {
            let owner = harm::owner_of(key, inputs.owner_of_key);
            let counts = refused.entry(Group::of(&owner));
            let counts = counts.or_insert_with(|| vec![0; count]);
            counts[at] = counts[at].saturating_add(*more);
        }
    }
    let mut owners: Vec<(u64, OwnerSeries)> = Vec::new();
    for (group, harm) in harms {
        let all = sum(harm);
        if all == 0 {
            continue;
        }
        let mut counts = refused.remove(group).unwrap_or_else(|| vec![0; count]);
        let seen = counts.iter().copied().fold(0, u64::saturating_add);
        counts[count - 1] = all.saturating_sub(seen);
        let owner = report::Owner::from(&group::representative(&harm.owners));
        owners.push((
            all,
            OwnerSeries {
                owner,
                refused: counts,
            },
        ));
    }
    owners.sort_by_key(|(all, _)| Reverse(*all));
    let others = owners.split_off(owners.len().min(MAX_SERIES));
    let memory = &inputs.memory_end;
    let max = memory.tcp_mem.or(inputs.memory_start.tcp_mem);
    let step = |end_ns: u64, pages: Option<u64>| Step {
        end_ns,
        allocated_bytes: pages.map(|pages| pages.saturating_mul(inputs.node.page_size_bytes)),
        fill: pages
            .zip(max)
            .and_then(|(pages, [_, _, max])| part(pages, max)),
    };
    Some(Series {
        steps: looks
            .map(|look| step(look.end_ns, look.sockstat_pages))
            .chain([step(end_ns, memory.sockstat_pages)])
            .collect(),
        owners: owners.into_iter().map(|(_, owner)| owner).collect(),
        others: together(&others, count),
    })
}

/// Segments of one owner that were refused within the window.
fn sum(harm: &Harm) -> u64 {
    let refusals = harm.refusals().into_iter();
    refusals.fold(0, u64::saturating_add)
}

fn together(owners: &[(u64, OwnerSeries)], count: usize) -> Vec<u64> {
    if owners.is_empty() {
        return Vec::new();
    }
    let mut all = vec![0_u64; count];
    for (_, owner) in owners {
        for (sum, more) in all.iter_mut().zip(&owner.refused) {
            *sum = sum.saturating_add(*more);
        }
    }
    all
}
