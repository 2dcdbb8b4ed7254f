//! What was lost.

use crate::report::Losses;

/// Every number above 0 by its name, or that there is none.
pub(in crate::output) fn sentence(losses: &Losses) -> String {
    let named = losses.named();
    let lost: Vec<String> = named
        .iter()
        .filter_map(|(name, count)| count.filter(|n| *n > 0).map(|n| format!("{name} {n}")))
        .collect();
    if !lost.is_empty() {
        lost.join(", ")
    } else if named.iter().all(|(_, count)| count.is_none()) {
        "not measured: nothing was traced".to_owned()
    } else {
        "none".to_owned()
    }
}
