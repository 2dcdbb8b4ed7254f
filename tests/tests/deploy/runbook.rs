//! Every alert has its entry in the runbook, and every entry its alert.

use std::collections::BTreeSet;

use super::{read, rules, workspace};

/// What each entry must have.
const PARTS: [&str; 3] = ["**Means.**", "**Look.**", "**Do.**"];

#[test]
fn every_alert_has_an_entry_and_the_other_way_round() {
    let runbook = read(&workspace().join("docs/runbook.md"));
    let mut entries = BTreeSet::new();
    for entry in runbook.split("\n## ").skip(1) {
        let (title, body) = entry.split_once('\n').unwrap();
        if title.starts_with("Tcpress") {
            for part in PARTS {
                assert!(body.contains(part), "{title}: {part}");
            }
            assert!(entries.insert(title.to_owned()), "{title} twice");
        }
    }
    let alerts: BTreeSet<String> = rules::alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(entries, alerts);
}
