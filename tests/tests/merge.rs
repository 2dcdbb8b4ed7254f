//! Many reports joined by the program, and captures replayed, as a user without rights meets it.

mod common;

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use serde_json::{Value, json};

/// A capture of a kernel 6.12: a pod that reads nothing fills TCP memory, and 1,599 segments are refused.
fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/leak-6.12.ndjson.zst")
}

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(common::tcpress());
    command
        .args(words)
        .output()
        .expect("tcpress can be started")
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A folder of this test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tcpress-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn replayed() -> Value {
    let output = run(&["replay", capture().to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    json(&output)
}

/// Reports of nodes of their own, each with more refusals than the one before.
fn synthetic(folder: &Folder, count: u64) -> (Vec<String>, u64) {
    let mut report = replayed();
    // Single failures are joined with nothing; without them the test is done sooner.
    report["evidence"] = json!([]);
    let mut sum = 0;
    let files = (0..count).map(|number| {
        report["node"]["k8s.node.name"] = json!(format!("node-{number}"));
        report["victims"][0]["refusals"] = json!({"rcv": number, "ofo": 1, "send_rcvq": 0});
        sum += number + 1;
        folder.file(&format!("{number}.json"), report.to_string().as_bytes())
    });
    let files = files.collect();
    (files, sum)
}

#[test]
fn a_capture_of_a_real_kernel_gives_its_report_anywhere() {
    let report = replayed();
    assert_eq!(report["verdict"]["kind"], "tcp_mem_leak");
    assert_eq!(report["culprits"][0]["owner"]["k8s.pod.name"], "leaky");
    let refused = |limit: &str| report["victims"][0]["refusals_by_limit"][limit].as_u64();
    assert_eq!(
        (refused("tcp_mem"), refused("memcg")),
        (Some(1599), Some(0))
    );
    let rows = report["reconciliation"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["residual"] == 0));
}

#[test]
fn a_capture_that_was_cut_is_replayed_as_far_as_it_goes() {
    let folder = Folder::new("cut");
    let whole = fs::read(capture()).unwrap();
    let file = folder.file("cut.zst", &whole[..whole.len() / 2]);
    let output = run(&["replay", &file, "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let summary = json(&output)["verdict"]["summary"].to_string();
    assert!(summary.contains("damaged capture"), "{summary}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is damaged"));
    let none = run(&["replay", "/nonexistent"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(none.stdout.is_empty());
}

#[test]
fn three_reports_are_their_sums_and_what_cannot_be_read_is_told() {
    let folder = Folder::new("three");
    let (mut files, sum) = synthetic(&folder, 3);
    let bad = folder.file("bad.json", b"{\"schema\":\"other/v1\"}");
    files.push(bad.clone());
    let mut words = vec!["merge", "-o", "json"];
    words.extend(files.iter().map(String::as_str));
    let output = run(&words);
    assert_eq!(output.status.code(), Some(1), "one could not be read");
    let merged = json(&output);
    assert_eq!(merged["reports"], 3);
    assert_eq!(merged["affected"], 3);
    assert_eq!(merged["refusals"], sum);
    assert_eq!(merged["nodes"][0]["node"], "node-2", "the worst first");
    assert_eq!(merged["culprits"][0]["nodes"].as_array().unwrap().len(), 3);
    let gaps = merged["gaps"].to_string();
    assert!(gaps.contains("bad.json"), "{gaps}");
    // A capture is joined like the report of it.
    let capture = capture();
    let output = run(&["merge", "-o", "json", capture.to_str().unwrap()]);
    assert_eq!(json(&output)["refusals"], 1599);
}

/// A thousand reports need hardly more memory than ten: each is let go before the next is read.
#[test]
fn a_thousand_reports_need_no_more_memory_than_a_few() {
    let folder = Folder::new("thousand");
    let (files, sum) = synthetic(&folder, 1_000);
    let (few, ten) = measured(&files[..10]);
    assert_eq!(few["reports"], 10);
    let (all, thousand) = measured(&files);
    assert_eq!(all["reports"], 1_000);
    assert_eq!(all["refusals"], sum);
    let bytes: u64 = files.iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    println!(
        "merge: 10 reports took {ten} KiB, 1,000 ({} KiB) took {thousand} KiB",
        bytes >> 10
    );
    assert!(thousand < ten + 16 * 1024, "{ten} KiB, then {thousand} KiB");
}

/// What joined reports say, and the most memory that it took, in KiB.
#[allow(
    clippy::zombie_processes,
    reason = "wait4 waits for it, and tells what it took"
)]
fn measured(files: &[String]) -> (Value, i64) {
    let mut command = Command::new(common::tcpress());
    command.args(["merge", "-o", "json"]).args(files);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let merged: Value = serde_json::from_reader(child.stdout.take().unwrap()).unwrap();
    let mut status = 0;
    // SAFETY: rusage is plain data; all zeroes is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: the pointers are to locals that outlive the call.
    let got = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    assert_eq!(got, pid);
    assert!(ExitStatus::from_raw(status).success());
    (merged, usage.ru_maxrss)
}

#[test]
fn joined_reports_can_be_redacted_in_the_same_words() {
    let folder = Folder::new("redacted");
    let whole = replayed();
    let first = folder.file("node-a.json", whole.to_string().as_bytes());
    let mut other = whole.clone();
    other["node"]["host.name"] = json!("another-node");
    let second = folder.file("node-b.json", other.to_string().as_bytes());
    let missing = folder.0.join("node-c.json");
    let output = run(&[
        "merge",
        "--redact",
        "-o",
        "json",
        &first,
        &second,
        missing.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let culprit = whole["culprits"][0]["owner"]["name"].as_str().unwrap();
    for name in ["node-a", "node-b", "node-c", "another-node", culprit] {
        assert!(!text.contains(name), "{name}");
    }
    let merged = json(&output);
    // The same pod on both.
    assert_eq!(merged["culprits"].as_array().unwrap().len(), 1);
    assert_eq!(merged["culprits"][0]["nodes"].as_array().unwrap().len(), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("node-c.json"));
}
