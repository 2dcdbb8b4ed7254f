//! One incident from its beginning to its end: which report speaks for it. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    agent::trigger::Cause,
    diagnose::recovery,
    report::{IncidentState, Report, incident},
};

/// An incident that is followed.
#[derive(Clone, Debug)]
pub struct Following {
    state: IncidentState,
    report: Option<Report>,
}

impl Following {
    /// One that has just begun on a node.
    #[must_use]
    pub fn open(node: &str, at: Timestamp) -> Self {
        Self {
            state: IncidentState {
                id: incident::hashed(&[node, &at.to_string()]),
                opened: Some(at),
                closed: None,
                causes: Vec::new(),
            },
            report: None,
        }
    }

    /// The one that an agent that ended before left open; `None` where it is over, or nobody followed it.
    #[must_use]
    pub fn resume(report: Report) -> Option<Self> {
        let state = report.incident.clone()?;
        (state.opened.is_some() && state.closed.is_none()).then_some(Self {
            state,
            report: Some(report),
        })
    }

    /// What it is known by, and how it stands.
    #[must_use]
    pub const fn state(&self) -> &IncidentState {
        &self.state
    }

    /// Takes a report of all of it so far. While what raised it goes on, the newest speaks for it, but for one that accuses nobody where an earlier one
    /// did: the end, when memory has been freed, names nobody any more, though pressure lasts until the kernel looks again.
    pub fn update(&mut self, report: Report, causes: &BTreeSet<Cause>, goes_on: bool) {
        self.state.closed = None;
        self.state.causes = causes.iter().map(|cause| cause.name().to_owned()).collect();
        let accuses = |report: &Report| !report.culprits.is_empty();
        let names_less = self.report.as_ref().is_some_and(accuses) && !accuses(&report);
        if (goes_on && !names_less) || self.report.is_none() {
            self.report = Some(report);
        }
        self.tell();
    }

    /// It is over, as a report of the last window tells.
    pub fn close(&mut self, at: Timestamp, last: &Report) {
        self.state.closed = Some(at);
        if let Some(report) = &mut self.report {
            report.recovery = Some(recovery::compare(report, last));
        }
        self.tell();
    }

    /// The report tells how the incident stands.
    fn tell(&mut self) {
        if let Some(report) = &mut self.report {
            report.incident = Some(self.state.clone());
        }
    }

    /// The report of it; `None` before the first.
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Kind,
        tests::{fixture::Fixture, incident::incident},
    };

    fn at(second: u8) -> Timestamp {
        format!("2026-03-14T15:10:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn the_report_of_its_height_speaks_for_it_and_its_end_says_what_has_recovered() {
        let mut following = Following::open("node-7", at(1));
        assert_eq!(following.report(), None);
        let causes = BTreeSet::from([Cause::Pressure, Cause::Refusals]);
        let height = incident().report();
        following.update(height.clone(), &causes, true);
        let quiet = Fixture::quiet().report();
        following.update(quiet.clone(), &causes, false);
        let open = following.report().unwrap().clone();
        assert_eq!(open.verdict, height.verdict);
        let state = open.incident.clone().unwrap();
        assert_eq!((state.opened, state.closed), (Some(at(1)), None));
        assert_eq!(state.causes, ["refusals", "pressure"]);

        // The memory has been freed, and the kernel still says pressure.
        following.update(quiet.clone(), &causes, true);
        assert_eq!(following.report().unwrap().verdict, height.verdict);

        following.close(at(40), &quiet);
        let over = following.report().unwrap().clone();
        assert_eq!(over.verdict, height.verdict, "the culprit is still named");
        let closed = over.incident.clone().unwrap();
        assert_eq!((closed.id, closed.closed), (state.id.clone(), Some(at(40))));
        let recovery = over.recovery.clone().unwrap();
        assert_eq!(recovery.kind, Kind::TcpMemLeak);
        assert_eq!(recovery.recovered, Some(true));

        // It comes back: it is the same one, and not over.
        following.update(height, &causes, true);
        let again = following.report().unwrap().clone();
        assert_eq!(again.recovery, None);
        assert_eq!(again.incident.unwrap().closed, None);
        assert_ne!(Following::open("node-7", at(2)).state().id, state.id);

        // Whoever comes after goes on with one that is open, and with no other.
        assert!(Following::resume(over).is_none());
        let resumed = Following::resume(open.clone()).unwrap();
        assert_eq!(resumed.report(), Some(&open));
        assert!(Following::resume(quiet).is_none());
    }
}
