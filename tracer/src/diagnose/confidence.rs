//! How sure a verdict is: everything that it rests on was seen, or something was not.

use super::{case::Case, kind::Decision, limit};
use crate::report::{Confidence, Kind, Leak, context::Reader};

/// An explained part of the node's TCP memory from which on nobody unseen can matter.
const WELL_EXPLAINED: f64 = 0.9;

/// How sure a decision is.
#[must_use]
pub fn confidence(case: &Case<'_>, decision: &Decision) -> Confidence {
    let mut doubts = 0;
    let mut doubt = |is: bool| doubts += u32::from(is);
    match decision.kind {
        Kind::Inconclusive => return Confidence::None,
        Kind::TcpMemLeak | Kind::TcpMemUndersized | Kind::OrphanFlood | Kind::OomAborts => {
            let explained = limit::explained(case.memory);
            doubt(explained.is_none_or(|part| part < WELL_EXPLAINED));
            // That sockets are in use takes two looks at them, as does that they are not read.
            let moves = case.accounts.unwrap_or_default().first();
            let moves = moves.and_then(|account| account.movement);
            let rests_on_movement =
                decision.kind == Kind::TcpMemUndersized || decision.leak == Some(Leak::NotReading);
            doubt(rests_on_movement && moves.is_none());
            // Nothing was refused yet: it is a warning.
            doubt(case.findings.is_empty() && case.besides()[2] == 0);
        }
        Kind::SlowReader => doubt(decision.reader == Some(Reader::Unknown)),
        Kind::RcvbufSmall | Kind::OfoGrowth => doubt(case.evidence.is_empty()),
        Kind::MemcgLimit => doubt(decision.accused.is_empty()),
        Kind::Backlog | Kind::Healthy => {}
    }
    doubt(!case.traced);
    doubt(!case.blemishes.is_empty());
    match doubts {
        0 => Confidence::High,
        1 => Confidence::Medium,
        _ => Confidence::Low,
    }
}
