//! The command as it is typed.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    common,
    folder::Folder,
    keys::Authority,
    server::{Closed, Server, status},
    work::{files, golden, plain_url, url},
};

/// `tcpress export` with no secret or proxy of ours in its environment.
fn export(arguments: &[&str]) -> Command {
    let mut command = Command::new(common::tcpress());
    command.arg("export").args(arguments);
    for name in [
        "TCPRESS_BEARER",
        "TCPRESS_BASIC",
        "TCPRESS_ROUTING_KEY",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("tcpress can be started");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_report_is_sent_and_stdout_stays_empty() {
    let folder = Folder::new();
    let authority = Authority::new();
    let server = Server::new(Some(authority.server(&["localhost"])), Vec::new());
    let ca = folder.path().join("ca.pem");
    let token = folder.path().join("token");
    fs::write(&ca, &authority.pem).expect("a file");
    fs::write(&token, "t0ken\n").expect("a file");
    let to = url(server.at, "/in");
    let golden = golden("incident");
    let (ca, token) = (ca.display().to_string(), token.display().to_string());
    let arguments = [
        golden.as_str(),
        "--to",
        &to,
        "--format",
        "json",
        "--ca",
        &ca,
        "--bearer-file",
        &token,
    ];
    let (status, out, words) = run(export(&arguments));
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(out, "");
    assert!(words.contains("202 Accepted"), "{words}");
    assert!(
        words.contains(&format!("1 certificates of {ca}")),
        "whom it trusts: {words}"
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), "Bearer t0ken");
    let sent: Value = serde_json::from_str(&seen[0].body).expect("JSON");
    let report: Value =
        serde_json::from_slice(&fs::read(&golden).expect("a report")).expect("JSON");
    assert_eq!(sent, report);

    // The same authority as that of the system.
    let mut command = export(&arguments[..5]);
    command.env("SSL_CERT_FILE", &ca);
    let (status, _, words) = run(command);
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(server.seen().len(), 2);
    assert_eq!(server.seen()[0].key(), server.seen()[1].key());
}

#[test]
fn a_dry_run_shows_all_but_secrets_and_sends_nothing() {
    let closed = Closed::new();
    let to = url(closed.at(), "/v2/enqueue?token=s3cret");
    let golden = golden("incident");
    let folder = Folder::new();
    let spool = folder.path().join("spool");
    let spool_name = spool.display().to_string();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, Authority::new().pem).expect("a file");
    let ca = ca.display().to_string();
    let mut command = export(&[
        &golden,
        "--to",
        &to,
        "--format",
        "pagerduty",
        "--ca",
        &ca,
        "--spool",
        &spool_name,
        "--dry-run",
    ]);
    command
        .env("TCPRESS_ROUTING_KEY", "R0UTE")
        .env("TCPRESS_BASIC", "ann:hunter2");
    let (status, out, words) = run(command);
    assert_eq!(status, Some(0), "{words}");
    assert!(out.starts_with("POST /v2/enqueue?… HTTP/1.1\n"), "{out}");
    assert!(out.contains("Authorization: Basic ***\n"), "{out}");
    assert!(out.contains("\"routing_key\":\"***\""), "{out}");
    let body = out.split_once("\n\n").expect("a body").1;
    let event: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(event["event_action"], "trigger");
    for secret in ["R0UTE", "hunter2", "s3cret"] {
        assert!(
            !out.contains(secret) && !words.contains(secret),
            "{secret}: {out}{words}"
        );
    }
    assert!(!spool.exists());
}

#[test]
fn without_names_a_repeat_is_known_all_the_same() {
    let golden = golden("incident");
    let preview = |more: &[&str]| -> Value {
        let to = "https://127.0.0.1:9/v2/enqueue";
        let mut arguments = vec![golden.as_str(), "--to", to, "--format", "pagerduty"];
        arguments.push("--dry-run");
        arguments.extend(more);
        let mut command = export(&arguments);
        command.env("TCPRESS_ROUTING_KEY", "R0UTE");
        let (status, out, words) = run(command);
        assert_eq!(status, Some(0), "{words}");
        serde_json::from_str(out.split_once("\n\n").expect("a body").1).expect("JSON")
    };
    let (named, nameless) = (preview(&[]), preview(&["--redact"]));
    assert_eq!(nameless["dedup_key"], named["dedup_key"]);
    let (named, nameless) = (named.to_string(), nameless.to_string());
    for name in ["shop/leaky", "cache/redis-0"] {
        assert!(named.contains(name), "{named}");
        assert!(!nameless.contains(name), "{nameless}");
    }
}

