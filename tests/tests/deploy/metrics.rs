//! Metrics that rules, dashboard and documents name are those that the agent has.

use std::collections::BTreeSet;

use super::{document, read, text, workspace};

/// The agent's metrics, where docs/metrics.md does not tell them.
const NAMES: [&str; 48] = [
    "tcpress_refusals_total",
    "tcpress_prunes_total",
    "tcpress_collapsed_skbs_total",
    "tcpress_rcv_pruned_total",
    "tcpress_ofo_prunes_total",
    "tcpress_ofo_pruned_bytes_total",
    "tcpress_forced_admissions_total",
    "tcpress_zero_window_drops_total",
    "tcpress_backlog_drops_total",
    "tcpress_aborts_on_memory_total",
    "tcpress_listen_drops_total",
    "tcpress_stall_seconds",
    "tcpress_held_bytes",
    "tcpress_unread_bytes",
    "tcpress_sockets",
    "tcpress_orphan_sockets",
    "tcpress_not_accepted_sockets",
    "tcpress_tcp_mem_bytes",
    "tcpress_tcp_mem_limit_bytes",
    "tcpress_tcp_memory_pressure",
    "tcpress_tcp_sockets",
    "tcpress_snmp_total",
    "tcpress_attributed_total",
    "tcpress_residual",
    "tcpress_residual_bound",
    "tcpress_lost_total",
    "tcpress_map_entries",
    "tcpress_map_max_entries",
    "tcpress_attribution_misses_total",
    "tcpress_program_run_seconds_total",
    "tcpress_program_runs_total",
    "tcpress_scan_seconds",
    "tcpress_scan_age_seconds",
    "tcpress_scan_interval_seconds",
    "tcpress_agent_cpu_seconds_total",
    "tcpress_agent_resident_bytes",
    "tcpress_agent_open_files",
    "tcpress_bounds_hit_total",
    "tcpress_series",
    "tcpress_series_budget",
    "tcpress_incidents_total",
    "tcpress_incident_open",
    "tcpress_recorder_oldest_timestamp_seconds",
    "tcpress_exports_total",
    "tcpress_attached",
    "tcpress_detached_info",
    "tcpress_build_info",
    "tcpress_start_time_seconds",
];

/// What the samples of a histogram are called besides.
const OF_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Words that are names of metrics of ours, and of series that rules record (`level:metric:operation`).
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c: char| !word(c))
        .map(|it| it.trim_matches(':'))
        .filter(|it| it.starts_with("tcpress_") || it.contains(":tcpress_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_that_is_named_is_one_of_the_agents() {
    let page = workspace().join("docs/metrics.md");
    let mut known: BTreeSet<String> = if page.exists() {
        named(&read(&page))
    } else {
        NAMES.iter().map(|&name| name.to_owned()).collect()
    };
    let rules = document("prometheus/tcpress.rules.yaml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let all = groups.flat_map(|group| group["rules"].as_array().unwrap());
    known.extend(all.filter_map(|rule| rule["record"].as_str().map(str::to_owned)));
    let is_known = |name: &str| {
        let of_histogram = |end: &&str| {
            let family = name.strip_suffix(*end);
            family.is_some_and(|family| known.contains(family))
        };
        known.contains(name) || OF_HISTOGRAM.iter().any(of_histogram)
    };
    for (file, words) in [
        ("rules", text("prometheus/tcpress.rules.yaml")),
        ("tests of rules", text("prometheus/tcpress.test.yaml")),
        ("dashboard", text("grafana/tcpress.json")),
        ("runbook", read(&workspace().join("docs/runbook.md"))),
        ("deploy.md", read(&workspace().join("docs/deploy.md"))),
    ] {
        let named = named(&words);
        let unknown: Vec<&String> = named.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    // The test of the test.
    assert!(!is_known("tcpress_refusal_total"));
    assert!(!is_known("tcpress_held_bytes_bucket_total"));
}
