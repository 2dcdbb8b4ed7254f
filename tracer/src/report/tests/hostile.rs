//! Names chosen to break what they are shown in, or to steer it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use clap::ValueEnum as _;
use serde_json::Value;

use super::{fixture, fixture::LEAKY, golden, incident, schema};
use crate::{
    attribute::{ContainerFacts, PodFacts, contact::Contact},
    output::{
        Format, events, html, json, markdown, render, table, text::is_hostile, ticket::validate,
    },
    report::{Report, schema::Document},
};

/// One trick each.
pub(crate) const EVILS: [&str; 22] = [
    EVIL,
    "\r\n\r\n# all is well\n- [x] done\n",
    "</details>\n\n```\n````\n~~~\n</code></pre></td></tr></table>",
    "**a** _b_ ~~c~~ [d](javascript:alert(1)) ![e](http://evil.example/pixel) <http://evil.example> [^1]: f",
    "| a | b |\\| c \\\\| d\n|---|---|",
    "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;&#x3c;&amp;",
    "\"><svg onload=alert(1)>' onmouseover='alert(1)",
    "--></style></script></title></svg></textarea>]]><![CDATA[<!--",
    "@team/oncall #1 !2 ~3 $4 %5 ^alert#6 GH-7 OPS-8 owner/name#9 deadbeefdeadbeef :smile: www.evil.example a@evil.example",
    "/close",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "\t@SUM(1)",
    "{code}h1. a{code} {{b}} [~admin] ||c|| !d!",
    "$(reboot) `reboot` ; reboot # ${IFS}",
    "lost \u{fffd}\u{fffd} bytes",
    "\u{202e}drawkcab\u{202c}\u{2066}\u{200f}\u{061c}",
    "zero\u{200b}width\u{feff}\u{2028}\u{2029}\u{ad}",
    "`",
    "``` `` `",
    "",
];

/// The report with every string in it replaced that may be any: what must be one of some words, or a time, stays.
pub(crate) fn poisoned(report: &Report, evil: &str) -> Report {
    let mut value = serde_json::to_value(report).unwrap();
    let mut leaves = Vec::new();
    strings(&value, String::new(), &mut leaves);
    assert!(leaves.len() > 100, "{}", leaves.len());
    // By the names on the way to a string, whether it may be any.
    static FREE: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut free = FREE.lock().unwrap();
    for leaf in leaves {
        let names = leaf
            .split('/')
            .filter(|name| name.parse::<usize>().is_err());
        let names = names.collect::<Vec<_>>().join("/");
        if free.get(&names) == Some(&false) {
            continue;
        }
        let place = value.pointer_mut(&leaf).unwrap();
        let was = std::mem::replace(place, Value::from(evil));
        let takes = || serde_json::from_value::<Report>(value.clone()).is_ok();
        if !*free.entry(names).or_insert_with(takes) {
            *value.pointer_mut(&leaf).unwrap() = was;
        }
    }
    Report {
        // The name of the document is not for anybody to choose.
        schema: report.schema.clone(),
        ..serde_json::from_value(value).unwrap()
    }
}

/// Where the strings of a document are (RFC 6901).
fn strings(value: &Value, path: String, found: &mut Vec<String>) {
    let step = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::String(_) => found.push(path),
        Value::Array(all) => {
            for (at, inner) in all.iter().enumerate() {
                strings(inner, step(&at.to_string()), found);
            }
        }
        Value::Object(all) => {
            for (key, inner) in all {
                strings(inner, step(key), found);
            }
        }
        _ => {}
    }
}

const EVIL: &str = "x\x1b[2J\x1b]0;owned\x07\r\nVERDICT: all is well\u{202e}\u{9b}31m\u{200b}";

