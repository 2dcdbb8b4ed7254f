//! Metrics that rules, dashboard and documents name are those that docs/metrics.md has, which is made from the agent's own catalogue.

use std::collections::BTreeSet;

use super::{document, read, text, workspace};

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
    let page = read(&workspace().join("docs/metrics.md"));
    // The first column of its tables.
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut known: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    assert!(known.contains("tcpress_refusals_total") && known.len() > 40);
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
