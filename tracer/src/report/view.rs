//! What of a report is shown: filters, an order, a number. Sums, reconciliation, losses, the verdict and those whom it accuses stay
//! as they are, whoever is shown. Pure.

mod filter;
mod selector;
mod sort;

use std::mem;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;

pub use filter::Filter;
pub use selector::{Selector, SelectorError};
pub use sort::Sort;

/// What is shown, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whose lines.
    pub filter: Filter,
    /// In which order; as the report has them where nothing is said.
    pub sort: Option<Sort>,
    /// How many owners of each list at most.
    pub top: Option<usize>,
}

/// That a report does not show all that there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Narrowed {
    /// The filters, each as the option that gave it: `namespace=shop`.
    pub filters: Vec<String>,
    /// Victims that were left out.
    pub victims: u64,
    /// Holders that were left out. Culprits never are.
    pub holders: u64,
    /// Memory cgroups under pressure that were left out.
    pub memcg_pressure: u64,
    /// Moments of the timeline that were left out.
    pub timeline: u64,
    /// Sampled failures that were left out.
    pub evidence: u64,
    /// Pods, among all of these, whose labels nobody told, so that no selector could match them.
    pub labels_unknown: u64,
}

impl Narrowed {
    /// Whether anything was left out.
    #[must_use]
    pub const fn any(&self) -> bool {
        let left_out = self.victims | self.holders | self.memcg_pressure;
        left_out | self.timeline | self.evidence != 0
    }
}

impl View {
    /// Owners in each list that a report must have for this to be shown of it, at least `least`: where a filter looks for somebody, all.
    #[must_use]
    pub fn owners_wanted(&self, least: usize) -> usize {
        match self.filter.is_empty() {
            true => self.top.unwrap_or(least).max(least),
            false => usize::MAX,
        }
    }

    /// The report as it is shown; `usual` owners in each list where no number is asked for.
    #[must_use]
    pub fn of(&self, mut report: Report, usual: usize) -> Report {
        let mut narrowed = Narrowed {
            filters: self.filter.words(),
            ..Narrowed::default()
        };
        let filter = &self.filter;
        if !filter.is_empty() {
            narrow_series(filter, &mut report);
            narrowed.labels_unknown = filter.labels_unknown(&report);
            narrowed.victims = keep(&mut report.victims, |it| filter.shows(&it.owner, &it.netns));
            narrowed.holders = keep(&mut report.holders, |it| filter.shows(&it.owner, &it.netns));
            narrowed.evidence = keep(&mut report.evidence, |it| {
                filter.shows(&it.owner, std::slice::from_ref(&it.netns))
            });
            let memcgs = report.memcg_pressure.as_mut();
            narrowed.memcg_pressure = memcgs.map_or(0, |memcgs| {
                keep(memcgs, |it| filter.shows_cgroup(&it.owner))
            });
            let moments = report.timeline.as_mut();
            narrowed.timeline = moments.map_or(0, |moments| {
                // The number of orphans is the node's.
                keep(moments, |it| {
                    it.orphans.is_some() || filter.shows(&it.owner, std::slice::from_ref(&it.netns))
                })
            });
        }
        if let Some(sort) = self.sort {
            sort.victims(&mut report.victims);
            sort.holders(&mut report.holders);
        }
        let most = match (self.top, filter.is_empty()) {
            (Some(top), _) => top,
            (None, false) => usual,
            (None, true) => usize::MAX,
        };
        narrowed.victims += cut(&mut report.victims, most);
        narrowed.holders += cut(&mut report.holders, most);
        if let Some(memcgs) = &mut report.memcg_pressure {
            narrowed.memcg_pressure += cut(memcgs, most);
        }
        if narrowed.any() || !filter.is_empty() {
            report.narrowed = Some(narrowed);
        }
        report
    }
}

/// Owners that are not shown join the others, so that the sums stay. Where they live is told by their lines among the victims.
fn narrow_series(filter: &Filter, report: &mut Report) {
    let Some(series) = &mut report.series else {
        return;
    };
    let victims = &report.victims;
    let all = mem::take(&mut series.owners);
    for owner in all {
        let line = victims.iter().find(|victim| victim.owner == owner.owner);
        let netns = line.map_or(&[][..], |victim| &victim.netns);
        if filter.shows(&owner.owner, netns) {
            series.owners.push(owner);
            continue;
        }
        let steps = series.others.len().max(owner.refused.len());
        series.others.resize(steps, 0);
        for (sum, refused) in series.others.iter_mut().zip(&owner.refused) {
            *sum = sum.saturating_add(*refused);
        }
    }
}

/// Keeps what is wanted, and tells how many were not.
fn keep<T>(list: &mut Vec<T>, wanted: impl FnMut(&T) -> bool) -> u64 {
    let before = list.len();
    list.retain(wanted);
    (before - list.len()) as u64
}

/// Keeps the first, and tells how many were beyond.
fn cut<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let beyond = list.len().saturating_sub(most);
    list.truncate(most);
    beyond as u64
}
