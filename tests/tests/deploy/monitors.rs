//! The objects of the Prometheus operator, against its own definitions (tests/schemas/prometheus-operator). An API server drops what a
//! definition does not name; here, as with `kubectl apply --validate=strict`, that is an error.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

use super::{document, documents, read, text, workspace};

/// The schema of a kind as its definition has it, closed: objects hold what is named and nothing else.
fn validator(file: &str) -> Validator {
    let path = workspace()
        .join("tests/schemas/prometheus-operator")
        .join(file);
    let mut definition = documents(&read(&path)).remove(0);
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
    assert!(schema.is_object(), "{file}");
    // Its own schema is the API server's.
    let metadata = schema["properties"]["metadata"].take();
    assert_eq!(metadata, json!({"type": "object"}));
    close(&mut schema);
    schema["properties"]["metadata"] = metadata;
    jsonschema::options()
        // Patterns are Go's, which Rust's are of one family with.
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

fn errors(validator: &Validator, document: &Value) -> Vec<String> {
    let all = validator.iter_errors(document);
    all.map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn monitor_and_rules_are_as_the_operator_defines_them() {
    for (file, path) in [
        ("podmonitors.yaml", "kubernetes/monitoring/podmonitor.yaml"),
        (
            "prometheusrules.yaml",
            "kubernetes/monitoring/prometheusrule.yaml",
        ),
    ] {
        let validator = validator(file);
        let mut object = document(path);
        assert_eq!(errors(&validator, &object), Vec::<String>::new(), "{path}");
        // The test of the test.
        object["spec"]["selecter"] = json!({});
        assert_eq!(errors(&validator, &object).len(), 1, "{path}");
    }
}

#[test]
fn labels_of_owners_survive_the_scrape() {
    let monitor = document("kubernetes/monitoring/podmonitor.yaml");
    let set = document("kubernetes/agent/daemonset.yaml");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["honorLabels"], true);
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(endpoint["port"], container["ports"][0]["name"]);
    // The rules know the agent by its job: that is the value of this label of its pods.
    let label = monitor["spec"]["jobLabel"].as_str().unwrap();
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[label], "tcpress-agent");
    let selected = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    for (key, value) in selected {
        assert_eq!(&labels[key], value, "{key}");
    }
    let plain = document("prometheus/scrape.yaml");
    let job = &plain["scrape_configs"][0];
    assert_eq!(job["honor_labels"], true);
    assert_eq!(job["job_name"], "tcpress-agent");
}

/// The rules of a cluster are those of the plain file. `TCPRESS_BLESS=1` writes them.
#[test]
fn rules_are_the_same_in_both_shapes() {
    let rules = text("prometheus/tcpress.rules.yaml");
    let groups = rules.split_once("\ngroups:\n").expect("groups").1;
    let mut made = "# Made of ../../prometheus/tcpress.rules.yaml by `TCPRESS_BLESS=1 cargo test -p tests --test deploy`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tcpress
  labels:
    app.kubernetes.io/name: tcpress-agent
spec:
  groups:
"
    .to_owned();
    for line in groups.lines() {
        if !line.is_empty() {
            made.push_str("  ");
            made.push_str(line);
        }
        made.push('\n');
    }
    let path = super::deploy("kubernetes/monitoring/prometheusrule.yaml");
    if std::env::var_os("TCPRESS_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(
        read(&path) == made,
        "{} is not what the rules make; see its first line",
        path.display()
    );
    let plain = document("prometheus/tcpress.rules.yaml");
    assert_eq!(documents(&made)[0]["spec"]["groups"], plain["groups"]);
}
