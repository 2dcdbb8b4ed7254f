//! Label selectors, as Kubernetes documents them
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>): `app=web,tier!=cache`,
//! `zone in (a, b)`, `zone notin (a)`, `partition`, `!partition`.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Requirements that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    text: String,
    requirements: Vec<Requirement>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

/// What the label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    /// One of these.
    In(Vec<String>),
    /// None of these, or absent.
    NotIn(Vec<String>),
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no label selector: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, with commas between"
)]
pub struct SelectorError(String);

impl Selector {
    /// Whether labels meet all requirements.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let among = |values: &[String]| value.is_some_and(|value| values.contains(value));
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => among(values),
                Test::NotIn(values) => !among(values),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let requirements: Option<Vec<Requirement>> =
            split(text).into_iter().map(requirement).collect();
        Ok(Self {
            text: text.to_owned(),
            requirements: requirements.ok_or_else(|| SelectorError(text.to_owned()))?,
        })
    }
}

/// The requirements of a selector: commas within brackets are no ends.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut within) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => within = true,
            ')' => within = false,
            ',' if !within => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn requirement(text: &str) -> Option<Requirement> {
    let text = text.trim();
    let make = |key: &str, test: Test| {
        let key = key.trim();
        is_key(key).then(|| Requirement {
            key: key.to_owned(),
            test,
        })
    };
    if let Some(key) = text.strip_prefix('!') {
        return make(key, Test::Absent);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Test::NotIn(vec![one_value(value)?]));
    }
    if let Some((key, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return make(key, Test::In(vec![one_value(value)?]));
    }
    if let Some((head, values)) = text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        let values: Option<Vec<String>> = values.split(',').map(one_value).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
        return match word {
            "in" => make(key, Test::In(values?)),
            "notin" => make(key, Test::NotIn(values?)),
            _ => None,
        };
    }
    make(text, Test::Exists)
}

/// A value of a label may be empty, and holds only a few characters.
fn one_value(text: &str) -> Option<String> {
    let text = text.trim();
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    text.chars().all(good).then(|| text.to_owned())
}

/// A name, perhaps with a domain before it.
fn is_key(text: &str) -> bool {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    !text.is_empty() && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let selector: Selector = selector.parse().unwrap();
        selector.matches(&labels.collect())
    }

    /// The examples of Kubernetes' documentation, with what it says that they select.
    #[test]
    fn selectors_of_the_documentation() {
        let production = [("environment", "production"), ("tier", "backend")];
        let qa = [("environment", "qa"), ("tier", "frontend")];
        let bare = [("partition", "a")];
        for (selector, of_production, of_qa, of_bare) in [
            ("environment = production", true, false, false),
            ("environment==production", true, false, false),
            ("tier != frontend", true, false, true),
            ("environment=production,tier!=frontend", true, false, false),
            ("environment in (production, qa)", true, true, false),
            ("tier notin (frontend, backend)", false, false, true),
            ("partition", false, false, true),
            ("!partition", true, true, false),
            ("partition,environment notin (qa)", false, false, true),
            (
                "environment in (production),tier in (backend)",
                true,
                false,
                false,
            ),
        ] {
            assert_eq!(matches(selector, &production), of_production, "{selector}");
            assert_eq!(matches(selector, &qa), of_qa, "{selector}");
            assert_eq!(matches(selector, &bare), of_bare, "{selector}");
        }
        assert!(matches(
            "app.kubernetes.io/name=",
            &[("app.kubernetes.io/name", "")]
        ));
    }

    #[test]
    fn what_is_no_selector_is_refused_with_an_example() {
        for bad in [
            "",
            "a=b,",
            "=b",
            "a b",
            "a in b",
            "a in (b",
            "a among (b)",
            "a=\u{1b}[2J",
            "a>1",
        ] {
            let error = bad.parse::<Selector>().unwrap_err();
            assert!(error.to_string().contains("key=value"), "{bad}");
        }
    }
}
