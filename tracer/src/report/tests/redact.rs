//! No name of a report is left in any rendering of it, and each has one pseudonym.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

use clap::ValueEnum as _;
use serde_json::Value;

use super::{fixture::Fixture, golden, hostile, incident::incident, schema};
use crate::{
    attribute::{
        ContainerFacts, Descriptor, Owner, OwnerKind, PodFacts, contact::Contact,
        workload::Workload,
    },
    diagnose::recovery,
    output::{self, Format},
    report::{
        Redactor, Report, View,
        schema::Document,
        view::{Filter, Sort},
    },
};

fn redacted(report: &Report) -> Report {
    Redactor::redacted(report).unwrap()
}

/// Names that occur nowhere else, from a linear congruential generator (Knuth's MMIX).
struct Tokens {
    state: u64,
    made: BTreeSet<String>,
}

impl Tokens {
    fn new(seed: u64) -> Self {
        Self {
            state: seed,
            made: BTreeSet::new(),
        }
    }

    /// Letters that no word of ours has in a row.
    fn token(&mut self) -> String {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let token = format!("qzx{:06}", self.state >> 44);
        self.made.insert(token.clone());
        token
    }

    /// The same in what people with bad intentions put around it.
    fn name(&mut self, dress: &str) -> String {
        dress.replace('T', &self.token())
    }
}

/// Around a token: as Kubernetes makes names, and as it would not.
const DRESSES: [&str; 8] = [
    "T",
    "T-0",
    "web.T",
    "\u{1b}[2JT\u{202e}",
    "`T` | <b>T</b>",
    "T's \\ \"T\"\nT",
    "=cmd|T!A0",
    "T\u{e9}T é",
];

fn dress(owner: Owner, tokens: &mut Tokens, dress: &str) -> Owner {
    let about_pod = PodFacts {
        workload: Some(Workload {
            kind: None,
            name: tokens.name(dress),
        }),
        labels: [
            (tokens.name("T.example/T"), tokens.name(dress)),
            ("app".to_owned(), tokens.name(dress)),
        ]
        .into(),
        contact: vec![Contact {
            key: "team".into(),
            value: tokens.name(dress),
        }],
        sandbox: None,
    };
    let about_container = ContainerFacts {
        name: Some(tokens.name(dress)),
        image: Some(tokens.name("registry.T/T:1")),
    };
    Owner {
        namespace: Some(tokens.name(dress)),
        pod: Some(tokens.name(dress)),
        pod_uid: Some(tokens.name("T")),
        container_id: Some(tokens.name("TTTTTTTT")),
        cgroup_path: Some(tokens.name("/kubepods.slice/T/cri-T.scope")),
        about_pod: Some(Arc::new(about_pod)),
        about_container: Some(Arc::new(about_container)),
        ..owner
    }
}

/// Somebody outside of Kubernetes.
fn outsider(owner: Owner, kind: OwnerKind, tokens: &mut Tokens, dress: &str) -> Owner {
    let bare = Owner {
        cgroup_id: owner.cgroup_id,
        cgroup_path: Some(tokens.name("/system.slice/T")),
        source: owner.source,
        ..Owner::of_kind(kind)
    };
    match kind {
        OwnerKind::SystemdUnit => Owner {
            unit: Some(tokens.name(&format!("{dress}.service"))),
            ..bare
        },
        OwnerKind::Process => Owner {
            process: Some((4242, tokens.name(dress))),
            ..bare
        },
        OwnerKind::Container => Owner {
            container_id: Some(tokens.name("TTTTTTTT")),
            ..bare
        },
        _ => bare,
    }
}

