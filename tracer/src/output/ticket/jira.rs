//! An issue for `POST /rest/api/3/issue` of Jira Cloud, by its REST API documentation (version 3), the description in the
//! Atlassian Document Format. The project and the type of the issue are Jira's matter and no part of a report: who sends the
//! issue puts them in.

use serde::Serialize;
use serde_json::Value;

use super::{
    Incident, Severity, adf,
    gist::{Gist, Step},
};
use crate::{
    output::{json, text},
    report::Report,
};

/// Longest `summary`, in characters.
const MAX_SUMMARY: usize = 255;
/// Longest text of an issue, in characters: Jira's default limit. The document is counted as it is sent, which is more than
/// Jira counts of it.
const MAX_DESCRIPTION: usize = 32_767;
/// Kept of it for the last paragraph.
const RESERVE: usize = 400;

/// One issue.
#[derive(Debug, Serialize)]
struct Issue {
    fields: Fields,
}

/// Its fields.
#[derive(Debug, Serialize)]
struct Fields {
    summary: String,
    labels: Vec<String>,
    description: Value,
}

/// The issue of a report. Its second label is the incident's identity, by which a later report finds it.
///
/// # Errors
/// When a value cannot be written as JSON; these can.
pub fn issue(report: &Report) -> serde_json::Result<String> {
    let incident = Incident::of(report);
    json::pretty(&Issue {
        fields: Fields {
            summary: text::clean(&report.verdict.headline, MAX_SUMMARY),
            labels: vec!["tcpress".to_owned(), incident.identity()],
            description: description(report, &incident)?,
        },
    })
}

/// As much of the gist as fits, the most useful first.
fn description(report: &Report, incident: &Incident<'_>) -> serde_json::Result<Value> {
    let gist = Gist::of(report);
    let colour = match (incident.over, incident.severity()) {
        (true, _) | (_, Severity::Info) => "success",
        (_, Severity::Critical) => "error",
        (_, Severity::Warning) => "warning",
    };
    let mut content = vec![
        adf::panel(colour, &gist.headline),
        adf::paragraph(&gist.summary),
    ];
    let parts = [
        (
            "What to do, the least harmful first",
            numbered(&gist.actions),
        ),
        ("Victims", bullets(&gist.victims)),
        ("Culprits", bullets(&gist.culprits)),
        ("Completeness", bullets(&gist.completeness)),
        ("Evidence", bullets(&gist.evidence)),
        ("Ruled out", bullets(&gist.ruled_out)),
        ("Check by hand", numbered(&gist.checks)),
    ];
    let mut left_out = Vec::new();
    let mut length = characters(&adf::document(content.clone()))?;
    for (title, list) in parts {
        let Some(list) = list else { continue };
        let nodes = [adf::heading(title), list];
        let more = nodes
            .iter()
            .map(characters)
            .sum::<serde_json::Result<usize>>()?;
        // Each node brings a comma.
        if length + more + nodes.len() > MAX_DESCRIPTION - RESERVE {
            left_out.push(title);
            continue;
        }
        length += more + nodes.len();
        content.extend(nodes);
    }
    if !left_out.is_empty() {
        content.push(adf::paragraph(&format!(
            "Left out, because an issue has no room for it: {}. The report has it.",
            left_out.join("; ")
        )));
    }
    Ok(adf::document(content))
}

/// Length of a node as it is sent, in characters.
fn characters(node: &Value) -> serde_json::Result<usize> {
    Ok(json::line(node)?.chars().count())
}

fn bullets(lines: &[String]) -> Option<Value> {
    let items = lines.iter().map(|line| vec![adf::paragraph(line)]);
    (!lines.is_empty()).then(|| adf::bullets(items.collect()))
}

fn numbered(steps: &[Step]) -> Option<Value> {
    let items = steps.iter().map(|step| {
        let command = step.command.as_deref().map(adf::command);
        [Some(adf::paragraph(&step.words)), command]
            .into_iter()
            .flatten()
            .collect()
    });
    (!steps.is_empty()).then(|| adf::numbered(items.collect()))
}
