//! Golden files: what people and machines see, compared exactly.

use std::{fs, path::PathBuf};

use super::schema;
use crate::{
    output::{Format, html, json, markdown, render, table, ticket::validate},
    report::{Report, schema::Document},
};

/// Compares with golden files, every rendering; `TCPRESS_BLESS=1` writes them anew.
pub(super) fn check(name: &str, report: &Report) {
    let table = table::report(report);
    // Commands stand whole, so that they can be copied.
    let is_command = |line: &&str| line.trim_start().starts_with("$ ");
    for line in table.lines().filter(|line| !is_command(line)) {
        assert!(line.chars().count() <= 100, "wider than a page: {line}");
    }
    let json = json::pretty(report).unwrap();
    let value = serde_json::from_str(&json).unwrap();
    schema::valid(name, Document::Report, &value);
    let back: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, report, "what is written comes back");
    compare(&format!("{name}.json"), &json);
    compare(&format!("{name}.txt"), &table);
    compare(&format!("{name}.md"), &markdown::report(report));
    markdown::tests::check(report);
    compare(&format!("{name}.html"), &html::report(report));
    html::tests::check(report);
    ticket(name, report, Format::Alertmanager, validate::alertmanager);
    ticket(name, report, Format::Pagerduty, validate::pagerduty);
    ticket(name, report, Format::Jira, validate::jira);
}

/// A rendering for another system, valid by what that system publishes.
fn ticket(name: &str, report: &Report, format: Format, valid: fn(&str)) {
    let text = render(report, format).unwrap();
    valid(&text);
    let shape = format!("{format:?}").to_lowercase();
    compare(&format!("{name}.{shape}.json"), &text);
}

/// Compares with one golden file.
pub(crate) fn compare(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(file);
    if std::env::var_os("TCPRESS_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{file} differs; TCPRESS_BLESS=1 writes it anew\n--- golden\n{golden}\n+++ now\n{text}"
    );
}
