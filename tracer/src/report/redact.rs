//! A report without names: whoever shows it to others may not want to show who is who. One name has one pseudonym in all of a
//! report, and so in every rendering of it, in lists as in sentences. Figures, times, limits and states stay. Pure.
//!
//! What is a name is told by the field that it stands in. Sentences are gone through for all names that fields gave, and for what
//! looks like an address, an id or a path whoever gave it.

mod address;
mod names;
mod sentence;

use serde_json::{Map, Value};

use self::names::{Kind, Names};
use super::{Evidence, Incident, IncidentState, Report};

/// Gives pseudonyms, the same one for the same name as long as it lives.
#[derive(Debug, Default)]
pub struct Redactor {
    names: Names,
}

/// What may stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// A name, and of what.
    Name(Kind),
    /// One of our own words, a number, a time, or a word of the kernel's.
    Word,
    /// A sentence, in which there may be anything.
    Sentence,
}

/// The field of an object by its key; `of` is the object.
fn field(of: &Map<String, Value>, key: &str) -> Field {
    match key {
        "k8s.namespace.name" => Field::Name(Kind::Namespace),
        "k8s.pod.name" => Field::Name(Kind::Pod),
        "k8s.pod.uid" => Field::Name(Kind::Uid),
        "k8s.workload"
        | "k8s.deployment.name"
        | "k8s.statefulset.name"
        | "k8s.daemonset.name"
        | "k8s.job.name" => Field::Name(Kind::Workload),
        "container.id" => Field::Name(Kind::ContainerId),
        "container.name" => Field::Name(Kind::Container),
        "container.image.name" => Field::Name(Kind::Image),
        "systemd.unit" => Field::Name(Kind::Unit),
        "process.command" => Field::Name(Kind::Command),
        // Elsewhere a command is one to be run: a sentence.
        "command" if of.contains_key("pid") => Field::Name(Kind::Command),
        "cgroup.path" | "throttled_cgroup" | "cgroups" => Field::Name(Kind::Cgroup),
        // Of the memory that a reader waits for.
        "cgroup" if of.contains_key("finding") => Field::Name(Kind::Cgroup),
        "k8s.node.name" | "host.name" => Field::Name(Kind::Node),
        "schema" | "tcpress" | "opened" | "closed" | "causes" | "kind" | "source" | "sources"
        | "leak" | "reader" | "confidence" | "limit" | "detail" | "evidence" | "finding"
        | "figure" | "event" | "queue" | "state" | "flavour" | "hook" | "programs" | "program"
        | "counter" | "sight" | "wait_channel" | "allocated_source" | "start" | "end" | "at"
        | "since" | "netns" | "cookie" | "cgroup_id" | "cgroup.id" | "kernel" | "arch"
        | "k8s.pod.qos" | "sandbox" => Field::Word,
        _ => Field::Sentence,
    }
}

/// What stands for words that may hold names nobody knows of.
const LEFT_OUT: &str = "redacted";
/// Before the keys of labels of a pod.
const LABEL: &str = "k8s.pod.label.";

