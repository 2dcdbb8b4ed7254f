//! What an action brings and costs.

use std::time::Duration;

use crate::{output::size, report::Advice};

/// Effect, fill afterwards, whom it hits, cost, risk and undo, as far as there is something to say.
pub(in crate::output) fn sentence(advice: &Advice) -> String {
    let mut words = vec![advice.effect.clone()];
    if let Some(fill) = advice.predicted_fill {
        words.push(format!("Fill afterwards {}.", size::percent(fill)));
    }
    if let Some(ms) = advice.full_again_ms {
        let time =
            size::nanos(u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX));
        words.push(format!("Full again in {time} at the growth measured."));
    }
    for (name, text) in [
        ("Hits", &advice.affected),
        ("Cost", &advice.cost),
        ("Risk", &advice.risk),
        ("Undo", &advice.undo),
    ] {
        if !["", "None.", "None needed.", "Nobody."].contains(&text.as_str()) {
            words.push(format!("{name}: {text}"));
        }
    }
    words.join(" ")
}