#[test]
fn what_is_wrong_with_the_command_is_told_without_secrets() {
    let golden = golden("incident");
    let report = golden.as_str();
    for arguments in [
        vec![
            report,
            "--to",
            "https://ann:hunter2@example.com/",
            "--format",
            "json",
        ],
        vec![report, "--to", "example.com/hunter2", "--format", "json"],
        vec![
            report,
            "--to",
            "https://example.com/",
            "--format",
            "nonsense",
        ],
        vec![report, "--format", "json"],
        vec![report, "--to", "https://example.com/", "--format", "jira"],
        vec![
            report,
            "--to",
            "https://example.com/",
            "--format",
            "jira",
            "--project",
            "a b",
        ],
        vec![
            report,
            "--to",
            "https://example.com/",
            "--format",
            "json",
            "--timeout",
            "0",
        ],
        vec![
            report,
            "--to",
            "https://example.com/",
            "--format",
            "json",
            "--spool-bytes",
            "1",
        ],
    ] {
        let (status, out, words) = run(export(&arguments));
        assert_eq!(status, Some(2), "{arguments:?}: {words}");
        assert_eq!(out, "");
        assert!(!words.is_empty() && !words.contains("hunter2"), "{words}");
    }
}

#[test]
fn what_cannot_be_sent_is_kept_and_exits_with_1() {
    let folder = Folder::new();
    let closed = Closed::new();
    let to = plain_url(closed.at(), "/api/v2/alerts");
    let spool = folder.path().join("spool");
    let name = spool.display().to_string();
    let golden = golden("incident");
    let arguments = [
        golden.as_str(),
        "--to",
        &to,
        "--format",
        "alertmanager",
        "--retries",
        "0",
        "--spool",
        &name,
    ];
    let (code, out, words) = run(export(&arguments));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{words}");
    assert!(
        words.contains("refused") && words.contains("1 message waits"),
        "{words}"
    );
    assert!(!words.contains("panicked"), "{words}");
    let mut proxied = export(&arguments);
    proxied.env("HTTPS_PROXY", "http://192.0.2.1:3128");
    let (code, _, words) = run(proxied);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("HTTPS_PROXY is set, but proxies are not supported"),
        "{words}"
    );

    let server = closed.open(None, vec![status(200)]);
    let (status, _, words) = run(export(&arguments));
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(server.taken().len(), 1);
    assert!(!files(&spool).iter().any(|it| it.ends_with(".json")));
    let alerts: Value = serde_json::from_str(&server.seen()[0].body).expect("JSON");
    assert_eq!(alerts[0]["labels"]["pod"], "leaky");
}

#[test]
fn nothing_is_sent_of_a_healthy_node_but_what_was_asked_for() {
    let server = Server::new(None, Vec::new());
    let golden = golden("quiet");
    let to = plain_url(server.at, "/");
    for format in ["alertmanager", "pagerduty"] {
        let (status, _, words) = run(export(&[&golden, "--to", &to, "--format", format]));
        assert_eq!(status, Some(0), "{words}");
        assert!(words.contains("nothing to send"), "{words}");
    }
    assert!(server.seen().is_empty());
    let (status, _, words) = run(export(&[&golden, "--to", &to, "--format", "json"]));
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new();
    let absent = folder.path().join("absent");
    let absent = absent.display().to_string();
    let golden = golden("incident");
    let to = "https://localhost:1/";
    for arguments in [
        vec![absent.as_str(), "--to", to, "--format", "json"],
        vec![
            golden.as_str(),
            "--to",
            to,
            "--format",
            "json",
            "--ca",
            &absent,
        ],
        vec![
            golden.as_str(),
            "--to",
            to,
            "--format",
            "json",
            "--bearer-file",
            &absent,
        ],
    ] {
        let (status, _, words) = run(export(&arguments));
        assert_eq!(status, Some(1), "{words}");
        assert!(words.contains(&absent), "{words}");
    }
    // Nobody can make a folder there, not even root.
    let arguments = [
        golden.as_str(),
        "--to",
        "http://192.0.2.1/",
        "--format",
        "json",
        "--spool",
        "/proc/spool",
    ];
    let (status, _, words) = run(export(&arguments));
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains("/proc/spool"), "{words}");
}
