//! What was lost, from the cells of the kernel programs and from tallies without an owner.

use std::collections::BTreeSet;

use tracer_common::tally::limit;

use super::{Harms, evidence};
use crate::{
    aggregate::{Group, Harm},
    indicators::RowState,
    report::{Inputs, Losses, losses::ProgramMisses},
};

/// The losses, still without gaps. Nothing traced means nothing measured, which is not 0.
pub(super) fn losses(inputs: &Inputs<'_>, harms: &Harms) -> Losses {
    let mut losses = Losses::default();
    if !inputs.traced {
        return losses;
    }
    losses.set_cells(&inputs.losses);
    losses.recursion_misses = inputs.recursion_misses.map(|programs| {
        programs
            .iter()
            .filter(|(_, misses)| *misses > 0)
            .map(|(program, misses)| ProgramMisses {
                program: program.clone(),
                misses: *misses,
            })
            .collect()
    });
    losses.possible_misses = inputs.possible_misses;
    let suppressed = harms
        .values()
        .map(|harm| harm.suppressed)
        .fold(0, u64::saturating_add);
    losses.suppressed_evidence = Some(suppressed);
    let unattributed = harms.get(&Group::Unattributed).map(|harm| harm.refusals());
    losses.unattributed = Some(
        unattributed
            .unwrap_or_default()
            .into_iter()
            .fold(0, u64::saturating_add),
    );
    losses
}

/// Says why limits are not known, if some are not.
pub(super) fn unknown_limits(inputs: &Inputs<'_>, harms: &Harms, gaps: &mut Vec<String>) {
    let unknown = |counts: &dyn Fn(&Harm) -> u64| -> u64 {
        harms.values().map(counts).fold(0, u64::saturating_add)
    };
    let refusals = unknown(&|harm| harm.refusals()[limit::UNKNOWN]);
    let prunes = unknown(&|harm| harm.prunes[limit::UNKNOWN]);
    if refusals > 0 || prunes > 0 {
        gaps.push(format!(
            "the limit of {refusals} refusals and {prunes} prunes is unknown: {}",
            evidence::unknown_limit(inputs.plan)
        ));
    }
}

/// Says which network namespaces died within the window with counts that nothing can check any more.
pub(super) fn gone(inputs: &Inputs<'_>, gaps: &mut Vec<String>) {
    let gone: BTreeSet<u32> = inputs
        .rows
        .iter()
        .filter(|row| row.state == RowState::Gone)
        .filter(|row| row.attributed.is_some_and(|count| count > 0))
        .map(|row| row.netns_inum)
        .collect();
    for inum in gone {
        gaps.push(format!(
            "netns {inum} died within the window: its counts cannot be compared with the kernel's"
        ));
    }
}
