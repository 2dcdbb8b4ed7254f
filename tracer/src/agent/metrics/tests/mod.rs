mod document;
mod judges;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tracer_common::{
    TallyKey, TallyValue,
    tally::{limit, queue, slot, stall},
};

use super::{
    Format, Page,
    catalogue::{self, Kind, Scope},
    render,
};
use crate::{
    agent::ledger::{
        AgentFigures, Exports, Figures, Ledger, MapFill, NodeFigures, OwnerLabels, Share,
        tests::{full, owner, owner_of_socket, scan, socket},
    },
    aggregate::Delta,
    attribute::{Owner, OwnerKind},
    holders::TcpState,
    indicators::{Counter, Sockstat},
    output::text::is_hostile,
    report::{Losses, tests::hostile::EVILS},
};

const FORMATS: [Format; 2] = [Format::OpenMetrics, Format::Text];

fn node() -> NodeFigures {
    NodeFigures {
        sockstat: Sockstat {
            inuse: Some(1),
            orphan: Some(2),
            tw: Some(3),
            alloc: Some(4),
            mem: Some(5),
        },
        tcp_mem: Some([10, 20, 30]),
        page_size: Some(4096),
        pressure: Some(false),
    }
}

fn agent() -> AgentFigures {
    AgentFigures {
        maps: vec![MapFill {
            map: "TALLIES".into(),
            entries: Some(1),
            most: 2,
        }],
        scan: Some(Duration::from_millis(250)),
        scan_age: Some(Duration::from_secs(3)),
        scan_interval: Some(Duration::from_secs(60)),
        cpu: Some(Duration::from_micros(1)),
        sockets_exempt: Some(true),
        resident_bytes: Some(1 << 20),
        open_files: Some(17),
        bounds_hit: [("cpu", 1)].into(),
        incidents: 1,
        incident_open: true,
        recorder_oldest: Some(Timestamp::from_second(1_700_000_000).unwrap()),
        exports: Some(Exports::default()),
        attached: false,
        detached: Some("the file /run/tcpress/off exists".into()),
        version: "0.1.0".into(),
        kernel: "6.12.0".into(),
        started: Some(Timestamp::from_millisecond(1_700_000_000_500).unwrap()),
    }
}

/// Everything that can be told.
fn everything(budget: usize) -> Figures {
    full(budget).figures(node(), agent())
}

fn page(figures: &Figures, format: Format) -> String {
    render(Page::of(figures), format)
}

/// Lines that are no comments.
fn series(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

/// The value of the one series of a name.
fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let mut values = page.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.next().expect(name).trim();
    assert_eq!(values.next(), None, "{name}");
    value
}

#[test]
fn everything_is_shown_and_nothing_beyond_the_budget() {
    for budget in [0, 2_000, 10_000] {
        let figures = everything(budget);
        let page = Page::of(&figures);
        let names: Vec<_> = page.families.iter().map(|it| it.metric.name()).collect();
        let want: Vec<_> = catalogue::all().map(catalogue::Metric::name).collect();
        assert_eq!(names, want);
        let series_of_page = page.series();
        assert!(
            series_of_page <= Share::of(budget).budget,
            "{series_of_page}"
        );
        for format in FORMATS {
            let text = render(page.clone(), format);
            let lines = series(&text);
            assert_eq!(lines.len(), series_of_page);
            let distinct: BTreeSet<_> = lines
                .iter()
                .map(|it| it.rsplit_once(' ').unwrap().0)
                .collect();
            assert_eq!(distinct.len(), lines.len(), "no series twice");
            assert_eq!(value(&text, "tcpress_series "), lines.len().to_string());
            let budget = Share::of(budget).budget.to_string();
            assert_eq!(value(&text, "tcpress_series_budget "), budget);
        }
    }
}

