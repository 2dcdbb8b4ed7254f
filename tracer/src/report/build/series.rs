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
    let mut ranked: Vec<(u64, &Group, &Harm)> = harms
        .iter()
        .map(|(group, harm)| (sum(harm), group, harm))
        .filter(|(all, _, _)| *all > 0)
        .collect();
    ranked.sort_by_key(|(all, group, _)| (**group == Group::Other, Reverse(*all)));
    // A column for each that has one of its own, and one for all others: of them there may be very many.
    let mut columns = vec![vec![0_u64; count]; ranked.len().min(MAX_SERIES + 1)];
    // The column of each, and what no look has seen of it.
    let ranks = ranked.iter().enumerate();
    let mut places: BTreeMap<&Group, (usize, u64)> = ranks
        .map(|(rank, (all, group, _))| (*group, (rank.min(MAX_SERIES), *all)))
        .collect();
    for (at, step) in looks.clone().enumerate() {
        for (key, more) in &step.refused {
            let group = Group::of(&harm::owner_of(key, inputs.owner_of_key));
            if let Some((column, unseen)) = places.get_mut(&group) {
                let cell = &mut columns[*column][at];
                *cell = cell.saturating_add(*more);
                *unseen = unseen.saturating_sub(*more);
            }
        }
    }
    for (column, unseen) in places.into_values() {
        let cell = &mut columns[column][count - 1];
        *cell = cell.saturating_add(unseen);
    }
    let others = match columns.len() {
        all if all > MAX_SERIES => columns.pop().unwrap_or_default(),
        _ => Vec::new(),
    };
    let owners = ranked
        .iter()
        .zip(columns)
        .map(|((_, _, harm), refused)| OwnerSeries {
            owner: report::Owner::from(&group::representative(&harm.owners)),
            refused,
        })
        .collect();
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
        owners,
        others,
    })
}

/// Segments of one owner that were refused within the window.
fn sum(harm: &Harm) -> u64 {
    let refusals = harm.refusals().into_iter();
    refusals.fold(0, u64::saturating_add)
}
