//! The JSON Schema (draft 2020-12) of each document, made from the types that are written, with their docstrings. A field that an
//! older version did not write is not required; fields that a schema does not know are allowed, because documents grow.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{Checkup, Evidence, Report, merged::Merged};
use crate::capture::Record;

/// A document that has a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Document {
    /// A report (`tcpress.report/v1`).
    #[default]
    Report,
    /// Joined reports (`tcpress.merge/v1`).
    Merge,
    /// One line of a capture (`tcpress.capture/v1`).
    Capture,
    /// One line of `tcpress trace -o ndjson`.
    Trace,
    /// What `tcpress doctor -o json` prints (`tcpress.doctor/v1`).
    Doctor,
}

impl Document {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Report,
        Self::Merge,
        Self::Capture,
        Self::Trace,
        Self::Doctor,
    ];

    /// Name of its file in `docs/schema`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Report => "report-v1.json",
            Self::Merge => "merge-v1.json",
            Self::Capture => "capture-v1.json",
            Self::Trace => "trace-v1.json",
            Self::Doctor => "doctor-v1.json",
        }
    }

    /// Its schema.
    #[must_use]
    pub fn schema(self) -> Value {
        match self {
            Self::Report => of::<Report>(),
            Self::Merge => of::<Merged>(),
            Self::Capture => of::<Record>(),
            Self::Trace => of::<Evidence>(),
            Self::Doctor => of::<Checkup>(),
        }
    }
}

fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// For enums with a variant for what a later version may say: the known names, each with its meaning, or any other.
pub(super) fn open(schema: &mut Schema) {
    let Some(Value::Array(mut names)) = schema.remove("oneOf") else {
        return;
    };
    names.push(json!({
        "type": "string",
        "description": "One that a later version has added.",
    }));
    schema.insert("anyOf".to_owned(), Value::Array(names));
}
