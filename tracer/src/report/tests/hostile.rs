//! Names chosen to break a terminal.

use std::sync::Arc;

use super::{fixture, fixture::LEAKY, golden, incident};
use crate::{
    attribute::{ContainerFacts, PodFacts, contact::Contact},
    output::{events, json, table, text::is_hostile},
    report::Report,
};

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
