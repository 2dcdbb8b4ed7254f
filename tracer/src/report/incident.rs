//! What an alert is about, and by which key two alerts are one.

use jiff::Timestamp;
use ring::digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Owner, Report, recovery::Figure};

/// Hexadecimal digits of an identity: 128 bits, so that no two incidents meet in one by chance.
const IDENTITY_DIGITS: usize = 32;
/// Longest identity that is taken as it is, in characters.
const MAX_PLAIN: usize = 64;

/// How much it matters to people: the words that PagerDuty knows, of which Prometheus' own rules use these three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Every workload of the node is at risk.
    Critical,
    /// One workload suffers by itself, or what is the matter is not known.
    Warning,
    /// Nothing is wrong.
    Info,
}

impl Severity {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// An incident as it was followed, or at least by what it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IncidentState {
    /// The same in every report of the incident, and in no other.
    pub id: String,
    /// When it began; null where nobody followed it.
    pub opened: Option<Timestamp>,
    /// When it was over; null while it is not, and where nobody followed it.
    pub closed: Option<Timestamp>,
    /// What raised it, and what joined: `refusals`, `fill`, `pressure`, `out_of_memory`, `stalls`, `growth`.
    pub causes: Vec<String>,
}

/// What an alert is about: one kind of trouble on one node, by one culprit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident<'a> {
    /// What is the matter; `Healthy` where there is nothing to alert anybody about.
    pub kind: Kind,
    /// Who is accused first; `None` where nobody is.
    pub culprit: Option<&'a Owner>,
    /// The node.
    pub node: &'a str,
    /// Since when it is known.
    pub since: Timestamp,
    /// Whether it is over.
    pub over: bool,
    /// Its identity, where the report has it in writing; names are then not what they are elsewhere.
    pub id: Option<&'a str>,
}

impl<'a> Incident<'a> {
    /// What a report is about. A healthy one is about the incident of the earlier report that it was compared with, if all of
    /// that has recovered, and else about nothing.
    #[must_use]
    pub fn of(report: &'a Report) -> Self {
        let node = report.node.k8s_node_name.as_deref();
        let followed = report.incident.as_ref();
        let (opened, closed) = (
            followed.and_then(|it| it.opened),
            followed.and_then(|it| it.closed),
        );
        let now = Self {
            kind: report.verdict.kind,
            culprit: report.culprits.first().map(|it| &it.holder.owner),
            node: node.unwrap_or(&report.node.host_name),
            since: opened.unwrap_or(report.window.start),
            over: closed.is_some() || report.verdict.kind == Kind::Healthy,
            id: report.incident.as_ref().map(|it| it.id.as_str()),
        };
        match &report.recovery {
            Some(recovery) if now.over && recovery.recovered == Some(true) => Self {
                kind: recovery.kind,
                culprit: recovery
                    .items
                    .iter()
                    .find(|item| item.figure == Figure::HeldBytes)
                    .and_then(|item| item.owner.as_ref()),
                since: recovery.since,
                ..now
            },
            _ => now,
        }
    }

    /// Whether there is nothing to alert anybody about.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.kind == Kind::Healthy
    }

    /// How much it matters. It follows from the kind alone: a second report of one incident must not make it another one.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.kind {
            Kind::TcpMemLeak | Kind::TcpMemUndersized | Kind::OrphanFlood | Kind::OomAborts => {
                Severity::Critical
            }
            Kind::RcvbufSmall
            | Kind::SlowReader
            | Kind::MemcgLimit
            | Kind::OfoGrowth
            | Kind::Backlog
            | Kind::Inconclusive => Severity::Warning,
            Kind::Healthy => Severity::Info,
        }
    }

    /// The same for every report of one incident, and for no other: by node, kind and culprit.
    #[must_use]
    pub fn identity(&self) -> String {
        match self.id {
            Some(id) if is_plain(id) => return id.to_owned(),
            // Far ends take it as a key, a label or a word of a query.
            Some(id) => return hashed(&[id]),
            None => {}
        }
        let culprit = self.culprit.map_or("", |owner| &owner.name);
        hashed(&[self.node, self.kind.name(), culprit])
    }
}

