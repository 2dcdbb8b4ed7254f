//! Any report that the schema allows, as bytes decide: each choice takes the next of them.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::report::{Report, schema::Document};

/// Deeper than any report is.
const MAX_DEPTH: usize = 12;
/// Elements of a list at most.
const MAX_ITEMS: u64 = 4;
/// Texts that have broken other programs.
const TEXTS: [&str; 12] = [
    "",
    "shop/redis-0",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "a\r\nVERDICT: all is well\n",
    "\u{202e}\u{2066}\u{200b}\u{e0041}\u{feff}",
    "| a | `b` | **c** | [d](javascript:e) | ~~~ | ```",
    "</script></svg><img src=x onerror=alert(1)>&lt;\"'",
    "=HYPERLINK(\"x\")",
    "{color:red}{{x}}{noformat}h1. ",
    "%s%n{0}${x}$(x)`x`;x",
    "\u{0}\u{fffd}\u{ffff}",
    "数据привет🦀",
];

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; 0 where there is none any more, so that what is left of the report is plain.
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: u64) -> u64 {
        u64::from(self.next()) % bound.max(1)
    }

    fn number(&mut self) -> u64 {
        match self.next() {
            0..=99 => u64::from(self.next()),
            100..=199 => u64::from_le_bytes([0; 8].map(|_: u8| self.next())),
            200..=229 => u64::MAX >> self.below(64),
            _ => 1 << self.below(64),
        }
    }
}

/// The report of some bytes.
pub(super) fn report(data: &[u8]) -> Report {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Document::Report.schema());
    let value = any(schema, schema, &mut Bytes(data), 0);
    match serde_json::from_value(value) {
        Ok(report) => report,
        Err(error) => panic!("the schema allows what cannot be read: {error}"),
    }
}

fn any(schema: &Value, root: &Value, bytes: &mut Bytes<'_>, depth: usize) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches('#');
        return any(
            root.pointer(name).unwrap_or(&Value::Null),
            root,
            bytes,
            depth,
        );
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    for key in ["enum", "anyOf", "oneOf"] {
        if let Some(choices) = schema[key].as_array() {
            let at = bytes.below(choices.len() as u64);
            let choice = choices.get(at as usize).unwrap_or(&Value::Null);
            return match key {
                "enum" => choice.clone(),
                _ => any(choice, root, bytes, depth),
            };
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => {
            let at = bytes.below(kinds.len() as u64);
            kinds.get(at as usize).and_then(Value::as_str)
        }
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => object(schema, root, bytes, depth),
        Some("array") if depth < MAX_DEPTH => {
            let count = schema["minItems"]
                .as_u64()
                .unwrap_or_else(|| bytes.below(MAX_ITEMS + 1));
            (0..count)
                .map(|_| any(&schema["items"], root, bytes, depth + 1))
                .collect()
        }
        Some("array") => json!([]),
        Some("string") => text(schema, bytes),
        Some("integer") => integer(schema, bytes),
        Some("number") => match bytes.below(6) {
            0 => json!(0.0),
            1 => json!(-1.5e300),
            2 => json!(f64::MAX),
            _ => json!(f64::from(bytes.next()) / 100.0),
        },
        Some("boolean") => json!(bytes.next() % 2 == 1),
        _ => Value::Null,
    }
}

fn object(schema: &Value, root: &Value, bytes: &mut Bytes<'_>, depth: usize) -> Value {
    let mut object = Map::new();
    let required = |name: &str| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.iter().any(|it| it == name))
    };
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        // Now and then an old version that did not write it.
        if required(name) || (depth < MAX_DEPTH && bytes.below(16) != 15) {
            object.insert(name.clone(), any(of, root, bytes, depth + 1));
        }
    }
    if schema["additionalProperties"].is_object() {
        for _ in 0..bytes.below(3) {
            let name = TEXTS[bytes.below(TEXTS.len() as u64) as usize];
            let value = any(&schema["additionalProperties"], root, bytes, depth + 1);
            object.insert(name.to_owned(), value);
        }
    }
    Value::Object(object)
}

fn text(schema: &Value, bytes: &mut Bytes<'_>) -> Value {
    if schema["format"] == "date-time" {
        let seconds = i64::from(bytes.next()) * 97_861_357 + i64::from(bytes.next());
        let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        return json!(at.to_string());
    }
    let mut text = String::new();
    for _ in 0..=bytes.below(3) {
        text.push_str(TEXTS[bytes.below(TEXTS.len() as u64) as usize]);
    }
    let raw: Vec<u8> = (0..bytes.below(8)).map(|_| bytes.next()).collect();
    text.push_str(&String::from_utf8_lossy(&raw));
    match bytes.below(64) {
        63 => json!(text.repeat(200)),
        _ => json!(text),
    }
}

fn integer(schema: &Value, bytes: &mut Bytes<'_>) -> Value {
    let number = bytes.number();
    match schema["format"].as_str() {
        Some("uint8") => json!(number as u8),
        Some("uint16") => json!(number as u16),
        Some("uint32") => json!(number as u32),
        Some("int32") => json!(number as i32),
        Some("uint64" | "uint") => json!(number),
        _ => json!(number as i64),
    }
}
