//! A Jira that knows no idempotency keys: issues with labels, a search, an update. One incident has one open issue.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracer::{
    export::{Remedy, Sender},
    output::Format,
};

use crate::{
    server::{Deed, Seen, Server, status},
    work::{LONG, message, plain_url, policy, sender},
};

const ISSUES: &str = "/rest/api/3/issue";

/// Issues, as their fields.
type Issues = Arc<Mutex<Vec<Value>>>;

fn say(code: u16, body: &Value) -> Deed {
    Deed::Say(
        code,
        vec![("content-type", "application/json".to_owned())],
        body.to_string(),
    )
}

/// What Jira does with a request, by its documentation.
fn jira(issues: &Issues, seen: &Seen) -> Deed {
    let mut issues = issues.lock().expect("issues");
    let body: Value = serde_json::from_str(&seen.body).expect("JSON");
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/rest/api/3/search/jql") => {
            let jql = body["jql"].as_str().expect("JQL");
            let open = |issue: &&Value| {
                let mut labels = issue["labels"].as_array().expect("labels").iter();
                let labelled = labels.any(|label| jql.contains(&format!("labels = {label}")));
                labelled && jql.contains("project = \"OPS\"") && issue["done"] != json!(true)
            };
            let found: Vec<Value> = issues
                .iter()
                .filter(open)
                .map(|it| json!({"key": it["key"]}))
                .collect();
            say(200, &json!({"issues": found, "isLast": true}))
        }
        ("POST", ISSUES) => {
            assert_eq!(body["fields"]["project"]["key"], "OPS");
            assert_eq!(body["fields"]["issuetype"]["name"], "Bug");
            let mut issue = body["fields"].clone();
            let key = format!("OPS-{}", issues.len() + 1);
            issue["key"] = json!(key);
            issues.push(issue);
            say(201, &json!({"id": "1", "key": key, "self": "x"}))
        }
        ("PUT", path) => {
            let key = path.rsplit('/').next().expect("a key");
            let issue = issues
                .iter_mut()
                .find(|it| it["key"] == key)
                .expect("the issue");
            for (name, value) in body["fields"].as_object().expect("fields") {
                issue[name] = value.clone();
            }
            status(204)
        }
        other => panic!("no request of Jira's: {other:?}"),
    }
}

async fn deliver(sender: &Sender<'_>, server: &Server, name: &str) -> String {
    let message = message(name, Format::Jira, &plain_url(server.at, ISSUES));
    sender.deliver(&message).await.expect("an issue")
}

#[tokio::test]
async fn one_incident_has_one_open_issue() {
    let issues = Issues::default();
    let there = Arc::clone(&issues);
    let server = Server::thinking(None, move |seen| jira(&there, seen));
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    assert_eq!(
        deliver(&sender, &server, "incident").await,
        "issue OPS-1 is made"
    );
    assert_eq!(
        deliver(&sender, &server, "incident").await,
        "issue OPS-1 is updated"
    );
    // The same leak on the same node, told by counters alone: other words, the same incident.
    assert_eq!(
        deliver(&sender, &server, "no-bpf").await,
        "issue OPS-1 is updated"
    );
    assert_eq!(
        deliver(&sender, &server, "memcg").await,
        "issue OPS-2 is made"
    );
    {
        let mut issues = issues.lock().expect("issues");
        assert_eq!(issues.len(), 2);
        let summary = issues[0]["summary"].as_str().expect("a summary");
        assert!(
            summary.contains("confidence medium"),
            "the latest words: {summary}"
        );
        assert_eq!(issues[0]["labels"].as_array().expect("labels").len(), 2);
        issues[0]["done"] = json!(true);
    }
    // What comes back after it was done is another one.
    assert_eq!(
        deliver(&sender, &server, "incident").await,
        "issue OPS-3 is made"
    );
}

/// The issue is made, and the answer is lost.
#[tokio::test]
async fn an_issue_whose_making_got_no_answer_is_found_again() {
    let issues = Issues::default();
    let there = Arc::clone(&issues);
    let mut lost = false;
    let server = Server::thinking(None, move |seen| {
        let deed = jira(&there, seen);
        match seen.path == ISSUES && !std::mem::replace(&mut lost, true) {
            true => Deed::Close,
            false => deed,
        }
    });
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let told = deliver(&sender, &server, "incident").await;
    assert_eq!(issues.lock().expect("issues").len(), 1, "{told}");
}

#[tokio::test]
async fn whatever_is_no_jira_is_told() {
    let evil = say(200, &json!({"issues": [{"key": "../../admin"}]}));
    for deed in [status(200), say(200, &json!([])), evil] {
        let server = Server::new(None, vec![deed.clone(), status(201)]);
        let sender = sender(None, &[], LONG, policy(), &|_| {});
        let message = message("incident", Format::Jira, &plain_url(server.at, ISSUES));
        let why = sender.deliver(&message).await.expect_err("no Jira");
        assert_eq!(why.remedy, Remedy::Setup, "{deed:?}: {why}");
    }
}
