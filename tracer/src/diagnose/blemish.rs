//! What makes counts less than exact, in words that stand right behind the verdict.

use crate::{
    output::size,
    report::{AtRest, Losses, Reconciliation, Selfcheck},
};

/// Most rows that a sentence names.
const MAX_NAMED: usize = 3;

/// A sentence on a capture that is not whole.
#[must_use]
pub fn damage(missing: &str) -> String {
    format!("This is made of a damaged capture, counts and holders may be too low: {missing}.")
}

/// A sentence on counts that are not exact, and one on owners that are lost; empty when all is well.
#[must_use]
pub fn sentences(
    rows: &[Reconciliation],
    at_rest: AtRest,
    losses: &Losses,
    traced: bool,
) -> Vec<String> {
    if !traced {
        return Vec::new();
    }
    let mut counts = residuals(rows);
    for (name, count, words) in [
        (
            "frames_full",
            losses.frames_full,
            "failing calls without room for their counts",
        ),
        (
            "pending_full",
            losses.pending_full,
            "refusals without room to wait for their limit",
        ),
        (
            "no_frame",
            losses.no_frame,
            "prunes and collapses outside any failing call",
        ),
        (
            "marks_full",
            losses.marks_full,
            "rises of a counter without room for a mark",
        ),
        (
            "unpaired",
            losses.unpaired,
            "calls whose beginning and end did not pair up",
        ),
    ] {
        if let Some(count) = count.filter(|count| *count > 0) {
            counts.push(format!("{name} {count} ({words})"));
        }
    }
    // A residual of 0 proves that nothing was missed; a row without one does not.
    let proven = at_rest.unknown == 0 && rows.iter().all(|row| row.residual == Some(0));
    let possible = losses.possible_misses.unwrap_or(0);
    if possible > 0 && !proven {
        counts.push(format!(
            "possible_misses {possible} (at most so many events were seen by no copy of a program)"
        ));
    }
    let mut sentences = Vec::new();
    if !counts.is_empty() {
        sentences.push(format!("Counts are not exact: {}.", counts.join("; ")));
    }
    let lost = losses
        .tallies_full
        .unwrap_or(0)
        .max(losses.overflow_full.unwrap_or(0));
    if lost > 0 || losses.unattributed.unwrap_or(0) > 0 {
        sentences.push(format!(
            "Owners are not complete: {} belong to owners that found no room in the tables.",
            size::count(losses.unattributed.unwrap_or(0), "refusal")
        ));
    }
    sentences
}

/// A sentence on a self-check that found a disagreement.
#[must_use]
pub fn disagreement(check: &Selfcheck) -> Option<String> {
    (check.wrong() > 0).then(|| format!("The self-check disagrees: {}.", check.words()))
}

/// Rows whose residual is not 0, and rows that moved without being traced.
fn residuals(rows: &[Reconciliation]) -> Vec<String> {
    let mut off: Vec<(u64, String)> = Vec::new();
    for row in rows {
        match (row.residual, row.kernel, row.attributed) {
            (Some(residual), ..) if residual != 0 => {
                let bound = match row.bound {
                    Some(bound) if residual.unsigned_abs() <= bound => {
                        format!(" (within its bound of {bound})")
                    }
                    _ => String::new(),
                };
                let words = format!(
                    "residual {residual} on {} in netns {}",
                    row.counter, row.netns
                );
                off.push((residual.unsigned_abs(), words + &bound));
            }
            (None, Some(kernel), None) if kernel > 0 => off.push((
                kernel,
                format!(
                    "{} rose by {kernel} in netns {} unseen by us",
                    row.counter, row.netns
                ),
            )),
            _ => {}
        }
    }
    off.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let more = off.len().saturating_sub(MAX_NAMED);
    let mut words: Vec<String> = off
        .into_iter()
        .take(MAX_NAMED)
        .map(|(_, words)| words)
        .collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words
}
