//! One kernel, measured: every scenario with trampolines, those that count once more with kprobes, and then one file with what was
//! seen of each counter. Beside it lie the kernel's symbols and types as far as tests need them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tracer::kernel::{btf::Btf, facts, layout};
use tracer_common::Layout;

use crate::btf::{self, Wanted};
use crate::report::promised;
use crate::scenario::{self, Results};
use crate::tcpress;

/// Symbols besides functions whose addresses are used.
const VARIABLES: [&str; 2] = ["__per_cpu_offset", "tcp_memory_pressure"];

/// Writes `btf` and `symbols` to a folder.
pub fn types_only(out: &Path) -> Result<ExitCode> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    types(out)?;
    symbols(out)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures, and writes `seen.json`, `btf` and `symbols` to a folder; where scenarios are named, only these with the default
/// flavour, and `seen.json` only.
pub fn run(out: &Path, only: &[String]) -> Result<ExitCode> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let chosen_flavours: &[&str] = match only {
        [] => {
            types_only(out)?;
            &["fentry", "kprobe"]
        }
        _ => &["fentry"],
    };
    let kept = std::env::temp_dir().join("tcpress-lab-kept");
    let mut good = true;
    let mut flavours = Vec::new();
    let mut measured = None;
    for &flavour in chosen_flavours {
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept)?;
        let all = scenario::ALL.iter();
        let chosen: Vec<_> = all
            .filter(|it| flavour == "fentry" || (it.counts && !it.once))
            .filter(|it| only.is_empty() || only.iter().any(|name| name == it.name))
            .collect();
        let settings = tcpress::Settings {
            flavour: Some(flavour.to_owned()),
            keep: Some(kept.clone()),
        };
        let results = scenario::run_each(&chosen, &settings)?;
        good &= results.failed.is_empty();
        let reports = read(&kept)?;
        let first = reports
            .first()
            .and_then(|it| it["window"]["start"].as_str());
        measured = measured.or(first.and_then(|it| it.get(..10)).map(str::to_owned));
        flavours.push(seen(flavour, &reports, &results));
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let seen = json!({
        "release": release.trim(),
        "measured": measured,
        "flavours": flavours,
    });
    let text = serde_json::to_string_pretty(&seen)? + "\n";
    fs::write(out.join("seen.json"), text).context("cannot write seen.json")?;
    Ok(ExitCode::from(u8::from(!good)))
}

/// The reports that were kept.
fn read(folder: &Path) -> Result<Vec<Value>> {
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder)? {
        let report: Value = serde_json::from_slice(&fs::read(entry?.path())?)?;
        // Without kernel programs nothing is counted by us.
        if report["plan"]["impossible"].is_null() {
            reports.push(report);
        }
    }
    Ok(reports)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What the reports of one flavour say of each counter, summed.
fn seen(flavour: &str, reports: &[Value], results: &Results) -> Value {
    let mut counters: BTreeMap<String, Value> = BTreeMap::new();
    for report in reports {
        for sight in list(&report["plan"]["counters"]) {
            let name = sight["counter"].as_str().unwrap_or_default();
            let counter = counters.entry(name.to_owned()).or_insert_with(|| {
                let promised = promised(sight);
                let why = sight["why"].as_str().filter(|_| promised != "exact");
                json!({"sight": promised, "why": why, "moved": 0, "worst_residual": 0})
            });
            for row in list(&report["reconciliation"]).filter(|row| row["counter"] == name) {
                let Some(residual) = row["residual"].as_i64() else {
                    continue;
                };
                // What readings at two instants may differ by is no residual.
                let bound = row["bound"].as_u64().unwrap_or(0);
                let off = residual.unsigned_abs().saturating_sub(bound);
                let number = |value: &Value| value.as_u64().unwrap_or(0);
                counter["moved"] = (number(&counter["moved"]) + number(&row["kernel"])).into();
                counter["worst_residual"] = number(&counter["worst_residual"]).max(off).into();
            }
        }
    }
    let sum = |pointer: &str| -> u64 {
        let values = reports.iter().filter_map(|report| report.pointer(pointer));
        values.filter_map(Value::as_u64).sum()
    };
    json!({
        "flavour": flavour,
        "reports": reports.len(),
        "counters": counters,
        "labels": labels(reports),
        "possible_misses": sum("/losses/possible_misses"),
        "unpaired": sum("/losses/unpaired"),
        "selfcheck": {"calls": sum("/selfcheck/calls"), "compared": sum("/selfcheck/compared")},
        "passed": results.passed,
        "failed": results.failed,
        "skipped": results.skipped,
    })
}

