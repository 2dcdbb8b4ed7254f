//! What a damaged capture lacks, in words.

use std::collections::BTreeMap;

/// What went wrong while a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Why no more could be read; `None` where the end was reached.
    pub(super) stopped: Option<String>,
    /// Lines that are no record that this version knows.
    pub(super) bad_lines: u64,
    /// The first of them, and what is wrong with it.
    pub(super) first_bad: Option<(u64, String)>,
}

impl Damage {
    /// In words, with how many records of each kind are missing; `None` where nothing is.
    pub(super) fn words(
        &self,
        wanted: &BTreeMap<String, u64>,
        found: &BTreeMap<String, u64>,
    ) -> Option<String> {
        let mut words = Vec::new();
        if let Some(why) = &self.stopped {
            words.push(why.clone());
        }
        if let Some((line, why)) = &self.first_bad {
            words.push(format!(
                "{} not understood, first line {line} ({why})",
                match self.bad_lines {
                    1 => "1 line was".to_owned(),
                    lines => format!("{lines} lines were"),
                }
            ));
        }
        let missing: Vec<String> = wanted
            .iter()
            .filter_map(|(kind, &wanted)| {
                let missing = wanted.saturating_sub(found.get(kind).copied().unwrap_or(0));
                (missing > 0).then(|| format!("{missing} of {wanted} {kind}"))
            })
            .collect();
        if !missing.is_empty() {
            words.push(format!("missing records: {}", missing.join(", ")));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter()
            .map(|(kind, count)| ((*kind).to_owned(), *count))
            .collect()
    }

    #[test]
    fn says_what_is_missing() {
        let whole = Damage::default();
        let wanted = counts(&[("row", 12), ("socket", 3)]);
        assert_eq!(whole.words(&wanted, &wanted), None);
        let found = counts(&[("row", 12), ("socket", 1)]);
        let words = whole.words(&wanted, &found).unwrap();
        assert_eq!(words, "missing records: 2 of 3 socket");
        let damage = Damage {
            stopped: Some("the file ends within line 9".into()),
            bad_lines: 2,
            first_bad: Some((4, "no JSON".into())),
        };
        assert_eq!(
            damage.words(&wanted, &wanted).unwrap(),
            "the file ends within line 9; 2 lines were not understood, first line 4 (no JSON)"
        );
    }
}
