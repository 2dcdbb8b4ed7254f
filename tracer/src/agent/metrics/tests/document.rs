//! docs/metrics.md: written by hand around tables that are made from the catalogue.

use std::fmt::Write as _;

use crate::{
    agent::{
        ledger::{MAX_REMEMBERED, OwnerLabels, Share, VALUE_MAX},
        metrics::catalogue::{self, Kind, Scope},
    },
    report::tests::golden,
};

const TEMPLATE: &str = include_str!("document.md");

fn table(scopes: &[Scope]) -> String {
    let mut table =
        String::from("| metric | type | labels | series | meaning |\n|---|---|---|---|---|\n");
    for metric in catalogue::all().filter(|metric| scopes.contains(&metric.scope)) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let own = metric.labels.iter().map(|name| format!("`{name}`"));
        let labels: Vec<_> = own.collect();
        let name = metric.name();
        let (labels, most, help) = (labels.join(", "), metric.most, metric.help);
        let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {most} | {help} |");
    }
    table
}

/// The page, with every figure from the code.
fn document() -> String {
    let share = Share::of(10_000);
    let [counters, gauges, node, agent] = Scope::ALL.map(catalogue::most);
    let mut document = TEMPLATE.to_owned();
    let owners = OwnerLabels::NAMES
        .map(|name| format!("`{name}`"))
        .join(", ");
    let replacements = [
        ("OWNER_LABELS", owners),
        ("OWNER_COUNTERS", table(&[Scope::OwnerCounter])),
        ("OWNER_GAUGES", table(&[Scope::OwnerGauge])),
        ("NODE", table(&[Scope::Node])),
        ("AGENT", table(&[Scope::Agent])),
        ("VALUE_MAX", VALUE_MAX.to_string()),
        ("MAX_REMEMBERED", MAX_REMEMBERED.to_string()),
        ("COUNTER_MOST", counters.to_string()),
        ("GAUGE_MOST", gauges.to_string()),
        ("FIXED", (node + agent).to_string()),
        (
            "REST",
            (10_000 - node - agent - counters - gauges).to_string(),
        ),
        (
            "HALF",
            ((10_000 - node - agent - counters - gauges) / 2).to_string(),
        ),
        ("SHARE_OWNERS", share.owners.to_string()),
        ("SHARE_HELD", share.held.to_string()),
        ("LEAST", Share::least().to_string()),
    ];
    for (name, text) in replacements {
        let place = format!("{{{{{name}}}}}");
        assert!(document.contains(&place), "{place}");
        document = document.replace(&place, text.trim_end());
    }
    assert!(!document.contains("{{"), "a place that nothing fills");
    document
}

#[test]
fn the_published_page_is_that_of_the_catalogue() {
    golden::compare("../../docs/metrics.md", &document());
}

/// Every metric that the page speaks of is in the catalogue.
#[test]
fn words_of_the_page_name_metrics_that_there_are() {
    let mut names: Vec<_> = catalogue::all().map(catalogue::Metric::name).collect();
    names.extend(["sum", "count", "bucket"].map(|part| format!("tcpress_stall_seconds_{part}")));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = TEMPLATE.split(|c| !is_part(c));
    let mut found = 0;
    for word in words.filter(|word| word.starts_with("tcpress_")) {
        assert!(names.iter().any(|name| name == word), "{word}");
        found += 1;
    }
    assert!(found > 10, "{found}");
}
