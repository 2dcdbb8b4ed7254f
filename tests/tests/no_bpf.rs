//! `report --no-bpf` outside any virtual machine, on a leak in a network namespace that the test makes itself.

mod common;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tcpress_lab::netns::{Netns, start_recipe};
use tcpress_lab::{skip, sys};

/// Connections of the leak, and bytes that nobody reads on each.
const LEAK: (u64, u64) = (50, 30_000);

#[test]
fn the_holder_of_a_leak_is_named() {
    if !sys::is_root() {
        skip("report without BPF: making a network namespace needs root");
        return;
    }
    let netns = Netns::new(None).expect("a network namespace");
    let at = "127.0.0.1:8080";
    let recipe = |words: &str| start_recipe("test", words, None, Some(&netns)).expect(words);
    let leak = recipe(&format!("leak-server --listen {at}"));
    let (connections, bytes) = LEAK;
    let client = recipe(&format!(
        "leak-client --to {at} --connections {connections} --bytes {bytes}"
    ));
    let done = client
        .done(Duration::from_secs(20))
        .expect("the bytes are sent");
    assert_eq!(done["sent_bytes"], connections * bytes);

    let output = Command::new(common::tcpress())
        .args(["report", "--no-bpf", "--duration", "0", "-o", "json"])
        .output()
        .expect("tcpress can be started");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    assert_eq!(report["schema"], "tcpress.report/v1");
    assert_eq!(report["verdict"]["evidence"], "counters");
    assert_eq!(
        report["culprits"],
        Value::Array(Vec::new()),
        "nothing was refused, so nobody is accused"
    );

    let cgroups = std::fs::read_to_string(format!("/proc/{}/cgroup", leak.pid())).expect("cgroups");
    let is_leak = |owner: &Value| {
        let path = owner["cgroup.path"].as_str().unwrap_or_default();
        owner["process.pid"] == leak.pid() || (path.len() > 1 && cgroups.contains(path))
    };
    let holders = report["holders"].as_array().expect("holders");
    let holder = holders.iter().find(|holder| is_leak(&holder["owner"]));
    let holder =
        holder.unwrap_or_else(|| panic!("the leak is not among the holders: {holders:#?}"));
    let unread = holder["unread_bytes"].as_u64().expect("a number");
    assert!(unread >= connections * bytes, "{holder:#}");
    assert!(holder["held_bytes"].as_u64() >= Some(unread), "{holder:#}");
}