/// A report in which all that has a name has one of `tokens`.
fn named(mut node: Fixture, tokens: &mut Tokens, shape: &str) -> Report {
    let kinds = [
        OwnerKind::SystemdUnit,
        OwnerKind::Process,
        OwnerKind::Container,
        OwnerKind::Cgroup,
    ];
    let pods: Vec<u64> = node.owners.keys().copied().collect();
    for (at, id) in pods.iter().enumerate() {
        let owner = node.owners[id].clone();
        let of = tokens.state as usize % 2;
        let owner = match kinds.get(at).filter(|_| of == 1) {
            Some(kind) => outsider(owner, *kind, tokens, shape),
            None => dress(owner, tokens, shape),
        };
        node.owners.insert(*id, owner);
    }
    node.node.host_name = tokens.name("T.example");
    node.node.k8s_node_name = Some(tokens.name("T"));
    node.node.labels = BTreeMap::from([
        ("topology.kubernetes.io/zone".to_owned(), tokens.name("T")),
        (tokens.name("T.example/pool"), tokens.name("T")),
    ]);
    let known = node.owners[&pods[0]].clone();
    let gap = format!(
        "/sys/fs/cgroup{}: {}; shop/{} (kata); /var/log/pods/{}: denied",
        known.cgroup_path.unwrap(),
        "Permission denied (os error 13)",
        tokens.name("T"),
        tokens.name("a_T_T"),
    );
    node.gaps.push(gap);
    let command = tokens.name(shape);
    if let Some(scan) = &node.end {
        for socket in &scan.sockets {
            let descriptor = Descriptor {
                pid: 7,
                command: command.clone(),
                fd: 3,
            };
            node.descriptors.insert(socket.inode, descriptor);
        }
    }
    node.report()
}

/// Every shape of a report, with what each may write of it.
fn renderings(report: &Report) -> Vec<(String, String)> {
    let shapes = Format::value_variants().iter();
    let shapes = shapes.map(|it| (format!("{it:?}"), output::render(report, *it).unwrap()));
    shapes.collect()
}

fn nothing_left(report: &Report, tokens: &Tokens) {
    for (shape, text) in renderings(report) {
        for token in &tokens.made {
            let Some(at) = text.find(token) else {
                continue;
            };
            let from = text.floor_char_boundary(at.saturating_sub(150));
            let to = text.ceil_char_boundary((at + 150).min(text.len()));
            panic!("{token} in {shape}: …{}…", &text[from..to]);
        }
    }
}

/// Every address in the string fields of a report.
fn addresses(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|it| addresses(it, found)),
        Value::Object(all) => {
            for (key, inner) in all {
                let end = inner.as_str().and_then(|it| it.rsplit_once(':'));
                if let (true, Some((host, _))) = (["local", "remote"].contains(&key.as_str()), end)
                {
                    found.insert(host.trim_matches(['[', ']']).to_owned());
                }
                addresses(inner, found);
            }
        }
        _ => {}
    }
}

fn check(report: &Report, tokens: &Tokens) {
    let shown = redacted(report);
    nothing_left(&shown, tokens);
    let mut known = BTreeSet::new();
    addresses(&serde_json::to_value(report).unwrap(), &mut known);
    for (shape, text) in renderings(&shown) {
        for address in &known {
            assert!(!text.contains(address), "{address} in {shape}");
        }
    }
    let value = serde_json::to_value(&shown).unwrap();
    schema::valid("redacted", Document::Report, &value);
}

#[test]
fn no_name_is_left_in_any_rendering() {
    for (seed, shape) in (1..).zip(DRESSES.iter().cycle().take(3 * DRESSES.len())) {
        let mut tokens = Tokens::new(seed);
        let mut node = match seed % 3 {
            0 => incident(),
            1 => {
                let mut node = incident();
                node.traced = false;
                node
            }
            _ => {
                let mut node = incident();
                node.end = None;
                node
            }
        };
        node.runtimes.clear();
        let report = named(node, &mut tokens, shape);
        check(&report, &tokens);
    }
}

/// Whether a word stands in a text, and is no part of another one.
fn has_word(text: &str, word: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !(goes_on(before) || goes_on(after))
    })
}

/// Strings under the keys of names.
fn originals(value: &Value, key: &str, found: &mut BTreeSet<String>) {
    const KEYS: [&str; 16] = [
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "k8s.workload",
        "k8s.statefulset.name",
        "container.id",
        "container.name",
        "container.image.name",
        "systemd.unit",
        "process.command",
        "cgroup.path",
        "cgroups",
        "throttled_cgroup",
        "host.name",
        "k8s.node.name",
        "value",
    ];
    match value {
        Value::String(name) if KEYS.contains(&key) => drop(found.insert(name.clone())),
        Value::Array(all) => all.iter().for_each(|it| originals(it, key, found)),
        Value::Object(all) => {
            let all = all.iter().filter(|(key, _)| *key != "sources");
            all.for_each(|(key, inner)| originals(inner, key, found));
        }
        _ => {}
    }
}

