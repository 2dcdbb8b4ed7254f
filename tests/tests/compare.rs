//! An earlier report to compare with, as a user without rights meets it.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A folder of this test.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tcpress-compare-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

fn report(arguments: &[&str]) -> Output {
    Command::new(common::tcpress())
        .args(["report", "--output", "json"])
        .args(arguments)
        .output()
        .expect("tcpress can be started")
}

/// It fails, and says why in words that hold these.
fn refused(file: &Path, words: &str) {
    let output = report(&["--no-bpf", "--compare", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_report_is_compared_with_an_earlier_one() {
    let folder = folder("earlier");
    let file = folder.join("before.json");
    let path = file.to_str().unwrap();
    let first = report(&["--no-bpf", "--duration", "200ms", "--out", path]);
    assert_eq!(first.status.code(), Some(0));
    let second = report(&["--no-bpf", "--duration", "200ms", "--compare", path]);
    let report: Value = serde_json::from_slice(&second.stdout).unwrap();
    let before: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(before["recovery"], Value::Null);
    assert_eq!(report["recovery"]["since"], before["window"]["end"]);
    assert_eq!(report["recovery"]["kind"], before["verdict"]["kind"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    let folder = folder("bad");
    refused(&folder.join("none.json"), "cannot read");
    let file = folder.join("bad.json");
    for (text, words) in [
        ("", "is no report"),
        ("{}", "is no report"),
        ("\u{1b}[2J", "is no report"),
        (
            r#"{"schema":"tcpress.report/v9","tcpress":"9","window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:10Z","duration_ns":1},"node":{},"verdict":{}}"#,
            "a document of tcpress.report/v9",
        ),
    ] {
        fs::write(&file, text).unwrap();
        refused(&file, words);
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    refused(&file, "cannot read");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_snapshot_cannot_be_followed() {
    let output = report(&["--until-recovered", "--duration", "0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("give a --duration above 0"), "{said}");
}
