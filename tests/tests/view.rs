//! What is shown of a report, and what the exit status says, as a user meets it: on a capture of a real kernel.

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A capture of a kernel 6.12: a pod that reads nothing fills TCP memory, and others suffer.
fn replay(words: &str) -> Output {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/leak-6.12.ndjson.zst");
    let mut command = Command::new(common::tcpress());
    command.arg("replay").arg(capture);
    command.args(words.split_ascii_whitespace());
    command.output().expect("tcpress can be started")
}

fn text(words: &str) -> String {
    let output = replay(words);
    assert_eq!(output.status.code(), Some(0), "{words}");
    String::from_utf8(output.stdout).unwrap()
}

fn report(words: &str) -> Value {
    serde_json::from_str(&text(&format!("{words} -o json"))).unwrap()
}

fn names(report: &Value, list: &str) -> Vec<String> {
    let owners = report[list].as_array().unwrap();
    let name = |it: &Value| it["owner"]["name"].as_str().unwrap().to_owned();
    owners.iter().map(name).collect()
}

#[test]
fn a_filter_hides_lines_and_no_culprit() {
    let whole = report("");
    assert_eq!(whole["narrowed"], Value::Null);
    let culprits = names(&whole, "culprits");
    let suffering = names(&whole, "victims");
    // The pod that nobody has heard of leaves out everybody but the culprit.
    let shown = report("-p nobody/nothing");
    assert_eq!(names(&shown, "victims"), Vec::<String>::new());
    assert_eq!(names(&shown, "culprits"), culprits);
    assert!(!culprits.is_empty() && !suffering.is_empty());
    for whole_part in [
        "verdict",
        "reconciliation",
        "attribution",
        "tcp_memory",
        "losses",
        "window",
        "node",
        "plan",
    ] {
        assert_eq!(shown[whole_part], whole[whole_part], "{whole_part}");
    }
    assert_eq!(shown["narrowed"]["filters"][0], "pod=nobody/nothing");
    assert_eq!(shown["narrowed"]["victims"], suffering.len());
    assert_eq!(shown["evidence"], Value::Array(Vec::new()));
    let table = text("-p nobody/nothing");
    assert!(table.contains("shown     only pod="), "{table}");
    assert!(table.contains(&culprits[0]), "{table}");
    // And one that is there is all that is shown.
    let one = report(&format!("-p {}", suffering[0]));
    assert_eq!(names(&one, "victims"), suffering[..1]);
    assert_eq!(one["victims"][0], whole["victims"][0]);
}

#[test]
fn the_exit_status_tells_of_a_finding_only_where_asked() {
    assert_eq!(replay("").status.code(), Some(0));
    assert_eq!(replay("--exit-code").status.code(), Some(3));
    // Whatever is shown of it.
    let nobody = replay("--exit-code -n nobody -o ndjson");
    assert_eq!(nobody.status.code(), Some(3));
    let line = String::from_utf8(nobody.stdout).unwrap();
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let ordinary = text("");
    assert!(!ordinary.contains('\u{1b}'));
    assert_eq!(text("--color never"), ordinary);
    assert_eq!(text("--color auto"), ordinary, "a pipe is no terminal");
    assert!(text("--color always").contains("\u{1b}[1mVICTIMS"));
    let bare = text("--no-headers");
    assert!(!bare.contains("  OWNER ") && ordinary.contains("  OWNER "));
    assert!(text("-o wide").contains("WINDOW 0"));
}

/// The window of a report, its begin and its end.
fn window(line: &str) -> [String; 2] {
    let report: Value = serde_json::from_str(line).expect(line);
    ["start", "end"].map(|it| report["window"][it].as_str().unwrap().to_owned())
}

#[test]
fn windows_make_a_stream_until_told_to_stop() {
    let words = "report --no-bpf --interval 100ms -o ndjson -q --cri-socket none";
    let mut running = Command::new(common::tcpress())
        .args(words.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpress can be started");
    let stdout = BufReader::new(running.stdout.take().unwrap());
    let mut windows = Vec::new();
    for line in stdout.lines() {
        windows.push(window(&line.unwrap()));
        if windows.len() == 3 {
            let pid = running.id().to_string();
            let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
            assert!(told.success());
        }
    }
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(said, "", "-q says nothing");
    // The one that was open when it was told to stop is printed as well.
    assert!(windows.len() > 3, "{windows:?}");
    for pair in windows.windows(2) {
        assert_eq!(pair[0][1], pair[1][0], "no gap between windows");
    }
}

#[test]
fn how_much_is_said_on_stderr() {
    let said = |words: &str| {
        let mut command = Command::new(common::tcpress());
        command.args("report --no-bpf -d 0 --cri-socket none -o ndjson".split(' '));
        command.args(words.split_ascii_whitespace());
        let output = command.output().expect("tcpress can be started");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("-v").contains("read at the start: "));
    assert!(!said("").contains("read at the start: "));
    assert_eq!(said("--quiet"), "");
}

#[test]
fn a_redacted_report_names_nobody() {
    let whole = report("");
    let shown = report("--redact");
    let names = names(&whole, "holders");
    assert!(!names.is_empty());
    for shape in [
        "table",
        "wide",
        "json",
        "ndjson",
        "markdown",
        "jira",
        "pagerduty",
    ] {
        let text = text(&format!("--redact -o {shape}"));
        for name in &names {
            assert!(!text.contains(name), "{name} in {shape}");
        }
        let node = whole["node"]["host.name"].as_str().unwrap();
        assert!(!text.contains(node), "{node} in {shape}");
    }
    for figures in ["reconciliation", "window", "plan"] {
        assert_eq!(shown[figures], whole[figures]);
    }
    // A filter takes the true name, and a part has the pseudonyms of the whole.
    let one = report(&format!("--redact -p {}", names[0]));
    assert_eq!(one["holders"][0], shown["holders"][0]);
    assert_eq!(one["verdict"], shown["verdict"]);
}