/// Reports of every kind, of this version and of earlier ones, with words that sentences use as well.
#[test]
fn golden_reports_lose_their_names() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut names = 0;
    for file in [
        "incident.json",
        "context.json",
        "memcg.json",
        "mixed.json",
        "no-bpf.json",
        "hostile.json",
        "rcvbuf.json",
        "residual.json",
        "old/0077da1/incident.json",
        "old/939fe7c/memcg.json",
    ] {
        let text = fs::read_to_string(golden.join(file)).unwrap();
        let report: Report = serde_json::from_str(&text).unwrap();
        let mut known = BTreeSet::new();
        originals(&serde_json::from_str(&text).unwrap(), "", &mut known);
        // Many use the label `app`: its key stays.
        known.retain(|name| name.len() > 1 && name != "app");
        names += known.len();
        for (shape, text) in renderings(&redacted(&report)) {
            for name in &known {
                assert!(!has_word(&text, name), "{file}: {name} in {shape}");
            }
        }
    }
    assert!(names > 100, "{names}");
}

#[test]
fn names_that_are_cut_in_sentences_are_gone_as_well() {
    let mut tokens = Tokens::new(99);
    let long = "T".repeat(60);
    let report = named(incident(), &mut tokens, &long);
    assert!(report.verdict.headline.contains('…'));
    check(&report, &tokens);
}

#[test]
fn figures_times_and_verdicts_stay() {
    let report = incident().report();
    let shown = redacted(&report);
    let numbers: Vec<&str> = shown
        .holders
        .iter()
        .map(|it| it.owner.name.as_str())
        .collect();
    assert_eq!(numbers[..2], ["namespace-1/pod-1", "namespace-2/pod-2"]);
    assert_eq!(shown.window, report.window);
    assert_eq!(shown.verdict.kind, report.verdict.kind);
    assert_eq!(shown.reconciliation, report.reconciliation);
    assert_eq!(shown.tcp_memory.fill, report.tcp_memory.fill);
    assert_eq!(shown.plan, report.plan);
    let held =
        |report: &Report| -> Vec<u64> { report.holders.iter().map(|it| it.held_bytes).collect() };
    assert_eq!(held(&shown), held(&report));
    // Words of ours are no names, although a field of sources has the key of a name.
    let sources = |report: &Report| report.victims[1].owner.sources.clone();
    assert_eq!(sources(&shown), sources(&report));
    assert_eq!(shown.attribution.runtimes, report.attribution.runtimes);
    // Every number of a sentence stays, but those of pseudonyms.
    let digits = |text: &str| text.matches(|c: char| c.is_ascii_digit()).count();
    assert!(digits(&shown.verdict.summary) >= digits(&report.verdict.summary));
    golden::compare(
        "incident.redacted.txt",
        &output::render(&shown, Format::Table).unwrap(),
    );
    golden::compare(
        "incident.redacted.json",
        &output::render(&shown, Format::Json).unwrap(),
    );
}

#[test]
fn one_name_has_one_pseudonym_wherever_it_stands() {
    let report = incident().report();
    let shown = redacted(&report);
    let names: BTreeMap<&str, &str> = report
        .holders
        .iter()
        .zip(&shown.holders)
        .map(|(was, is)| (was.owner.name.as_str(), is.owner.name.as_str()))
        .collect();
    assert_eq!(names.values().collect::<BTreeSet<_>>().len(), names.len());
    for (was, is) in report.victims.iter().zip(&shown.victims) {
        assert_eq!(names[was.owner.name.as_str()], is.owner.name);
    }
    let leaky = names["shop/leaky"];
    assert!(
        shown.verdict.headline.contains(leaky),
        "{}",
        shown.verdict.headline
    );
    let (namespace, pod) = leaky.split_once('/').unwrap();
    let owner = &shown.culprits[0].holder.owner;
    assert_eq!(owner.k8s_namespace_name.as_deref(), Some(namespace));
    assert_eq!(owner.k8s_pod_name.as_deref(), Some(pod));
    let delete = format!("kubectl delete pod --namespace {namespace} {pod}");
    let commands: Vec<&str> = shown
        .verdict
        .advice
        .iter()
        .filter_map(|it| it.command.as_deref())
        .collect();
    assert!(commands.contains(&delete.as_str()), "{commands:?}");
    // Again, and of a part: the same.
    assert_eq!(redacted(&report), shown);
    let view = View {
        filter: Filter {
            pods: vec!["web-7".into(), "redis-*".into()],
            ..Filter::default()
        },
        sort: Some(Sort::Name),
        top: None,
    };
    let mut redactor = Redactor::default();
    redactor.learn(&report).unwrap();
    let part = redactor.apply(&view.of(report.clone(), 20)).unwrap();
    assert_eq!(part.verdict, shown.verdict);
    for holder in &part.holders {
        assert!(shown.holders.contains(holder));
    }
    let web = names["shop/web-7"].split_once('/').unwrap().1;
    let filters = part.narrowed.unwrap().filters;
    assert_eq!(filters, [format!("pod={web}"), "pod=redacted".to_owned()]);
}

