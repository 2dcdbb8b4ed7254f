//! From facts to a verdict: what is the matter, which limit refused, who explains it, and what to do first. Rules only: it
//! reads no kernel, no clock, and accuses nobody beyond what the limit that refused makes responsible.

pub mod advice;
pub mod blemish;
pub mod case;
pub mod checks;
pub mod command;
pub mod confidence;
pub mod context;
pub mod culprit;
pub mod exclusion;
pub mod headline;
pub mod kind;
pub mod leak;
pub mod limit;
pub mod lines;
pub mod reader;
pub mod recovery;
pub mod sufferer;
pub mod summary;
mod words;

pub use case::Case;
pub use culprit::{Account, Accused};
pub use limit::{Finding, Tallied};
pub use sufferer::Sufferer;

use crate::report::{Basis, Verdict};

/// The verdict of a case, and who is accused.
#[must_use]
pub fn diagnose(case: &Case<'_>) -> (Verdict, Vec<Accused>) {
    let decision = kind::decide(case);
    let confidence = confidence::confidence(case, &decision);
    let finding = case.findings.first();
    let verdict = Verdict {
        kind: decision.kind,
        leak: decision.leak,
        reader: decision.reader,
        confidence,
        headline: headline::headline(case, &decision, confidence),
        limit: finding.map(|finding| finding.limit),
        detail: finding.and_then(|finding| finding.detail),
        evidence: if case.traced {
            Basis::Probes
        } else {
            Basis::Counters
        },
        summary: summary::summary(case, &decision),
        evidence_lines: lines::evidence(case, &decision),
        ruled_out: exclusion::ruled_out(case, &decision),
        checks: checks::checks(case, &decision),
        advice: advice::advice(case, &decision),
    };
    (verdict, decision.accused)
}
