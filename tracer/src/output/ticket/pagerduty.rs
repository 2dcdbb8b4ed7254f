//! An event for PagerDuty's Events API v2 (`POST /v2/enqueue`), by its documentation (Send an Alert Event; Events API v2
//! Overview). The `routing_key`, without which PagerDuty takes no event, is a secret and no part of a report: who sends the
//! event puts it in.

use jiff::Timestamp;
use serde::Serialize;

use super::{Incident, gist::Gist};
use crate::{
    output::{json, text},
    report::Report,
};

/// Longest `payload.summary`, in characters.
const MAX_SUMMARY: usize = 1024;
/// What stands for the name of a node that has none: PagerDuty requires one.
const NO_NAME: &str = "unknown";

/// One event.
#[derive(Debug, Serialize)]
struct Event {
    event_action: &'static str,
    dedup_key: String,
    client: &'static str,
    payload: Payload,
}

/// The event in PagerDuty's Common Event Format.
#[derive(Debug, Serialize)]
struct Payload {
    summary: String,
    timestamp: Timestamp,
    severity: &'static str,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    class: &'static str,
    custom_details: Details,
}

/// What a person reads below the summary. All of it is bounded, so that an event stays far below the 512 KB that PagerDuty
/// takes.
#[derive(Debug, Serialize)]
struct Details {
    finding: String,
    confidence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    victims: Vec<String>,
    culprits: Vec<String>,
    evidence: Vec<String>,
    ruled_out: Vec<String>,
    actions: Vec<Step>,
    checks: Vec<Step>,
    completeness: Vec<String>,
}

/// Something to do.
#[derive(Debug, Serialize)]
struct Step {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

/// The event of a report: it triggers, or it resolves where there is nothing to alert anybody about.
///
/// # Errors
/// When a value cannot be written as JSON; these can.
pub fn event(report: &Report) -> serde_json::Result<String> {
    let incident = Incident::of(report);
    let gist = Gist::of(report);
    let source = match incident.node {
        "" => NO_NAME,
        name => name,
    };
    let owner = incident.culprit;
    let steps = |steps: Vec<super::gist::Step>| -> Vec<Step> {
        let steps = steps.into_iter().map(|step| Step {
            what: step.words,
            command: step.command,
        });
        steps.collect()
    };
    json::pretty(&Event {
        event_action: if incident.over { "resolve" } else { "trigger" },
        dedup_key: incident.identity(),
        client: "tcpress",
        payload: Payload {
            summary: text::clean(&report.verdict.headline, MAX_SUMMARY),
            timestamp: report.window.end,
            severity: incident.severity().name(),
            source: text::name(source),
            component: owner.and_then(|owner| named(&owner.name)),
            group: owner.and_then(|owner| named(owner.k8s_namespace_name.as_deref()?)),
            class: incident.kind.name(),
            custom_details: Details {
                finding: gist.summary,
                confidence: report.verdict.confidence.name(),
                contact: owner
                    .and_then(|owner| owner.contact_words())
                    .map(|contact| text::name(&contact)),
                victims: gist.victims,
                culprits: gist.culprits,
                evidence: gist.evidence,
                ruled_out: gist.ruled_out,
                actions: steps(gist.actions),
                checks: steps(gist.checks),
                completeness: gist.completeness,
            },
        },
    })
}

/// A name as PagerDuty takes it: there, or not.
fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| text::name(name))
}
