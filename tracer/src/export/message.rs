//! What is sent of a report: a rendering, and by which key the far end knows a repeat of it.

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Address;
use crate::{
    output::{Format, render},
    report::{Incident, Report},
};

/// Hexadecimal digits of a key.
const KEY_DIGITS: usize = 32;

/// How the far end is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One request; what becomes of a repeat is the far end's matter, which is told by a key.
    #[default]
    Plain,
    /// One request with the routing key in its body.
    Pagerduty,
    /// A search for the issue of the same incident, then an update of it, or a new one.
    Jira,
}

/// Where in Jira an issue belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JiraPlace {
    /// Key of the project.
    pub project: String,
    /// Name of the type of the issue.
    pub issue_type: String,
}

/// One thing to send. No secret is in it: it may lie on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The whole URL.
    pub to: String,
    /// How the far end is spoken to.
    pub protocol: Protocol,
    /// The same for every try to send this, and for nothing else.
    pub key: String,
    /// What the body is.
    pub media_type: String,
    /// The body.
    pub body: String,
}

impl Message {
    /// A report for an address; `None` where its format is that of alerts and there is nothing to alert anybody about.
    ///
    /// # Errors
    /// When the report cannot be written as JSON; it can.
    pub fn new(
        report: &Report,
        format: Format,
        to: &Address,
        place: &JiraPlace,
    ) -> serde_json::Result<Option<Self>> {
        let is_alert = matches!(format, Format::Alertmanager | Format::Pagerduty);
        if is_alert && Incident::of(report).is_none() {
            return Ok(None);
        }
        let mut body = render(report, format)?;
        let protocol = match format {
            Format::Pagerduty => Protocol::Pagerduty,
            Format::Jira => Protocol::Jira,
            _ => Protocol::Plain,
        };
        if protocol == Protocol::Jira {
            let mut issue: Value = serde_json::from_str(&body)?;
            issue["fields"]["project"] = json!({"key": place.project});
            issue["fields"]["issuetype"] = json!({"name": place.issue_type});
            body = issue.to_string();
        }
        Ok(Some(Self {
            to: to.whole(),
            protocol,
            key: key(format, &body),
            media_type: format.media_type().to_owned(),
            body,
        }))
    }
}

/// Every report covers a window of its own, so what it says tells it from all others.
fn key(format: Format, body: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(format.media_type().as_bytes());
    hash.update(&[0]);
    hash.update(body.as_bytes());
    let digest = hash.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits
        .collect::<String>()
        .chars()
        .take(KEY_DIGITS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{fixture::Fixture, incident::incident};

    fn message(report: &Report, format: Format) -> Option<Message> {
        let to = "https://example.com/x".parse().unwrap();
        let place = JiraPlace {
            project: "OPS".into(),
            issue_type: "Bug".into(),
        };
        Message::new(report, format, &to, &place).unwrap()
    }

    #[test]
    fn a_repeat_has_the_same_key_and_nothing_else_has() {
        let report = incident().report();
        let one = message(&report, Format::Json).unwrap();
        assert_eq!(message(&report, Format::Json).unwrap(), one);
        let mut later = report.clone();
        later.window.end = "2026-03-14T16:00:00Z".parse().unwrap();
        assert_ne!(message(&later, Format::Json).unwrap().key, one.key);
        assert_ne!(message(&report, Format::Table).unwrap().key, one.key);
    }

    #[test]
    fn an_issue_is_told_where_it_belongs() {
        let message = message(&incident().report(), Format::Jira).unwrap();
        let issue: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(issue["fields"]["project"], json!({"key": "OPS"}));
        assert_eq!(issue["fields"]["issuetype"], json!({"name": "Bug"}));
    }

    #[test]
    fn nobody_is_alerted_about_nothing() {
        let quiet = Fixture::quiet().report();
        assert_eq!(message(&quiet, Format::Alertmanager), None);
        assert_eq!(message(&quiet, Format::Pagerduty), None);
        assert!(message(&quiet, Format::Jira).is_some());
        assert!(message(&quiet, Format::Json).is_some());
    }
}