#[test]
fn what_was_found_earlier_is_not_named_either() {
    let before = incident().report();
    let mut report = Fixture::quiet().report();
    report.recovery = Some(recovery::compare(&before, &report));
    let shown = redacted(&report).recovery.unwrap();
    for words in [&shown.headline, &shown.summary] {
        assert!(
            !words.contains("leaky") && !words.contains("team shop"),
            "{words}"
        );
    }
    assert_eq!(shown.kind, before.verdict.kind);
}

#[test]
fn a_network_namespace_is_told_with_pseudonyms_of_who_shares_it() {
    let mut report = incident().report();
    report.victims[0].owner = crate::report::Owner {
        name: "netns 4026531840, shared by shop/leaky, nginx[12], 3 more".into(),
        ..crate::report::Owner::default()
    };
    let shown = redacted(&report);
    let leaky = &shown.culprits[0].holder.owner.name;
    assert_eq!(
        shown.victims[0].owner.name,
        format!("netns 4026531840, shared by {leaky}, owner-1, 3 more")
    );
}

#[test]
fn no_pseudonym_is_the_name_of_another() {
    let mut node = incident();
    for (owner, name) in node
        .owners
        .values_mut()
        .zip(["pod-2", "pod-1", "pod-1", "pod-3"])
    {
        owner.pod = Some(name.into());
    }
    let report = node.report();
    let shown = redacted(&report);
    let pods = |report: &Report| -> BTreeSet<String> {
        let pods = report.holders.iter();
        pods.filter_map(|it| it.owner.k8s_pod_name.clone())
            .collect()
    };
    assert!(pods(&report).is_disjoint(&pods(&shown)));
}

#[test]
fn whatever_a_report_holds_it_can_be_redacted() {
    for evil in hostile::EVILS {
        let report = hostile::poisoned(&incident().report(), evil);
        let shown = redacted(&report);
        assert_eq!(shown.window, report.window);
    }
}

#[test]
fn repeats_of_an_incident_are_known_without_names() {
    use crate::report::Incident;
    let report = incident().report();
    let identity = Incident::of(&report).identity();
    let shown = redacted(&report);
    assert_eq!(shown.incident.as_ref().map(|it| &it.id), Some(&identity));
    assert_eq!(Incident::of(&shown).identity(), identity);
    // Of another node everything is called the same, and yet it is another incident.
    let mut other = report;
    other.node.host_name = "another".to_owned();
    other.node.k8s_node_name = None;
    let other = redacted(&other);
    assert_eq!(other.node.host_name, "node-1");
    assert_ne!(Incident::of(&other).identity(), identity);
    // Labels, by which Alertmanager knows repeats, hold no pseudonym, which may be another one next time.
    let alerts: Value =
        serde_json::from_str(&output::render(&shown, Format::Alertmanager).unwrap()).unwrap();
    let labels = alerts[0]["labels"].as_object().unwrap();
    assert_eq!(labels["identity"], Value::String(identity));
    let keys: Vec<&String> = labels.keys().collect();
    assert_eq!(keys, ["alertname", "identity", "kind", "severity"]);
}

#[test]
fn lines_of_a_stream_have_the_same_pseudonyms() {
    let report = incident().report();
    let mut redactor = Redactor::default();
    let event = report.evidence[0].clone();
    let shown = redactor.event(&event).unwrap();
    assert_ne!(shown.owner.name, event.owner.name);
    assert_eq!(shown.limit, event.limit);
    let text = serde_json::to_string(&shown).unwrap();
    for name in ["cache", "redis"] {
        assert!(!text.contains(name), "{text}");
    }
    assert_eq!(redactor.event(&event).unwrap(), shown);
}