#[test]
fn a_metric_has_no_more_series_than_it_says() {
    let figures = everything(10_000);
    let owners: BTreeSet<_> = [&figures.owners[0].0, &figures.holders[0].0].into();
    for family in Page::of(&figures).families {
        let most = family.metric.most;
        let of = |owner: &Arc<OwnerLabels>| {
            let samples = family.samples.iter();
            let samples = samples.filter(|sample| sample.owner.as_ref() == Some(owner));
            samples.map(super::Sample::series).sum::<usize>()
        };
        if family.metric.scope.is_of_owner() {
            let taken = owners.iter().map(|owner| of(owner)).max();
            assert_eq!(taken, Some(most), "{}", family.metric.base);
        } else {
            let taken: usize = family.samples.iter().map(super::Sample::series).sum();
            assert!(taken <= most, "{}", family.metric.base);
        }
    }
    assert_eq!(catalogue::most(Scope::OwnerCounter), 3 * 4 + 4 + 9 + 11);
    assert_eq!(catalogue::most(Scope::OwnerGauge), 3 + 1 + 12 + 2);
    assert!(Losses::default().named().len() <= 14);
}

#[test]
fn labels_are_those_of_the_catalogue() {
    for family in Page::of(&everything(10_000)).families {
        for sample in &family.samples {
            let names: Vec<_> = sample.labels.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, family.metric.labels, "{}", family.metric.base);
            let is_of_owner = family.metric.scope.is_of_owner();
            assert_eq!(sample.owner.is_some(), is_of_owner);
        }
    }
}