/// Whether a text can be a key anywhere.
fn is_plain(id: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    !id.is_empty() && id.len() <= MAX_PLAIN && id.bytes().all(plain)
}

/// An identity of such parts.
#[must_use]
pub fn hashed(parts: &[&str]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        // The length goes before, so that no two lists of parts make one text.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let digits: String = digits
        .collect::<String>()
        .chars()
        .take(IDENTITY_DIGITS)
        .collect();
    format!("tcpress-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnose::recovery,
        report::tests::{fixture::Fixture, incident::incident},
    };

    #[test]
    fn one_incident_has_one_identity() {
        let report = incident().report();
        let mut later = report.clone();
        later.window.end = "2026-03-14T16:00:00Z".parse().unwrap();
        later.verdict.headline = "other figures".to_owned();
        later.victims.clear();
        let identity = Incident::of(&report).identity();
        assert_eq!(Incident::of(&later).identity(), identity);
        assert_eq!(identity.len(), "tcpress-".len() + 32);

        let mut other = report.clone();
        other.node.k8s_node_name = Some("node-8".to_owned());
        let mut kind = report.clone();
        kind.verdict.kind = Kind::TcpMemUndersized;
        let mut culprit = report.clone();
        culprit.culprits[0].holder.owner.name = "shop/other".to_owned();
        let mut nobody = report;
        nobody.culprits.clear();
        for changed in [other, kind, culprit, nobody] {
            assert_ne!(Incident::of(&changed).identity(), identity);
        }
    }

    #[test]
    fn one_that_was_followed_is_over_when_that_is_said() {
        let mut report = incident().report();
        let [opened, closed] =
            ["2026-03-14T15:00:00Z", "2026-03-14T15:30:00Z"].map(|at| at.parse().unwrap());
        let mut state = IncidentState {
            id: "tcpress-7".to_owned(),
            opened: Some(opened),
            ..IncidentState::default()
        };
        report.incident = Some(state.clone());
        let open = Incident::of(&report);
        assert_eq!((open.since, open.over), (opened, false));
        assert_eq!(open.identity(), "tcpress-7");
        state.closed = Some(closed);
        let mut over = report.clone();
        over.incident = Some(state);
        let over = Incident::of(&over);
        assert!(over.over && !over.is_none());
        assert_eq!(over.identity(), "tcpress-7");
        report.incident = Some(IncidentState {
            id: "\" OR project = OTHER".to_owned(),
            ..IncidentState::default()
        });
        let odd = Incident::of(&report).identity();
        assert_eq!(odd.len(), "tcpress-".len() + 32);
    }

    #[test]
    fn parts_of_an_identity_do_not_run_into_each_other() {
        let report = incident().report();
        let of = |node, kind| {
            Incident {
                node,
                kind,
                ..Incident::of(&report)
            }
            .identity()
        };
        assert_ne!(of("a", Kind::Backlog), of("ab", Kind::Backlog));
        let owner = |name: &str| Owner {
            name: name.to_owned(),
            ..Owner::default()
        };
        let (long, short) = (owner("backlogx"), owner("x"));
        let with = |node, culprit| Incident {
            node,
            culprit: Some(culprit),
            ..Incident::of(&report)
        };
        assert_ne!(
            with("n", &long).identity(),
            with("nbacklog", &short).identity()
        );
    }

    #[test]
    fn what_has_recovered_is_the_incident_of_then() {
        let before = incident().report();
        let mut after = Fixture::quiet().report();
        assert!(Incident::of(&after).is_none());
        let mut recovery = recovery::compare(&before, &after);
        recovery.recovered = Some(true);
        after.recovery = Some(recovery.clone());
        let over = Incident::of(&after);
        assert!(over.over && !over.is_none());
        assert_eq!(over.identity(), Incident::of(&before).identity());
        assert_eq!(over.since, before.window.end);

        // What is not known to have recovered is not called over.
        recovery.recovered = None;
        after.recovery = Some(recovery);
        assert!(Incident::of(&after).is_none());
    }
}
