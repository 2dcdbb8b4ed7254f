//! What affected nodes have in common.

use std::{cmp::Reverse, collections::BTreeSet};

use super::Counts;
use crate::report::{Report, merged::Shared};

/// Values that are told.
const MAX_SHARED: usize = 20;
/// Values that are counted, so that a label which differs on each node takes no memory without bounds.
const MAX_COUNTED: usize = 10_000;

/// Affected nodes and others, by what they have.
#[derive(Default)]
pub(super) struct Traits {
    counts: Counts<(String, String)>,
    affected: u64,
    others: u64,
}

impl Traits {
    /// Adds one node.
    pub(super) fn add(&mut self, affected: bool, report: &Report) {
        let place = usize::from(!affected);
        self.affected += u64::from(affected);
        self.others += u64::from(!affected);
        for of in traits(report) {
            if self.counts.len() < MAX_COUNTED || self.counts.contains_key(&of) {
                self.counts.entry(of).or_default()[place] += 1;
            }
        }
    }

    /// What at least two affected nodes and most of them have; first what fewest of the others have.
    pub(super) fn finish(self) -> Vec<Shared> {
        let most = self.affected.div_ceil(2).max(2);
        let others = self.others;
        let mut shared: Vec<Shared> = self
            .counts
            .into_iter()
            .filter(|(_, [affected, _])| *affected >= most)
            .map(|((what, value), [affected, others])| Shared {
                what,
                value,
                affected,
                others,
            })
            .collect();
        // Of what every node has, nothing can be learnt; where all are affected, it may still be the cause.
        shared.retain(|it| others == 0 || it.affected < self.affected || it.others < others);
        let rate = |it: &Shared| {
            it.others
                .saturating_mul(1_000)
                .checked_div(others)
                .unwrap_or(0)
        };
        shared.sort_by_key(|it| {
            (
                rate(it),
                Reverse(it.affected),
                it.what.clone(),
                it.value.clone(),
            )
        });
        shared.truncate(MAX_SHARED);
        shared
    }
}

/// What a node has.
fn traits(report: &Report) -> BTreeSet<(String, String)> {
    let node = &report.node;
    let mut traits = BTreeSet::new();
    let mut add = |what: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            traits.insert((what.to_owned(), value.to_owned()));
        }
    };
    add("kernel", Some(&node.kernel));
    add("tcpress", Some(&report.tcpress));
    add("limit", report.verdict.limit.map(|limit| limit.name()));
    for (key, value) in &node.labels {
        add(key, Some(value));
    }
    for culprit in &report.culprits {
        let owner = &culprit.holder.owner;
        add("culprit workload", owner.k8s_workload.as_deref());
        add("culprit image", owner.container_image_name.as_deref());
    }
    traits
}
