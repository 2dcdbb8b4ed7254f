//! The published schemas: they are those of the types, and what was ever written is valid by them, in the judgement of a validator
//! that others have made.

use std::{fs, path::PathBuf, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{golden, incident};
use crate::{
    capture::Capture,
    output::{events, json},
    report::schema::Document,
};

/// What is wrong with a document by a schema.
pub(crate) fn faults(document: Document, value: &Value) -> Vec<String> {
    static VALIDATORS: OnceLock<Vec<(Document, Validator)>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(|| {
        let validator = |of: Document| (of, jsonschema::draft202012::new(&of.schema()).unwrap());
        Document::ALL.map(validator).into()
    });
    let (_, validator) = validators.iter().find(|(of, _)| *of == document).unwrap();
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    for document in Document::ALL {
        let text = json::pretty(&document.schema()).unwrap();
        golden::compare(&format!("../../docs/schema/{}", document.file()), &text);
    }
}

#[test]
fn reports_of_all_versions_are_valid() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut seen = 0;
    for folder in [golden.clone(), golden.join("old")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            if value["schema"] != "tcpress.report/v1" {
                continue;
            }
            let faults = faults(Document::Report, &value);
            assert!(faults.is_empty(), "{}: {faults:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn what_is_no_report_is_not_valid() {
    let good = serde_json::to_value(incident::incident().report()).unwrap();
    assert_eq!(faults(Document::Report, &good), Vec::<String>::new());
    for (pointer, bad) in [
        ("/window/duration_ns", json!(-1)),
        ("/window/start", json!(5)),
        ("/verdict/confidence", json!("certain")),
        ("/victims/0/owner", json!("shop/leaky")),
        ("/culprits/0/held_bytes", json!(null)),
        ("/reconciliation/0/residual", json!("0")),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).unwrap() = bad;
        assert_ne!(
            faults(Document::Report, &value),
            Vec::<String>::new(),
            "{pointer}"
        );
    }
    let mut value = good;
    value.as_object_mut().unwrap().remove("verdict");
    assert_ne!(faults(Document::Report, &value), Vec::<String>::new());
}

#[test]
fn every_line_of_a_capture_and_of_a_trace_is_valid() {
    let node = incident::incident();
    for record in node.with_inputs(Capture::of).records() {
        let value = serde_json::to_value(&record).unwrap();
        let faults = faults(Document::Capture, &value);
        assert!(faults.is_empty(), "{}: {faults:?}", record.kind());
    }
    for event in node.report().evidence {
        let line: Value = serde_json::from_str(&events::ndjson_line(&event).unwrap()).unwrap();
        assert_eq!(faults(Document::Trace, &line), Vec::<String>::new());
    }
}
