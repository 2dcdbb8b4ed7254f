//! Sampled failures with their owners.

use tracer_common::TallyKey;

use crate::{
    aggregate::{Group, harm},
    kernel::Plan,
    report::{Evidence, Inputs, Limit, Owner, evidence, inputs::MAX_EVIDENCE},
};

/// Why a limit can be unknown with this plan.
pub(super) fn unknown_limit(plan: &Plan) -> &'static str {
    if plan.attaches("sock_exceed_buf_limit") {
        "the kernel skipped the program that is told what was compared"
    } else {
        "the tracepoint that tells what was compared is not attached"
    }
}

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
            let name = |key: &TallyKey| Owner::from(&harm::owner_of(key, inputs.owner_of_key));
            let mut event = Evidence::new(record, &name, at, inputs.node.page_size_bytes);
            if event.limit == Limit::Unknown {
                event.limit_why = Some(unknown_limit(inputs.plan).to_owned());
            }
            (Group::of(&owner), event)
        })
        .collect()
}