/// Refusals and prunes of all victims by the limit that they are laid to.
fn labels(reports: &[Value]) -> Value {
    let victims = || reports.iter().flat_map(|report| list(&report["victims"]));
    let sum = |pointer: &str| -> u64 {
        let counts = victims().filter_map(|victim| victim.pointer(pointer));
        counts.filter_map(Value::as_u64).sum()
    };
    let limit = |name: &str| json!({"refusals": sum(&format!("/refusals_by_limit/{name}")), "prunes": sum(&format!("/prunes_by_limit/{name}"))});
    let detail = |name: &str| json!({"refusals": sum(&format!("/refusals_by_detail/{name}"))});
    json!({
        "rcvbuf": limit("rcvbuf"),
        "tcp_mem": limit("tcp_mem"),
        "tcp_mem hard": detail("hard"),
        "tcp_mem fair_share": detail("fair_share"),
        "memcg": limit("memcg"),
        "memcg v2": detail("v2"),
        "memcg v1_tcpmem": detail("v1_tcpmem"),
        "unknown": limit("unknown"),
    })
}

/// The types that the plan and the layout are made from, without the rest.
fn types(out: &Path) -> Result<()> {
    let whole = fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?;
    let paths = Layout::FIELDS.iter().flat_map(|field| field.paths);
    let paths = paths
        .copied()
        .chain(Layout::BITS.iter().map(|bit| bit.path));
    let paths = paths.chain(facts::FEATURES.iter().copied());
    let tracepoints = facts::TRACEPOINTS.iter();
    let functions = facts::FUNCTIONS.iter().copied();
    let numbers = Layout::NUMBERS.iter().map(|it| it.enumerator);
    let wanted = Wanted {
        structs: paths.filter_map(|path| path.split('.').next()).collect(),
        functions: functions.chain([layout::COOKIE_HELPER]).collect(),
        typedefs: tracepoints
            .map(|name| format!("btf_trace_{name}"))
            .collect(),
        enumerators: numbers.chain([facts::MPTCP_REFUSES]).collect(),
    };
    let cut = btf::cut(&whole, &wanted)?;
    let told = |data: Vec<u8>| anyhow::Ok(facts::types(&Btf::parse(data)?));
    anyhow::ensure!(
        told(cut.clone())? == told(whole)?,
        "the types that were cut out tell something else than all of them"
    );
    fs::write(out.join("btf"), cut).context("cannot write btf")
}

/// The lines of `/proc/kallsyms` that the plan looks at, with addresses that count from the start of the kernel.
fn symbols(out: &Path) -> Result<()> {
    let all = fs::read_to_string("/proc/kallsyms").context("cannot read /proc/kallsyms")?;
    let mut text = String::new();
    let mut start = None;
    for line in all.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(symbol)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let address = u64::from_str_radix(address, 16)?;
        if symbol == "_text" {
            start = Some(address);
        }
        let stem = symbol.split('.').next().unwrap_or(symbol);
        if facts::FUNCTIONS.contains(&stem) || VARIABLES.contains(&symbol) {
            // Each boot moves the kernel to another place.
            let offset = address.wrapping_sub(start.context("no symbol _text")?);
            writeln!(text, "{offset:016x} {kind} {symbol}")?;
        }
    }
    fs::write(out.join("symbols"), text).context("cannot write symbols")
}
