//! The published schemas: they are those of the types, and what was ever written is valid by them, in the judgement of a validator
//! that others have made.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{golden, incident};
use crate::{
    capture::Capture,
    output::{events, json},
    report::{Losses, Report, schema::Document},
};

/// What is wrong with a document by its schema.
fn faults(document: Document, value: &Value) -> Vec<String> {
    static VALIDATORS: OnceLock<Vec<(Document, Validator)>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(|| {
        let validator = |of: Document| {
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            (of, options.build(&of.schema()).unwrap())
        };
        Document::ALL.map(validator).into()
    });
    let (_, validator) = validators.iter().find(|(of, _)| *of == document).unwrap();
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// A document is valid by its schema.
pub(super) fn valid(name: &str, document: Document, value: &Value) {
    let faults = faults(document, value);
    assert!(faults.is_empty(), "{name}: {faults:#?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    for document in Document::ALL {
        let text = json::pretty(&document.schema()).unwrap();
        golden::compare(&format!("../../docs/schema/{}", document.file()), &text);
    }
}

#[test]
fn schemas_are_schemas() {
    for document in Document::ALL {
        let schema = document.schema();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        jsonschema::meta::validate(&schema).unwrap();
    }
}

/// `tests/golden/old` has reports of earlier versions as these wrote them, by the commit that did; they stay as they are.
#[test]
fn reports_of_earlier_versions_are_valid_and_can_be_read() {
    let old = root().join("tests/golden/old");
    let mut versions = 0;
    for version in fs::read_dir(old).unwrap() {
        let mut reports = 0;
        for file in fs::read_dir(version.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            valid(
                &name,
                Document::Report,
                &serde_json::from_str(&text).unwrap(),
            );
            let report: Report = serde_json::from_str(&text).expect(&name);
            assert!(!report.verdict.summary.is_empty(), "{name}");
            // And what is made of it now is valid again.
            valid(
                &name,
                Document::Report,
                &serde_json::to_value(&report).unwrap(),
            );
            reports += 1;
        }
        assert_eq!(reports, 5);
        versions += 1;
    }
    assert!(versions >= 4, "{versions}");
}

#[test]
fn the_one_sum_of_skipped_runs_that_the_first_version_wrote_is_read() {
    let first = root().join("tests/golden/old/0077da1/residual.json");
    let text = fs::read_to_string(first).unwrap();
    assert!(text.contains(r#""recursion_misses": 3"#));
    let report: Report = serde_json::from_str(&text).unwrap();
    let misses = report.losses.recursion_misses.unwrap();
    assert_eq!(misses.iter().map(|it| it.misses).collect::<Vec<_>>(), [3]);
    let none = json!({ "recursion_misses": 0 });
    let none: Losses = serde_json::from_value(none).unwrap();
    assert_eq!(none.recursion_misses, Some(Vec::new()));
    let absent: Losses = serde_json::from_value(json!({ "recursion_misses": null })).unwrap();
    assert_eq!(absent.recursion_misses, None);
}

/// Else reports of earlier versions would not be valid any more.
#[test]
fn only_what_the_first_version_wrote_is_required() {
    let first = root().join("tests/golden/old/0077da1/incident.json");
    let first: Value = serde_json::from_str(&fs::read_to_string(first).unwrap()).unwrap();
    let schema = Document::Report.schema();
    for field in schema["required"].as_array().unwrap() {
        assert!(first.get(field.as_str().unwrap()).is_some(), "{field}");
    }
    // Whatever is newer than it lies in objects all of whose fields may lack, or that the first version had.
    let required = |name: &str| schema["$defs"][name]["required"].clone();
    assert_eq!(required("Window"), json!(["start", "end", "duration_ns"]));
    assert_eq!(required("Evidence"), json!(["at", "queue"]));
    let strict: BTreeSet<&str> = schema["$defs"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, schema)| schema.get("required").is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    let known = ["Evidence", "Moment", "Recovery", "TcpMemBytes", "Window"];
    assert_eq!(strict, known.into());
}

#[test]
fn what_is_no_report_is_not_valid() {
    let good = serde_json::to_value(incident::incident().report()).unwrap();
    valid("incident", Document::Report, &good);
    for (pointer, bad) in [
        ("/schema", json!("tcpress.report/v2")),
        ("/window/duration_ns", json!(-1)),
        ("/window/start", json!(5)),
        ("/window/end", json!("yesterday")),
        ("/verdict/confidence", json!("certain")),
        ("/verdict/kind", json!(7)),
        ("/victims/0/owner", json!("shop/leaky")),
        ("/victims/0/owner/sources", json!(["cri"])),
        ("/culprits/0/held_bytes", json!(null)),
        ("/reconciliation/0/residual", json!("0")),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).expect(pointer) = bad;
        assert!(!faults(Document::Report, &value).is_empty(), "{pointer}");
    }
    for field in ["schema", "tcpress", "window", "node", "verdict"] {
        let mut value = good.clone();
        value.as_object_mut().unwrap().remove(field);
        assert!(!faults(Document::Report, &value).is_empty(), "{field}");
    }
}

/// Who validates with today's schema need not refuse tomorrow's report.
#[test]
fn what_a_later_version_adds_is_valid() {
    let mut value = serde_json::to_value(incident::incident().report()).unwrap();
    value["news"] = json!({"a": 1});
    value["verdict"]["kind"] = json!("a_new_kind");
    value["verdict"]["limit"] = json!("a_new_limit");
    value["victims"][0]["owner"]["kind"] = json!("a_new_kind");
    value["victims"][0]["owner"]["sources"]["k8s.pod.name"] = json!("a_new_source");
    valid("later", Document::Report, &value);
}

/// Keys with a dot are OpenTelemetry's, by the list of its semantic conventions, or are listed here as ours.
#[test]
fn keys_are_those_of_opentelemetry() {
    const OURS: [&str; 5] = [
        "k8s.pod.qos",
        "k8s.workload",
        "systemd.unit",
        "cgroup.path",
        "cgroup.id",
    ];
    let theirs = root().join("tests/schemas/opentelemetry/attributes.txt");
    let theirs = fs::read_to_string(theirs).unwrap();
    let theirs: BTreeSet<&str> = theirs.lines().collect();
    let schema = Document::Report.schema();
    let mut keys = 0;
    for definition in ["Owner", "Node"] {
        let fields = schema["$defs"][definition]["properties"].as_object();
        for key in fields.unwrap().keys().filter(|key| key.contains('.')) {
            let known = theirs.contains(key.as_str());
            assert_ne!(known, OURS.contains(&key.as_str()), "{key}");
            keys += 1;
        }
    }
    assert!(keys > 15, "{keys}");
}

#[test]
fn every_line_of_a_capture_and_of_a_trace_is_valid() {
    let node = incident::incident();
    for record in node.with_inputs(Capture::of).records() {
        let value = serde_json::to_value(&record).unwrap();
        valid(record.kind(), Document::Capture, &value);
    }
    let report = node.report();
    assert!(!report.evidence.is_empty());
    for event in report.evidence {
        let line: Value = serde_json::from_str(&events::ndjson_line(&event).unwrap()).unwrap();
        valid("trace", Document::Trace, &line);
    }
}