#[test]
fn what_is_not_known_is_absent() {
    let ledger = Ledger::new(10_000, Duration::ZERO);
    let nothing = ledger.figures(NodeFigures::default(), AgentFigures::default());
    let text = page(&nothing, Format::OpenMetrics);
    let names: BTreeSet<_> = series(&text)
        .into_iter()
        .map(|line| line.split([' ', '{']).next().unwrap())
        .collect();
    let want = [
        "tcpress_attached",
        "tcpress_attribution_misses_total",
        "tcpress_bounds_hit_total",
        "tcpress_build_info",
        "tcpress_incident_open",
        "tcpress_incidents_total",
        "tcpress_series",
        "tcpress_series_budget",
    ];
    assert_eq!(names, want.into());
    let half = NodeFigures {
        page_size: None,
        pressure: None,
        ..node()
    };
    let text = page(&ledger.figures(half, agent()), Format::Text);
    for name in ["tcpress_tcp_mem", "tcpress_tcp_memory_pressure"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[test]
fn values_have_their_units() {
    let text = page(&everything(10_000), Format::OpenMetrics);
    for (name, want) in [
        ("tcpress_tcp_mem_bytes ", "20480"),
        ("tcpress_tcp_mem_limit_bytes{level=\"max\"} ", "122880"),
        ("tcpress_tcp_memory_pressure ", "0"),
        ("tcpress_tcp_sockets{state=\"tw\"} ", "3"),
        ("tcpress_snmp_total{counter=\"PruneCalled\"} ", "9"),
        ("tcpress_attributed_total{counter=\"PruneCalled\"} ", "8"),
        ("tcpress_residual{counter=\"PruneCalled\"} ", "1"),
        ("tcpress_lost_total{where=\"ring_full\"} ", "1"),
        ("tcpress_map_max_entries{map=\"TALLIES\"} ", "2"),
        (
            "tcpress_program_run_seconds_total{program=\"tcp_prune\"} ",
            "1.5",
        ),
        ("tcpress_program_runs_total{program=\"tcp_prune\"} ", "3"),
        ("tcpress_scan_seconds ", "0.25"),
        ("tcpress_incident_open ", "1"),
        ("tcpress_attached ", "0"),
        ("tcpress_start_time_seconds ", "1700000000.5"),
        ("tcpress_exports_total{result=\"spooled\"} ", "0"),
        (
            "tcpress_detached_info{reason=\"the file /run/tcpress/off exists\"} ",
            "1",
        ),
        (
            "tcpress_build_info{version=\"0.1.0\",kernel=\"6.12.0\"} ",
            "1",
        ),
    ] {
        assert_eq!(value(&text, name), want, "{name}");
    }
    let cpu: f64 = value(&text, "tcpress_agent_cpu_seconds_total ")
        .parse()
        .unwrap();
    assert_eq!(cpu, 0.000_001);
}

/// A ledger that one owner did something to.
fn one(labelled: Owner, value: TallyValue) -> Figures {
    let mut ledger = Ledger::new(10_000, Duration::ZERO);
    let delta = Delta {
        key: TallyKey::default(),
        value,
    };
    ledger.count(Duration::ZERO, &[delta], &|_| labelled.clone());
    ledger.hold(&scan([socket(1, TcpState::CloseWait, 10)]), &|_| {
        labelled.clone()
    });
    ledger.figures(node(), agent())
}

#[test]
fn an_owner_has_its_labels_and_only_what_happened_to_it() {
    let mut value = TallyValue::ZERO;
    value.verdicts[slot(queue::OFO, limit::MEMCG_V2)] = 7;
    let text = page(&one(owner(1), value), Format::OpenMetrics);
    let labels = r#"namespace="shop",pod="pod-1",container="",kind="pod",name="""#;
    let of_owner: Vec<_> = text.lines().filter(|line| line.contains(labels)).collect();
    let mut want = vec![
        format!(r#"tcpress_refusals_total{{{labels},queue="ofo",limit="memcg"}} 7"#),
        format!(r#"tcpress_held_bytes{{{labels},queue="receive"}} 10"#),
        format!(r#"tcpress_held_bytes{{{labels},queue="send"}} 0"#),
        format!(r#"tcpress_held_bytes{{{labels},queue="forward"}} 0"#),
        format!(r#"tcpress_unread_bytes{{{labels}}} 5"#),
        format!(r#"tcpress_sockets{{{labels},state="close_wait"}} 1"#),
        format!(r#"tcpress_orphan_sockets{{{labels}}} 0"#),
        format!(r#"tcpress_not_accepted_sockets{{{labels}}} 0"#),
    ];
    want.sort_unstable();
    let mut of_owner: Vec<_> = of_owner.into_iter().map(str::to_owned).collect();
    of_owner.sort_unstable();
    assert_eq!(of_owner, want);
    // A pod of which only connections in TIME-WAIT are left holds nothing that could be told.
    let mut ledger = Ledger::new(10_000, Duration::ZERO);
    ledger.hold(&scan([socket(1, TcpState::TimeWait, 0)]), &owner_of_socket);
    let text = page(&ledger.figures(node(), agent()), Format::OpenMetrics);
    let lines: Vec<_> = text.lines().filter(|line| line.contains(labels)).collect();
    assert_eq!(
        lines,
        [format!(
            r#"tcpress_sockets{{{labels},state="time_wait"}} 1"#
        )]
    );
}

#[test]
fn a_histogram_is_cumulative_and_counts_what_is_longer_than_its_last_bound() {
    let mut value = TallyValue::ZERO;
    value.stalls[0] = 1; // 1.024 µs, or less
    value.stalls[8] = 2; // from 4.096 µs on
    value.stalls[stall::BUCKETS - 2] = 4; // up to 58.7 ms
    value.stalls[stall::BUCKETS - 1] = 8; // and beyond
    value.stall_ns = 1_234_567_890;
    let text = page(&one(Owner::of_kind(OwnerKind::Kernel), value), Format::Text);
    let buckets: Vec<(f64, u64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("tcpress_stall_seconds_bucket{"))
        .map(|line| {
            let bound = line
                .split("le=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            let count = line.rsplit_once(' ').unwrap().1;
            (bound.parse().unwrap(), count.parse().unwrap())
        })
        .collect();
    let want = [
        (4.096e-6, 1),
        (16.384e-6, 3),
        (65.536e-6, 3),
        (262.144e-6, 3),
        (1.048576e-3, 3),
        (4.194304e-3, 3),
        (16.777216e-3, 3),
        (58.720256e-3, 7),
        (f64::INFINITY, 15),
    ];
    assert_eq!(buckets, want);
    let labels = r#"{namespace="",pod="",container="",kind="kernel",name=""} "#;
    let sum = value_of(&text, "tcpress_stall_seconds_sum", labels);
    assert_eq!(sum, "1.23456789");
    assert_eq!(value_of(&text, "tcpress_stall_seconds_count", labels), "15");
}

fn value_of<'a>(page: &'a str, name: &str, labels: &str) -> &'a str {
    value(page, &format!("{name}{labels}"))
}

#[test]
fn no_name_breaks_a_line_or_steers_who_reads_it() {
    let mut value = TallyValue::ZERO;
    value.rcv_pruned = 1;
    value.stalls[0] = 1;
    let long = "\"\\\n".repeat(5_000);
    let tame = page(&one(owner(1), value), Format::Text);
    for evil in EVILS.into_iter().chain([long.as_str(), "\\", "\"", "a\0b"]) {
        let mut figures = one(
            Owner {
                namespace: Some(evil.into()),
                pod: Some(evil.into()),
                unit: Some(evil.into()),
                ..Owner::of_kind(OwnerKind::SystemdUnit)
            },
            value,
        );
        for words in [
            &mut figures.agent.version,
            &mut figures.agent.kernel,
            &mut figures.agent.maps[0].map,
        ] {
            *words = evil.to_owned();
        }
        figures.agent.detached = Some(evil.to_owned());
        for format in FORMATS {
            let text = page(&figures, format);
            let bad = text.chars().find(|c| *c != '\n' && is_hostile(*c));
            assert_eq!(bad, None, "{evil:?}");
            assert_eq!(series(&text).len(), series(&tame).len(), "{evil:?}");
            for line in text.lines() {
                assert!(
                    line.starts_with("tcpress_") || line.starts_with("# "),
                    "{line}"
                );
                // Three names of 253 characters, each of which may need one more to be escaped.
                assert!(line.chars().count() < 2 * 3 * 253 + 200, "{line}");
            }
        }
    }
}

#[test]
fn the_best_format_that_is_asked_for_is_written() {
    use Format::{OpenMetrics, Text};
    for (accept, want) in [
        // Prometheus 2.42 and 3.0.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.3",
            Text,
        ),
        (
            "APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.1",
            OpenMetrics,
        ),
        ("application/openmetrics-text", OpenMetrics),
        ("application/openmetrics-text;version=2.0.0", Text),
        ("application/openmetrics-text;q=0", Text),
        ("application/openmetrics-text;q=5", Text),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", Text),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
        ("*/*", Text),
        ("", Text),
        (";;,,q=1;=,\0", Text),
    ] {
        assert_eq!(Format::accepted(accept), want, "{accept}");
    }
}

#[test]
fn words_of_the_catalogue_break_no_format() {
    let mut names = BTreeSet::new();
    for metric in catalogue::all() {
        assert!(names.insert(metric.name()), "{}", metric.name());
        let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(metric.base.chars().all(is_word), "{}", metric.base);
        // The formats escape help differently, so there is nothing to escape; and it fits in one line of a table.
        let bad = |c: char| is_hostile(c) || "\\\"|".contains(c);
        assert!(!metric.help.contains(bad), "{}", metric.help);
        for suffix in [
            "_total", "_info", "_bytes", "_seconds", "_count", "_sum", "_bucket",
        ] {
            assert!(!metric.base.ends_with(suffix), "{}", metric.base);
        }
        assert!(metric.kind != Kind::Info || metric.unit.is_none());
    }
    assert_eq!(Counter::ALL.len(), 12);
}
