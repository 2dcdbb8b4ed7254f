//! Owners over all nodes. A pod is one by its namespace and name: a StatefulSet's pod keeps these on the next node, with another uid.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    output::size,
    report::{Owner, OwnerKind, merged::MergedOwner},
};

/// Owners that are told apart; the sums of nodes are of all.
const MAX_OWNERS: usize = 100_000;
/// Nodes that are named of one owner.
const MAX_NODES: usize = 20;

/// Owners by what makes them one.
#[derive(Default)]
pub(super) struct Owners {
    known: BTreeMap<(OwnerKind, String), MergedOwner>,
    beyond: u64,
    /// Nodes that were not named.
    nodes_beyond: u64,
}

impl Owners {
    /// Adds what one report says of an owner.
    pub(super) fn add(&mut self, owner: &Owner, node: &str, add: impl FnOnce(&mut MergedOwner)) {
        let key = (owner.kind, owner.name.clone());
        if self.known.len() >= MAX_OWNERS && !self.known.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let known = self.known.entry(key).or_insert_with(|| MergedOwner {
            name: owner.name.clone(),
            ..MergedOwner::default()
        });
        if known.k8s_workload.is_none() {
            known.k8s_workload.clone_from(&owner.k8s_workload);
        }
        if known.contact.is_none() {
            known.contact = owner.contact_words();
        }
        if !known.nodes.iter().any(|known| known == node) {
            if known.nodes.len() < MAX_NODES {
                known.nodes.push(node.to_owned());
            } else {
                self.nodes_beyond += 1;
            }
        }
        add(known);
    }

    /// The first of them by a figure.
    pub(super) fn finish(
        self,
        what: &str,
        top: usize,
        gaps: &mut Vec<String>,
        figure: impl Fn(&MergedOwner) -> u64,
    ) -> Vec<MergedOwner> {
        let mut owners: Vec<MergedOwner> = self.known.into_values().collect();
        owners.sort_by_key(|owner| (Reverse(figure(owner)), owner.name.clone()));
        let more = (owners.len().saturating_sub(top)) as u64 + self.beyond;
        if more > 0 {
            gaps.push(format!("{what}: {more} more are not listed"));
        }
        if self.nodes_beyond > 0 {
            gaps.push(format!(
                "{what}: {} not named, at most {MAX_NODES} of each owner are",
                size::count(self.nodes_beyond, "node")
            ));
        }
        owners.truncate(top);
        owners
    }
}
