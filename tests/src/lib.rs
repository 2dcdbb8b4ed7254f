//! The lab: recipes that provoke what tcpress measures, pods to run them in, and scenarios that compare
//! what tcpress reports with what the kernel itself counted. tcpress is started as a program and its JSON is
//! read; only what breaks its probes on purpose, or says what it looks up in a kernel, knows it from inside.

pub mod agent;
pub mod bench;
pub mod bpf;
pub mod btf;
pub mod cgroup;
pub mod check;
pub mod churn;
pub mod cri;
pub mod demo;
pub mod e2e;
pub mod go;
pub mod matrix;
pub mod netns;
pub mod network;
pub mod owners_map;
pub mod pod;
pub mod process;
pub mod recipe;
pub mod report;
pub mod scenario;
pub mod snmp;
pub mod sockstat;
pub mod stopwatch;
pub mod sys;
pub mod tcpress;
pub mod terminal;

/// Says that a test skips itself, and why: past cargo, which keeps what a passing test prints to itself. `xtask test` counts these lines.
pub fn skip(why: &str) {
    use std::io::Write as _;
    // Whoever reads them may be gone; that is no reason to fail.
    let _ = writeln!(std::io::stdout(), "SKIP: {why}");
}
