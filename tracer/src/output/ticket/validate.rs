//! What other systems take, by their own schemas (`tests/schemas`), and by rules written from their documentation where no schema
//! can be had or where it says less than the documentation.

use std::{fs, path::PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::{
    diagnose::recovery,
    output::{Format, render},
    report::{
        Check, Report, RuledOut,
        tests::{fixture::Fixture, incident::incident},
    },
};

fn schema(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/schemas")
        .join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn valid(schema: &Value, document: &Value) {
    let validator: Validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap();
    let errors = validator.iter_errors(document);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

fn length(value: &Value) -> usize {
    value.as_str().unwrap().chars().count()
}

/// Alertmanager's own interface file; labels and times by the documentation of Prometheus' data model and of alerts.
pub(crate) fn alertmanager(text: &str) {
    let document: Value = serde_json::from_str(text).unwrap();
    let api = schema("alertmanager/openapi.json");
    let definitions = &api["definitions"];
    valid(
        &json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "$ref": "#/definitions/postableAlerts",
            "definitions": definitions,
        }),
        &document,
    );
    for alert in document.as_array().unwrap() {
        // The schema allows other fields, which Alertmanager would ignore.
        let known = [
            &definitions["postableAlert"]["allOf"][0]["properties"],
            &definitions["alert"]["properties"],
        ];
        for field in object(alert).keys() {
            let known = known.iter().any(|it| it.get(field).is_some());
            assert!(known, "{field} is no field of an alert");
        }
        for set in ["labels", "annotations"] {
            for (name, value) in object(&alert[set]) {
                let mut bytes = name.bytes();
                let first = bytes.next().unwrap();
                assert!(first.is_ascii_alphabetic() || first == b'_', "{name}");
                assert!(
                    bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_'),
                    "{name}"
                );
                assert!(length(value) > 0, "{name} is empty");
            }
        }
        assert!(alert["labels"].get("alertname").is_some());
        let time =
            |name: &str| -> jiff::Timestamp { alert[name].as_str().unwrap().parse().unwrap() };
        assert!(time("startsAt") <= time("endsAt"), "{alert:#}");
    }
}

/// PagerDuty's documentation of the Events API v2.
pub(crate) fn pagerduty(text: &str) {
    assert!(text.len() < 512 * 1000, "{} bytes", text.len());
    let event: Value = serde_json::from_str(text).unwrap();
    let fields = [
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "images",
        "links",
        "client",
        "client_url",
    ];
    for field in object(&event).keys() {
        assert!(
            fields.contains(&field.as_str()),
            "{field} is no field of an event"
        );
    }
    assert!(
        event.get("routing_key").is_none(),
        "a secret in a rendering"
    );
    let actions = ["trigger", "acknowledge", "resolve"];
    assert!(actions.contains(&event["event_action"].as_str().unwrap()));
    assert!((1..=255).contains(&length(&event["dedup_key"])));
    let payload = object(&event["payload"]);
    let texts = ["summary", "source", "component", "group", "class"];
    for (field, value) in payload {
        match field.as_str() {
            "severity" => {
                let words = ["critical", "error", "warning", "info"];
                assert!(words.contains(&value.as_str().unwrap()));
            }
            "timestamp" => drop(value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap()),
            "custom_details" => assert!(value.is_object()),
            field => {
                assert!(texts.contains(&field), "{field} is no field of a payload");
                assert!(length(value) > 0, "{field} is empty");
            }
        }
    }
    for required in ["summary", "source", "severity"] {
        assert!(payload.contains_key(required), "{required} is required");
    }
    assert!(length(&payload["summary"]) <= 1024);
}

/// Atlassian's own schema of documents; the issue around it by Jira's documentation.
pub(crate) fn jira(text: &str) {
    let issue: Value = serde_json::from_str(text).unwrap();
    assert_eq!(object(&issue).keys().collect::<Vec<_>>(), ["fields"]);
    let fields = object(&issue["fields"]);
    valid(&schema("adf/full.json"), &fields["description"]);
    let description = serde_json::to_string(&fields["description"]).unwrap();
    assert!(description.chars().count() <= 32_767);
    let summary = fields["summary"].as_str().unwrap();
    assert!((1..=255).contains(&summary.chars().count()));
    assert!(!summary.contains(['\n', '\r']), "{summary}");
    for label in fields["labels"].as_array().unwrap() {
        assert!((1..=255).contains(&length(label)));
        assert!(!label.as_str().unwrap().contains(char::is_whitespace));
    }
    // Jira says so of a field that it does not know, and creates nothing.
    for field in fields.keys() {
        assert!(["summary", "labels", "description"].contains(&field.as_str()));
    }
}

#[test]
fn whatever_a_report_holds_fits() {
    let mut report = incident().report();
    // Four bytes a character, and one that JSON writes in two.
    let long = "\u{1f525}\"".repeat(5_000);
    let verdict = &mut report.verdict;
    verdict.headline = long.clone();
    verdict.summary = long.clone();
    verdict.evidence_lines = vec![long.clone(); 100];
    verdict.ruled_out = vec![
        RuledOut {
            what: long.clone(),
            why: long.clone(),
        };
        100
    ];
    for advice in &mut verdict.advice {
        advice.action = long.clone();
    }
    verdict.advice = vec![verdict.advice[0].clone(); 100];
    verdict.checks = vec![
        Check {
            command: "\u{1f525}".repeat(1_000),
            expect: long.clone(),
        };
        100
    ];
    report.victims = vec![report.victims[0].clone(); 100];
    report.culprits = vec![report.culprits[0].clone(); 100];
    for culprit in &mut report.culprits {
        culprit.holder.owner.name = long.clone();
        culprit.why = long.clone();
    }
    report.losses.gaps = vec![long.clone(); 100];
    report.node.k8s_node_name = Some(long);
    alertmanager(&render(&report, Format::Alertmanager).unwrap());
    pagerduty(&render(&report, Format::Pagerduty).unwrap());
    let issue = render(&report, Format::Jira).unwrap();
    jira(&issue);
    assert!(issue.contains("Left out, because an issue has no room"));
    assert!(issue.contains("What to do"), "the most useful comes first");
}

#[test]
fn a_node_without_a_name_makes_valid_documents() {
    let mut report = incident().report();
    report.node = Default::default();
    report.culprits[0].holder.owner = Default::default();
    alertmanager(&render(&report, Format::Alertmanager).unwrap());
    pagerduty(&render(&report, Format::Pagerduty).unwrap());
    jira(&render(&report, Format::Jira).unwrap());
}

#[test]
fn a_recovery_ends_the_alert_of_then() {
    let before = incident().report();
    let mut after = Fixture::quiet().report();
    let mut recovery = recovery::compare(&before, &after);
    recovery.recovered = Some(true);
    after.recovery = Some(recovery);
    let alert = |report: &Report| -> Value {
        let text = render(report, Format::Alertmanager).unwrap();
        alertmanager(&text);
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    };
    let (firing, over) = (alert(&before), alert(&after));
    assert_eq!(firing["labels"], over["labels"], "the labels are the alert");
    assert_eq!(over["endsAt"], json!(after.window.end));
    let event = |report: &Report| -> Value {
        let text = render(report, Format::Pagerduty).unwrap();
        pagerduty(&text);
        serde_json::from_str(&text).unwrap()
    };
    let (firing, over) = (event(&before), event(&after));
    assert_eq!(firing["event_action"], "trigger");
    assert_eq!(over["event_action"], "resolve");
    assert_eq!(firing["dedup_key"], over["dedup_key"]);
}

#[test]
#[should_panic(expected = "is not valid under any of the schemas")]
fn a_bad_document_is_found() {
    jira(
        r#"{"fields": {"summary": "s", "labels": [], "description":
        {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]}}}"#,
    );
}

#[test]
#[should_panic(expected = "is not of type")]
fn a_bad_alert_is_found() {
    alertmanager(r#"[{"labels": {"alertname": 5}}]"#);
}

#[test]
#[should_panic(expected = "/0/startsAt")]
fn a_bad_time_is_found() {
    alertmanager(r#"[{"labels": {"alertname": "a"}, "startsAt": "yesterday"}]"#);
}
