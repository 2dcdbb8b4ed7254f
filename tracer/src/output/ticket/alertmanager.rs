//! Alerts for `POST /api/v2/alerts` of Prometheus' Alertmanager, by its interface file (`api/v2/openapi.yaml`). Labels are what
//! an alert is: the same ones again update it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Incident, gist::Gist};
use crate::{
    output::{json, text},
    report::{OwnerKind, Report},
};

/// Name of every alert of ours; `kind` says what is the matter.
const ALERT_NAME: &str = "TcpressVerdict";
/// How long an alert stays active unless a later report renews or ends it. Alertmanager would end it after five minutes if
/// no end were given, which is shorter than the time between two looks of a person.
const ACTIVE_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Longest value of a label, in characters: that of the longest name that Kubernetes allows.
const MAX_VALUE: usize = 253;

/// One alert.
#[derive(Debug, Serialize)]
struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: Timestamp,
    #[serde(rename = "endsAt")]
    ends_at: Timestamp,
}

/// The alerts of a report: none where there is nothing to alert anybody about.
///
/// # Errors
/// When a value cannot be written as JSON; these can.
pub fn alerts(report: &Report) -> serde_json::Result<String> {
    let incident = Incident::of(report);
    let alerts: Vec<Alert> = (!incident.is_none())
        .then(|| alert(report, &incident))
        .into_iter()
        .collect();
    json::pretty(&alerts)
}

fn alert(report: &Report, incident: &Incident<'_>) -> Alert {
    let end = report.window.end;
    let ends_at = match incident.over {
        true => end,
        false => end.checked_add(ACTIVE_FOR).unwrap_or(Timestamp::MAX),
    };
    Alert {
        labels: labels(incident),
        annotations: annotations(report, incident),
        // A clock that was set back within the window makes no alert that ends before it starts.
        starts_at: incident.since.min(ends_at),
        ends_at,
    }
}

/// Only what stays the same in every report of an incident.
fn labels(incident: &Incident<'_>) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([
        ("alertname", ALERT_NAME.to_owned()),
        ("severity", incident.severity().name().to_owned()),
        ("kind", incident.kind.name().to_owned()),
    ]);
    // Pseudonyms are given anew in each report, so they are no labels.
    if let Some(id) = incident.id {
        labels.insert("identity", value(id));
        return labels;
    }
    labels.insert("node", value(incident.node));
    if let Some(owner) = incident.culprit {
        let pod = [
            ("namespace", &owner.k8s_namespace_name),
            ("pod", &owner.k8s_pod_name),
        ];
        for (name, known) in pod {
            if let Some(known) = known {
                labels.insert(name, value(known));
            }
        }
        if owner.kind != OwnerKind::Pod || owner.k8s_pod_name.is_none() {
            labels.insert("owner", value(&owner.name));
        }
    }
    // To Alertmanager an empty label is none.
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn value(text: &str) -> String {
    text::clean(text, MAX_VALUE)
}

fn annotations(report: &Report, incident: &Incident<'_>) -> BTreeMap<&'static str, String> {
    let gist = Gist::of(report);
    let mut annotations = BTreeMap::from([
        ("summary", gist.headline),
        ("description", gist.summary),
        ("completeness", gist.completeness.join("\n")),
        ("identity", incident.identity()),
    ]);
    let parts = [
        ("evidence", gist.evidence),
        ("victims", gist.victims),
        ("culprits", gist.culprits),
    ];
    for (name, lines) in parts {
        if !lines.is_empty() {
            annotations.insert(name, lines.join("\n"));
        }
    }
    if let Some(step) = gist.actions.first() {
        annotations.insert("action", step.words.clone());
        annotations.extend(step.command.clone().map(|command| ("command", command)));
    }
    if let Some(contact) = incident.culprit.and_then(|owner| owner.contact_words()) {
        annotations.insert("contact", value(&contact));
    }
    annotations
}