impl Redactor {
    /// One report with pseudonyms.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn redacted(report: &Report) -> serde_json::Result<Report> {
        let mut redactor = Self::default();
        redactor.learn(report)?;
        redactor.apply(report)
    }

    /// Takes note of every name in a report. Less of it can then be redacted in the same words.
    ///
    /// # Errors
    /// When a value cannot be written as JSON; the model's can.
    pub fn learn(&mut self, report: &Report) -> serde_json::Result<()> {
        let value = serde_json::to_value(report)?;
        self.collect(&value);
        self.names.settle();
        // What only sentences tell is numbered in the order of the whole report.
        let _ = self.replaced(value);
        Ok(())
    }

    /// The report, or a part of one, with pseudonyms instead of names.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn apply(&mut self, report: &Report) -> serde_json::Result<Report> {
        let mut redacted: Report =
            serde_json::from_value(self.replaced(serde_json::to_value(report)?))?;
        redacted.incident = Some(IncidentState {
            id: Incident::of(report).identity(),
            ..report.incident.clone().unwrap_or_default()
        });
        // It may name somebody of whom no field of this report knows.
        if let Some(recovery) = &mut redacted.recovery {
            recovery.headline = format!("{} ({LEFT_OUT})", recovery.kind.name());
        }
        if let (Some(to), Some(from)) = (&mut redacted.narrowed, &report.narrowed) {
            to.filters = from.filters.iter().map(|it| self.filter(it)).collect();
        }
        Ok(redacted)
    }

    /// One sampled failure with pseudonyms, those of the ones before it.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn event(&mut self, event: &Evidence) -> serde_json::Result<Evidence> {
        let value = serde_json::to_value(event)?;
        self.collect(&value);
        self.names.settle();
        serde_json::from_value(self.replaced(value))
    }

    /// A filter, whose value may be a part of a name, or that of nobody.
    fn filter(&self, filter: &str) -> String {
        let (option, value) = filter.split_once('=').unwrap_or((filter, ""));
        let pseudonym = self.names.known(value).unwrap_or(LEFT_OUT);
        format!("{option}={pseudonym}")
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|inner| self.collect(inner)),
            Value::Object(all) => {
                for (key, inner) in all {
                    if let Some(label) = key.strip_prefix(LABEL) {
                        self.names.learn_key(label);
                        self.names.learn_value(Kind::Label, inner);
                    } else if is_labels(all, key) {
                        for (label, value) in inner.as_object().into_iter().flatten() {
                            self.names.learn_key(label);
                            self.names.learn_value(Kind::Label, value);
                        }
                    } else {
                        match field(all, key) {
                            Field::Name(kind) => self.names.learn_value(kind, inner),
                            Field::Word if is_words(inner) => {}
                            Field::Word | Field::Sentence => self.collect(inner),
                        }
                    }
                }
                if is_owner(all) {
                    self.names.learn_owner(all);
                } else if let (Some(key), Some(value)) = (contact_key(all), all.get("value")) {
                    self.names.learn_key(key);
                    self.names.learn_value(Kind::Label, value);
                }
            }
            _ => {}
        }
    }

    /// A value with pseudonyms.
    fn replaced(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.names.sentence(&text)),
            Value::Array(all) => all.into_iter().map(|inner| self.replaced(inner)).collect(),
            Value::Object(all) => self.object(all),
            other => other,
        }
    }

    fn object(&mut self, all: Map<String, Value>) -> Value {
        let fields: Vec<(String, Field)> = all
            .keys()
            .map(|key| (key.clone(), field(&all, key)))
            .collect();
        let (owner, contact) = (is_owner(&all), contact_key(&all).is_some());
        let labels: Vec<bool> = all.keys().map(|key| is_labels(&all, key)).collect();
        let mut done = Map::new();
        for (((key, inner), (_, field)), labels) in all.into_iter().zip(fields).zip(labels) {
            let (key, inner) = if let Some(label) = key.strip_prefix(LABEL) {
                let label = self.names.key(label);
                (format!("{LABEL}{label}"), self.named(Kind::Label, inner))
            } else if labels {
                (key, self.labels(inner))
            } else if contact && key == "key" {
                let label = self.names.key(inner.as_str().unwrap_or_default());
                (key, Value::String(label))
            } else if contact && key == "value" {
                (key, self.named(Kind::Label, inner))
            } else if owner && key == "name" {
                let name = self.names.owner(inner.as_str().unwrap_or_default());
                (key, Value::String(name))
            } else {
                let inner = match field {
                    Field::Name(kind) => self.named(kind, inner),
                    Field::Word if is_words(&inner) => inner,
                    Field::Word | Field::Sentence => self.replaced(inner),
                };
                (key, inner)
            };
            done.insert(key, inner);
        }
        Value::Object(done)
    }

    /// A field that holds a name, or several.
    fn named(&mut self, kind: Kind, value: Value) -> Value {
        match value {
            Value::String(name) => Value::String(self.names.pseudonym(kind, &name)),
            Value::Array(all) => all
                .into_iter()
                .map(|inner| self.named(kind, inner))
                .collect(),
            other => other,
        }
    }

    fn labels(&mut self, value: Value) -> Value {
        let Value::Object(all) = value else {
            return value;
        };
        let replaced = all.into_iter().map(|(key, value)| {
            let key = self.names.key(&key);
            (key, self.named(Kind::Label, value))
        });
        Value::Object(replaced.collect())
    }
}

/// Whether there are words alone: of the words `evidence`, one is a list of failures.
fn is_words(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().all(Value::is_string),
        Value::Object(all) => all.values().all(Value::is_string),
        _ => true,
    }
}

/// Whether an object is an owner.
fn is_owner(of: &Map<String, Value>) -> bool {
    of.contains_key("kind") && of.contains_key("name") && of.contains_key("source")
}

/// The key of a contact, if an object is one.
fn contact_key(of: &Map<String, Value>) -> Option<&str> {
    (of.len() == 2 && of.contains_key("value")).then(|| of.get("key")?.as_str())?
}

/// Whether a field holds labels of a node.
fn is_labels(of: &Map<String, Value>, key: &str) -> bool {
    key == "labels" && of.contains_key("host.name")
}
