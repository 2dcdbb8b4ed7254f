//! Joins reports of many nodes. Pure: it takes one report after the other and keeps a line of each, so that a thousand need no more
//! memory than a few.

mod owners;
mod shared;
mod time;

use std::collections::BTreeMap;

use tracer_common::tally::stall::BUCKETS;

use self::{owners::Owners, shared::Traits};
use crate::{
    aggregate::stall,
    output::{size, text},
    report::{
        Kind, Report, StallBucket,
        merged::{Merged, MergedNode, SCHEMA, Span},
    },
};

/// Most gaps in words.
const MAX_GAPS: usize = 50;

/// Takes reports.
#[derive(Default)]
pub struct Merger {
    nodes: Vec<MergedNode>,
    stalls: Vec<u64>,
    prunes: u64,
    victims: Owners,
    culprits: Owners,
    held_bytes: u64,
    traits: Traits,
    gaps: Vec<String>,
    left_out: usize,
}

impl Merger {
    /// Takes one report; `file` says where it came from. One whose window overlaps that of an earlier one of the same node is left
    /// out, because its counts are in that one, and this is told.
    pub fn take(&mut self, file: &str, report: &Report) {
        let node = line(file, report);
        let twice = self.nodes.iter().find(|other| {
            other.node == node.node
                && time::overlap((other.start, other.end), (node.start, node.end))
        });
        if let Some(other) = twice {
            self.gap(format!(
                "{}: left out, {} covers the same time of node {}",
                text::name(file),
                text::name(&other.file.clone()),
                text::name(&node.node)
            ));
            return;
        }
        for victim in &report.victims {
            let refused = victim.refused();
            self.victims.add(&victim.owner, &node.node, |owner| {
                owner.refusals = owner.refusals.saturating_add(refused);
            });
            self.prunes = self.prunes.saturating_add(victim.prunes.unwrap_or(0));
            for bucket in &victim.stall_buckets {
                match bucket.place() {
                    Some(place) => {
                        self.stalls.resize(BUCKETS, 0);
                        self.stalls[place] = self.stalls[place].saturating_add(bucket.count);
                    }
                    None => self.gap(format!(
                        "{}: a stall bucket from {} to {} ns is none that this version knows",
                        text::name(file),
                        bucket.from_ns,
                        bucket.to_ns
                    )),
                }
            }
            if victim.stall_percentiles.is_some() && victim.stall_buckets.is_empty() {
                self.gap(format!(
                    "{}: of an earlier version, its stalls are in no sum",
                    text::name(file)
                ));
            }
        }
        for culprit in &report.culprits {
            let holder = &culprit.holder;
            self.culprits.add(&holder.owner, &node.node, |owner| {
                owner.held_bytes = owner.held_bytes.saturating_add(holder.held_bytes);
                owner.sockets = owner.sockets.saturating_add(holder.sockets);
            });
        }
        let held = report.attribution.held_bytes.unwrap_or_else(|| {
            let holders = report.holders.iter();
            holders
                .map(|holder| holder.held_bytes)
                .fold(0, u64::saturating_add)
        });
        self.held_bytes = self.held_bytes.saturating_add(held);
        self.traits.add(affected(node.kind), report);
        self.nodes.push(node);
    }

    /// Notes a file that could not be read.
    pub fn failed(&mut self, file: &str, why: &str) {
        self.gap(format!(
            "{}: {}",
            text::name(file),
            text::clean(why, 4 * text::NAME_MAX)
        ));
    }

    fn gap(&mut self, words: String) {
        if self.gaps.contains(&words) {
            return;
        }
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(words);
        } else {
            self.left_out += 1;
        }
    }

    /// What all of them say together, with so many owners in each list.
    #[must_use]
    pub fn finish(mut self, version: &str, top: usize) -> Merged {
        time::offsets(&mut self.nodes);
        let apart = self.nodes.iter().filter(|node| !node.overlaps).count();
        if apart > 0 {
            self.gap(format!(
                "{} watched at another time than the median node, or with a clock that is wrong",
                match apart {
                    1 => "1 node was".to_owned(),
                    nodes => format!("{nodes} nodes were"),
                }
            ));
        }
        let count = |of: &dyn Fn(Kind) -> bool| {
            self.nodes.iter().filter(|node| of(node.kind)).count() as u64
        };
        let (affected, healthy) = (count(&affected), count(&|kind| kind == Kind::Healthy));
        let inconclusive = count(&|kind| kind == Kind::Inconclusive);
        let refusals = self.nodes.iter().map(|node| node.refusals);
        let refusals = refusals.fold(0, u64::saturating_add);
        let starts = self.nodes.iter().filter_map(|node| node.start).min();
        let ends = self.nodes.iter().filter_map(|node| node.end).max();
        let buckets = <[u64; BUCKETS]>::try_from(self.stalls).unwrap_or([0; BUCKETS]);
        let mut nodes = self.nodes;
        nodes.sort_by(|a, b| worse(b, a));
        let mut gaps = self.gaps;
        if self.left_out > 0 {
            gaps.push(format!(
                "and {} more",
                size::count(self.left_out as u64, "gap")
            ));
        }
        Merged {
            schema: SCHEMA.to_owned(),
            tcpress: version.to_owned(),
            reports: nodes.len() as u64,
            affected,
            healthy,
            inconclusive,
            refusals,
            prunes: self.prunes,
            held_bytes: self.held_bytes,
            window: starts.zip(ends).map(|(start, end)| Span { start, end }),
            stall_percentiles: stall::percentiles(&buckets).map(Into::into),
            stall_buckets: StallBucket::of(&buckets),
            victims: self
                .victims
                .finish("victims", top, &mut gaps, |owner| owner.refusals),
            culprits: self
                .culprits
                .finish("culprits", top, &mut gaps, |owner| owner.held_bytes),
            shared: self.traits.finish(),
            nodes,
            gaps,
        }
    }
}

fn affected(kind: Kind) -> bool {
    !matches!(kind, Kind::Healthy | Kind::Inconclusive)
}

/// First those that are affected, then by refusals, fill and name.
fn worse(a: &MergedNode, b: &MergedNode) -> std::cmp::Ordering {
    let fill = |node: &MergedNode| node.fill.unwrap_or(0.0);
    let order = affected(a.kind).cmp(&affected(b.kind));
    order
        .then(a.refusals.cmp(&b.refusals))
        .then(fill(a).total_cmp(&fill(b)))
        .then(b.node.cmp(&a.node))
}

fn line(file: &str, report: &Report) -> MergedNode {
    let verdict = &report.verdict;
    let node = &report.node;
    let name = node.k8s_node_name.as_deref().unwrap_or(&node.host_name);
    let culprit = report.culprits.first().map(|culprit| &culprit.holder.owner);
    let victims = report.victims.iter().map(crate::report::Victim::refused);
    MergedNode {
        node: name.to_owned(),
        file: file.to_owned(),
        kernel: node.kernel.clone(),
        kind: verdict.kind,
        confidence: verdict.confidence,
        headline: verdict.headline.clone(),
        fill: report.tcp_memory.fill,
        full_in_ms: time::until_full(report),
        refusals: victims.fold(0, u64::saturating_add),
        culprit: culprit.map(|owner| owner.name.clone()),
        contact: culprit.and_then(crate::report::Owner::contact_words),
        start: Some(report.window.start),
        end: Some(report.window.end),
        offset_ms: 0,
        overlaps: true,
    }
}

/// Counts by a name.
type Counts<K> = BTreeMap<K, [u64; 2]>;

#[cfg(test)]
mod tests;
