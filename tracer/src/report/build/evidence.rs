//! Sampled failures with their owners.

use crate::{
    aggregate::{Group, harm},
    report::{Evidence, Inputs, Owner, evidence, inputs::MAX_EVIDENCE},
};

/// The failures that a report shows, in the order of time.
pub(super) fn sampled(inputs: &Inputs<'_>, gaps: &mut Vec<String>) -> Vec<(Group, Evidence)> {
    if !inputs.traced {
        return Vec::new();
    }
    if inputs.events.len() > MAX_EVIDENCE {
        gaps.push(format!(
            "evidence: {MAX_EVIDENCE} of {} sampled failures are shown, some of every owner, queue and limit as far as they fit",
            inputs.events.len()
        ));
    }
    evidence::sample(inputs.events, MAX_EVIDENCE)
        .into_iter()
        .map(|record| {
            let owner = harm::owner_of(&record.owner, inputs.owner_of_key);
            let at = (inputs.wall_clock)(record.at_ns);
            let page = inputs.node.page_size_bytes;
            (
                Group::of(&owner),
                Evidence::new(record, Owner::from(&owner), at, page),
            )
        })
        .collect()
}
