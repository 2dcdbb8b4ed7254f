//! Labels of a pod under OpenTelemetry's keys: a label `app` is the attribute `k8s.pod.label.app`.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserializer, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::Value;

/// What stands before the key of each label.
const PREFIX: &str = "k8s.pod.label.";

pub(super) fn serialize<S: Serializer>(
    labels: &BTreeMap<String, String>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(labels.len()))?;
    for (key, value) in labels {
        map.serialize_entry(&format!("{PREFIX}{key}"), value)?;
    }
    map.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    from.deserialize_map(Labels)
}

/// Picks labels out of the fields that nobody else has taken; what a later version has added is passed over.
struct Labels;

impl<'de> Visitor<'de> for Labels {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an owner")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(key) = key.strip_prefix(PREFIX) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Value::String(value) = map.next_value()? {
                labels.insert(key.to_owned(), value);
            }
        }
        Ok(labels)
    }
}

/// The schema of these fields.
pub(super) struct LabelFields;

impl JsonSchema for LabelFields {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LabelFields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "patternProperties": {
                "^k8s\\.pod\\.label\\.": {
                    "type": "string",
                    "description": "A label of the pod, the rest of the name being its key. There only where a container runtime told labels."
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::report::Owner;

    #[test]
    fn labels_are_attributes_of_their_own() {
        let owner = Owner {
            labels: [
                ("app".to_owned(), "redis".to_owned()),
                ("mycompany.io/arch".to_owned(), String::new()),
            ]
            .into(),
            ..Owner::default()
        };
        let value = serde_json::to_value(&owner).unwrap();
        // As OpenTelemetry's registry shows it.
        assert_eq!(value["k8s.pod.label.app"], "redis");
        assert_eq!(value["k8s.pod.label.mycompany.io/arch"], "");
        let mut value = value;
        value["k8s.pod.label.odd"] = json!(7);
        value["k8s.pod.labels_of_tomorrow"] = json!({"a": [1]});
        assert_eq!(serde_json::from_value::<Owner>(value).unwrap(), owner);
        let none = serde_json::to_value(Owner::default()).unwrap();
        assert_eq!(
            serde_json::from_value::<Owner>(none).unwrap(),
            Owner::default()
        );
    }
}
