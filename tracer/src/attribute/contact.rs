//! Whom to call: labels or annotations of a pod that say whose it is. Pure.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys that are looked for where nobody names others: what people use, the last of them documented by Kubernetes.
pub const DEFAULT_KEYS: [&str; 4] = ["team", "owner", "contact", "app.kubernetes.io/part-of"];
/// Longest value that is kept, in characters: annotations may hold 256 KiB.
pub const VALUE_MAX: usize = 200;

/// One word on whose a pod is.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Contact {
    /// Key of the label or annotation.
    pub key: String,
    /// Its value, cut to [`VALUE_MAX`] characters.
    pub value: String,
}

/// The values of the keys that a pod has, in the order of the keys; a label before an annotation of the same key.
#[must_use]
pub fn of(
    keys: &[String],
    labels: &HashMap<String, String>,
    annotations: &HashMap<String, String>,
) -> Vec<Contact> {
    let value = |key: &String| {
        let found = [labels, annotations]
            .into_iter()
            .filter_map(|map| map.get(key));
        found
            .map(|value| value.trim())
            .find(|value| !value.is_empty())
    };
    let contact = |key: &String| {
        Some(Contact {
            key: key.clone(),
            value: value(key)?.chars().take(VALUE_MAX).collect(),
        })
    };
    keys.iter().filter_map(contact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_before_annotations_in_the_order_of_the_keys() {
        let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let labels = map(&[("team", "payments"), ("owner", " "), ("other", "x")]);
        let long = "é".repeat(VALUE_MAX + 1);
        let annotations = map(&[
            ("team", "wrong"),
            ("owner", "jo@example.org"),
            ("example.org/chat", &long),
        ]);
        let keys = ["owner", "example.org/chat", "absent", "team"].map(str::to_owned);
        let found = of(&keys, &labels, &annotations);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|it| (it.key.as_str(), it.value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("owner", "jo@example.org"),
                ("example.org/chat", long.strip_suffix('é').unwrap()),
                ("team", "payments")
            ]
        );
    }
}
