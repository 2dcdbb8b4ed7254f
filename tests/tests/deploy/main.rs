//! What lies in `deploy/`, by checkers that others wrote: promtool, kustomize, kubernetes-validate with the schemas of Kubernetes, the
//! definitions of the Prometheus operator, systemd-analyze. And by rules of our own, where there is no such checker: the dashboard, the image.
//! A test whose tool lacks skips itself, with the reason; `cargo xtask setup` gets all but systemd's.

mod config;
mod dashboard;
mod image;
mod manifests;
mod metrics;
mod monitors;
mod rules;
mod runbook;
mod tools;
mod unit;

#[path = "../common/folder.rs"]
mod folder;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The root of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
}

/// A file or a folder below `deploy/`.
fn deploy(path: &str) -> PathBuf {
    workspace().join("deploy").join(path)
}

/// The text of a file below `deploy/`.
fn text(path: &str) -> String {
    read(&deploy(path))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file.
fn documents(yaml: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_norway::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("YAML that JSON can say"))
        .filter(|document| !document.is_null())
        .collect()
}

/// The one document of a YAML file below `deploy/`.
fn document(path: &str) -> Value {
    let mut all = documents(&text(path));
    assert_eq!(all.len(), 1, "{path}");
    all.remove(0)
}

/// The strings of a list.
fn strings(list: &Value) -> Vec<&str> {
    let all = list.as_array().into_iter().flatten();
    all.map(|it| it.as_str().expect("a string")).collect()
}