#[test]
fn no_rendering_is_steered_by_a_name() {
    let mut node = incident::incident();
    let leaky = node.owners.get_mut(&LEAKY).unwrap();
    leaky.namespace = Some(EVIL.into());
    leaky.pod = Some("y".repeat(5_000));
    leaky.about_pod = Some(Arc::new(PodFacts {
        contact: vec![Contact {
            key: "team".into(),
            value: EVIL.into(),
        }],
        ..PodFacts::default()
    }));
    leaky.about_container = Some(Arc::new(ContainerFacts {
        name: Some(EVIL.into()),
        image: Some(EVIL.into()),
    }));
    node.runtimes = vec![EVIL.into()];
    node.node.host_name = EVIL.into();
    node.node.k8s_node_name = None;
    node.gaps = vec![EVIL.into()];
    node.plan.notes = vec![EVIL.into()];
    let mut event = node.events[0];
    event.owner = fixture::key(LEAKY);
    node.events.push(event);
    let report = node.report();
    golden::check("hostile", &report);

    let json = json::pretty(&report).unwrap();
    let table = table::report(&report);
    for rendering in [&json, &table, &table::one_line(&report)] {
        let bad = rendering.chars().find(|c| *c != '\n' && is_hostile(*c));
        assert_eq!(bad, None);
    }
    assert_eq!(
        table
            .lines()
            .filter(|line| line.starts_with("VERDICT"))
            .count(),
        1
    );
    assert!(!table::one_line(&report).contains('\n'));

    // The summary is prose for tickets, so it is safe by itself; the owner keeps the true name.
    assert!(!report.verdict.summary.chars().any(is_hostile));
    let back: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(
        back.culprits[0].holder.owner.k8s_namespace_name.as_deref(),
        Some(EVIL)
    );

    for event in &report.evidence {
        let line = events::table_line(event);
        assert!(!line.chars().any(is_hostile), "{line}");
        let line = events::ndjson_line(event).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with('\n') && !line.trim_end().chars().any(is_hostile));
    }
}

#[test]
fn a_note_of_the_plan_does_not_steer_the_summary() {
    let mut node = fixture::Fixture::quiet();
    node.plan.notes = vec![EVIL.repeat(100)];
    node.tally(LEAKY, |value| {
        fixture::refuse(
            value,
            tracer_common::tally::queue::RCV,
            tracer_common::tally::limit::UNKNOWN,
            1,
        );
    });
    let summary = node.report().verdict.summary;
    assert!(!summary.chars().any(is_hostile), "{summary}");
    assert!(summary.chars().count() < 1_000, "{summary}");
}

#[test]
fn no_rendering_is_broken_by_any_string() {
    let report = incident::incident().report();
    let long = "\u{1f980}".repeat(500);
    for evil in EVILS.into_iter().chain([long.as_str()]) {
        let report = poisoned(&report, evil);
        for format in Format::value_variants() {
            let text = render(&report, *format).unwrap();
            let bad = text.chars().find(|c| *c != '\n' && is_hostile(*c));
            assert_eq!(bad, None, "{format:?}: {evil}");
            assert!(text.ends_with('\n'), "{format:?}: {evil}");
        }
        markdown::tests::check(&report);
        html::tests::check(&report);
        for (format, valid) in [
            (Format::Alertmanager, validate::alertmanager as fn(&str)),
            (Format::Pagerduty, validate::pagerduty),
            (Format::Jira, validate::jira),
        ] {
            // What no verdict lacks may not be blank there.
            if !evil.is_empty() {
                valid(&render(&report, format).unwrap());
            }
        }
        let json = json::pretty(&report).unwrap();
        let value = serde_json::from_str(&json).unwrap();
        schema::valid(evil, Document::Report, &value);
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let table = table::report(&report);
        let is_command = |line: &&str| line.trim_start().starts_with("$ ");
        for line in table.lines().filter(|line| !is_command(line)) {
            assert!(line.chars().count() <= 100, "wider than a page: {line}");
        }
        let begins = |line: &&str| line.starts_with("VERDICT");
        assert_eq!(table.lines().filter(begins).count(), 1, "{evil}");
    }
}
