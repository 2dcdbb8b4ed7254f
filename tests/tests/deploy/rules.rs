//! The rules, by Prometheus' own tool.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use super::{deploy, document, tools};

/// Each alert with the rule.
pub(crate) fn alerts() -> Vec<(String, Value)> {
    let rules = document("prometheus/tcpress.rules.yaml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let all = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
    all.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule)))
        .collect()
}

fn promtool(test: &str, words: &[&str], file: &str) {
    let Some(promtool) = tools::find(test, "promtool") else {
        return;
    };
    let mut command = Command::new(promtool);
    let (good, said) = tools::run(command.args(words).arg(deploy(file)));
    assert!(good, "{said}");
}

#[test]
fn promtool_takes_the_rules() {
    let words = ["check", "rules", "--lint=all", "--lint-fatal"];
    promtool(
        "promtool takes the rules",
        &words,
        "prometheus/tcpress.rules.yaml",
    );
}

#[test]
fn promtool_takes_the_scrape_configuration() {
    let test = "promtool takes the scrape configuration";
    promtool(test, &["check", "config"], "prometheus/scrape.yaml");
}

#[test]
fn alerts_fire_and_stay_silent_as_promtool_sees_it() {
    let test = "alerts fire and stay silent";
    promtool(test, &["test", "rules"], "prometheus/tcpress.test.yaml");
}

#[test]
fn each_alert_is_seen_firing_and_silent() {
    let tests = document("prometheus/tcpress.test.yaml");
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let name = case["alertname"].as_str().unwrap().to_owned();
            let none = case["exp_alerts"].as_array().unwrap().is_empty();
            if none { &mut silent } else { &mut firing }.insert(name);
        }
    }
    let all: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    assert!(all.len() >= 7);
    assert_eq!(firing, all, "seen firing");
    assert_eq!(silent, all, "seen silent");
}

#[test]
fn each_alert_says_how_bad_what_and_what_to_do() {
    for (name, rule) in alerts() {
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        for annotation in ["summary", "description"] {
            let words = rule["annotations"][annotation].as_str();
            assert!(words.is_some_and(|it| !it.is_empty()), "{name}");
        }
        let link = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link, "{name}");
    }
}
