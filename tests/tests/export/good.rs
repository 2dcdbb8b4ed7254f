//! Far ends that take what they get.

use serde_json::Value;
use tracer::output::Format;

use crate::{
    keys::Authority,
    server::{Server, status},
    work::{LONG, Words, credentials, message, plain_url, policy, sender, trust, url},
};

#[tokio::test]
async fn a_report_arrives_with_its_key_and_its_credentials() {
    let authority = Authority::new();
    let server = Server::new(Some(authority.server(&["localhost"])), vec![status(200)]);
    let trust = trust(&authority.pem);
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let secrets = [("TCPRESS_BEARER", "t0ken")];
    let sender = sender(Some(&trust), &secrets, LONG, policy(), &say);
    let message = message("incident", Format::Json, &url(server.at, "/in?x=1"));
    let told = sender.deliver(&message).await.expect("it is taken");
    assert!(told.contains("200 OK"), "{told}");
    assert_eq!(words.count(), 0, "{}", words.all());

    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let seen = &seen[0];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/in?x=1")
    );
    assert_eq!(seen.body, message.body);
    assert_eq!(seen.key(), message.key);
    assert!(
        seen.header("idempotency-key").starts_with('"'),
        "a string of structured fields"
    );
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("authorization"), "Bearer t0ken");
    assert_eq!(
        seen.header("host"),
        format!("localhost:{}", server.at.port())
    );
}

#[tokio::test]
async fn a_repeat_has_the_same_key() {
    let server = Server::new(None, Vec::new());
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    for format in [
        Format::Alertmanager,
        Format::Json,
        Format::Alertmanager,
        Format::Table,
    ] {
        let message = message("incident", format, &plain_url(server.at, "/"));
        sender.deliver(&message).await.expect("it is taken");
    }
    assert_eq!(server.seen().len(), 4);
    let taken = server.taken();
    let types: Vec<&str> = taken.iter().map(|it| it.header("content-type")).collect();
    assert_eq!(
        types,
        [
            "application/json",
            "application/json",
            "text/plain; charset=utf-8"
        ]
    );
}

/// The routing key is in the event, and in nothing else.
#[tokio::test]
async fn pagerduty_gets_its_key() {
    let authority = Authority::new();
    let server = Server::new(Some(authority.server(&["localhost"])), Vec::new());
    let trust = trust(&authority.pem);
    let secrets = [("TCPRESS_ROUTING_KEY", "R0UTE")];
    let sender = sender(Some(&trust), &secrets, LONG, policy(), &|_| {});
    let message = message(
        "incident",
        Format::Pagerduty,
        &url(server.at, "/v2/enqueue"),
    );
    assert!(!message.body.contains("R0UTE"));
    let told = sender.deliver(&message).await.expect("it is taken");
    assert!(!told.contains("R0UTE"), "{told}");
    let seen = &server.seen()[0];
    let mut event: Value = serde_json::from_str(&seen.body).expect("JSON");
    assert_eq!(event["routing_key"], "R0UTE");
    assert!(
        event["dedup_key"]
            .as_str()
            .is_some_and(|key| key.starts_with("tcpress-"))
    );
    event
        .as_object_mut()
        .expect("an object")
        .remove("routing_key");
    let rendered: Value = serde_json::from_str(&message.body).expect("JSON");
    assert_eq!(event, rendered);
    assert_eq!(seen.header("authorization"), "");

    let preview = sender.preview(&message).expect("a preview");
    assert!(preview.contains("\"routing_key\":\"***\""), "{preview}");
    assert!(!preview.contains("R0UTE"), "{preview}");
}

#[tokio::test]
async fn an_address_by_number_is_trusted_by_number() {
    let authority = Authority::new();
    let server = Server::new(Some(authority.server(&["127.0.0.1"])), Vec::new());
    let trust = trust(&authority.pem);
    let sender = sender(Some(&trust), &[], LONG, policy(), &|_| {});
    let to = format!("https://{}/", server.at);
    let message = message("incident", Format::Json, &to);
    sender.deliver(&message).await.expect("it is taken");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn secrets_go_nowhere_in_the_clear() {
    let server = Server::new(None, Vec::new());
    let secrets = [("TCPRESS_BASIC", "ann:hunter2")];
    assert!(!credentials(&secrets).is_empty());
    let sender = sender(None, &secrets, LONG, policy(), &|_| {});
    let message = message("incident", Format::Json, &plain_url(server.at, "/"));
    let why = sender
        .deliver(&message)
        .await
        .expect_err("not in the clear");
    assert!(why.words.contains("https"), "{why}");
    assert!(sender.preview(&message).is_err());
    assert!(server.seen().is_empty());
}
