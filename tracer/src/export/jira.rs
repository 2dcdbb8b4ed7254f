//! Jira Cloud's REST API, version 3. It knows no idempotency keys, so a repeat is recognised by a label: an issue that is not done
//! and carries the incident's identity is updated, and only where there is none a new one is made. Its search may be some
//! seconds behind: of two exports within that time both can make an issue.

use anyhow::Context as _;
use hyper::Method;
use serde_json::{Value, json};

use super::{Address, Failure, Message, exchange::Answer};
use crate::output::text;

/// Where issues are made.
const ISSUES: &str = "/rest/api/3/issue";
/// Where they are searched.
const SEARCH: &str = "/rest/api/3/search/jql";
/// Beginning of the label that is an incident's identity.
const IDENTITY: &str = "tcpress-";

/// Updates the issue of the incident, or makes one; says in words which.
pub(super) async fn deliver(
    message: &Message,
    to: &Address,
    ask: &impl AsyncFn(Method, &Address, String) -> Result<Answer, Failure>,
) -> Result<String, Failure> {
    let (search_at, question) =
        search(message, to).map_err(|why| Failure::setup(format!("{why:#}")))?;
    let found = ask(Method::POST, &search_at, question).await;
    // That the search got no answer made no issue.
    let found = found.map_err(|failure| Failure {
        maybe_done: false,
        ..failure
    })?;
    let found = json_of(&found, &search_at)?;
    let issues = found
        .get("issues")
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::setup(format!("{search_at} answers with no list of issues")))?;
    match issues.first().map(|issue| &issue["key"]) {
        None => {
            let made = ask(Method::POST, to, message.body.clone()).await?;
            let made = json_of(&made, to)?;
            Ok(format!("issue {} is made", shown(made.get("key"))))
        }
        Some(key) => {
            let at = key
                .as_str()
                .filter(|key| key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
                .and_then(|key| to.at(&format!("{}/{key}", path_of(to))))
                .ok_or_else(|| {
                    Failure::setup(format!("{search_at} answers with no key of an issue"))
                })?;
            let update = update(message).map_err(|why| Failure::rejected(format!("{why:#}")))?;
            ask(Method::PUT, &at, update).await?;
            Ok(format!("issue {} is updated", shown(Some(key))))
        }
    }
}

/// Where to search for the issue of the incident, and the question.
pub(super) fn search(message: &Message, to: &Address) -> anyhow::Result<(Address, String)> {
    let prefix = path_of(to).strip_suffix(ISSUES).with_context(|| {
        format!("{to} is no address of Jira's issues, as https://NAME.atlassian.net{ISSUES}")
    })?;
    let at = to
        .at(&format!("{prefix}{SEARCH}"))
        .context("no address for searches")?;
    let issue: Value = serde_json::from_str(&message.body)?;
    let text = |pointer: &str| issue.pointer(pointer).and_then(Value::as_str);
    let project = text("/fields/project/key").context("an issue without a project")?;
    let labels = issue.pointer("/fields/labels").and_then(Value::as_array);
    let mut labels = labels.into_iter().flatten().filter_map(Value::as_str);
    let identity = labels
        .find(|label| label.starts_with(IDENTITY))
        .context("an issue without an identity")?;
    let jql = format!(
        "project = {} AND labels = {} AND statusCategory != Done ORDER BY created DESC",
        quoted(project),
        quoted(identity)
    );
    let question = json!({"jql": jql, "fields": ["summary"], "maxResults": 1});
    Ok((at, question.to_string()))
}

/// What changes in an issue that is there: not its place, nor labels that people have put on it.
fn update(message: &Message) -> anyhow::Result<String> {
    let issue: Value = serde_json::from_str(&message.body)?;
    let field = |name: &str| issue["fields"][name].clone();
    Ok(
        json!({"fields": {"summary": field("summary"), "description": field("description")}})
            .to_string(),
    )
}

/// A string of JQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn path_of(to: &Address) -> &str {
    let path = to.path().split('?').next().unwrap_or_default();
    path.trim_end_matches('/')
}

fn json_of(answer: &Answer, from: &Address) -> Result<Value, Failure> {
    serde_json::from_slice(&answer.body)
        .map_err(|why| Failure::setup(format!("{from} does not answer as Jira does: {why}")))
}

fn shown(key: Option<&Value>) -> String {
    text::name(key.and_then(Value::as_str).unwrap_or("without a key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::{JiraPlace, Protocol},
        output::Format,
        report::Incident,
        report::tests::incident::incident,
    };

    fn message(to: &Address, project: &str) -> Message {
        let place = JiraPlace {
            project: project.into(),
            issue_type: "Bug".into(),
        };
        let report = incident().report();
        Message::new(&report, Format::Jira, to, &place)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_question_is_for_the_open_issue_of_the_incident() {
        let to = "https://x.example/jira/rest/api/3/issue/".parse().unwrap();
        let message = message(&to, "O\"PS");
        assert_eq!(message.protocol, Protocol::Jira);
        let (at, question) = search(&message, &to).unwrap();
        assert_eq!(at.whole(), "https://x.example/jira/rest/api/3/search/jql");
        let question: Value = serde_json::from_str(&question).unwrap();
        let identity = Incident::of(&incident().report()).identity();
        assert_eq!(
            question["jql"],
            format!(
                "project = \"O\\\"PS\" AND labels = \"{identity}\" AND statusCategory != Done ORDER BY created DESC"
            )
        );
    }

    #[test]
    fn another_address_is_refused_with_what_it_should_be() {
        let to = "https://x.example/issues".parse().unwrap();
        let why = search(&message(&to, "OPS"), &to).unwrap_err().to_string();
        assert!(why.contains("/rest/api/3/issue"), "{why}");
    }

    #[test]
    fn an_update_leaves_place_and_labels_alone() {
        let to = "https://x.example/rest/api/3/issue".parse().unwrap();
        let update: Value = serde_json::from_str(&update(&message(&to, "OPS")).unwrap()).unwrap();
        let fields: Vec<&String> = update["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["description", "summary"]);
    }
}
