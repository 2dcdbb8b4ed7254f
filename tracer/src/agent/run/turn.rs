//! The end of a window: sockets are listed, counts reconciled, the recorder and those who follow are told.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tracer_common::TallyKey;

use super::{Agent, OWNERS, asked::line};
use crate::{
    agent::{config::Level, ledger::MapFill, own},
    attribute::Owner,
    report::{Kind, Report},
    session::Observation,
};

/// Between two turns while somebody watches each of them.
const WATCHED: Duration = Duration::from_secs(2);
/// From the end of a window until what it took is given back: the recorder's thread has written by then.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// States of sockets that their application has forgotten, or the kernel has still to finish.
const FORGOTTEN: [&str; 5] = [
    "CLOSE-WAIT",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSING",
    "LAST-ACK",
];

impl Agent {
    /// Between two turns at present.
    pub(super) fn interval(&self) -> Duration {
        let scan = &self.config.scan;
        let hurry = Instant::now() < self.hurry_until || self.triggers.is_open();
        let interval = match hurry {
            true => scan.interval_under_pressure,
            false => self.calm.interval(scan.interval, scan.interval_idle),
        };
        let interval = match self.followers.is_empty() {
            true => interval,
            false => interval.min(WATCHED),
        };
        interval * self.budget.stretch()
    }

    /// Ends the window and begins the next one.
    pub(super) fn turn(&mut self) -> anyhow::Result<()> {
        let before = own::cpu();
        if self
            .questions
            .due()
            .is_some_and(|due| Instant::now() >= due)
        {
            // Whoever asks is told what is held now, and who has let it lie.
            self.counting.list_next();
        }
        let observation = self.counting.turn()?;
        self.turned = self.counting.since().unwrap_or_else(Instant::now);
        let cost = own::cpu()
            .zip(before)
            .map(|(now, before)| now.saturating_sub(before));
        let Some(node) = self.counting.node() else {
            return Ok(());
        };
        let (capture, report) = observation.capture_with_report(node, OWNERS);
        let window = self.triggers.is_open().then(|| capture.clone());
        if let Err(error) = self.recorder.take(capture) {
            self.board.hit("recorder");
            self.words
                .say(Level::Error, &format!("a window is not recorded: {error}"));
        }
        // Whoever waits comes first.
        self.answer();
        self.post(&observation, &report, cost)?;
        self.say_untold(observation.attributor.untold());
        let listed = observation.was_listed();
        drop(observation);
        self.say_unwritten();
        self.triggers.grow(growth(&report));
        if let Some(window) = window {
            self.rewrite(window)?;
            // Its report says why they do not read; at other times that is not worth what it costs.
            self.counting.observe();
        }
        if !self.followers.is_empty() {
            match line(&report) {
                Ok(line) => {
                    let slow = self.followers.tell(&line);
                    self.board.hit_times("socket_followers", slow as u64);
                }
                Err(error) => self.words.say(Level::Error, &error),
            }
        }
        self.calm.turn();
        let interval = self.interval();
        self.next_turn = Instant::now() + interval;
        let mut posted = self.board.posted();
        posted.agent.scan_interval = Some(interval);
        posted.agent.recorder_oldest = self.recorder.oldest();
        posted.agent.exports = self.courier.as_ref().map(|it| it.sums());
        drop(posted);
        self.textfile();
        if listed {
            self.listed = self.turned;
        }
        // Not put off by the next window: where much happens there is one all the time.
        let soon = Instant::now() + GIVE_BACK;
        self.give_back_at.get_or_insert(soon);
        Ok(())
    }

    /// Says once that a container runtime does not answer, and once that it does again.
    fn say_untold(&mut self, untold: &[String]) {
        match (
            untold.first(),
            std::mem::replace(&mut self.untold, !untold.is_empty()),
        ) {
            (Some(why), false) => self.words.say(
                Level::Warn,
                &format!("names of containers may lack, counts do not: {why}"),
            ),
            (None, true) => self
                .words
                .say(Level::Info, "container runtimes tell all names again"),
            _ => {}
        }
    }

    /// Says what the recorder could not bring to disk since it was last asked.
    fn say_unwritten(&mut self) {
        let Some(status) = self.recorder.status() else {
            return;
        };
        let lost = status.failed.saturating_sub(self.unwritten);
        self.unwritten = status.failed;
        if lost > 0 {
            self.board.hit_times("recorder", lost);
            let why = status.error.unwrap_or_else(|| "it works again".to_owned());
            let frames = crate::output::size::count(lost, "frame");
            self.words.say(
                Level::Error,
                &format!("not on disk: {frames} of the recording: {why}"),
            );
        }
    }

    /// Puts up what the window told.
    fn post(
        &self,
        observation: &Observation,
        report: &Report,
        cost: Option<Duration>,
    ) -> anyhow::Result<()> {
        let now = self.began.elapsed();
        let attributor = &observation.attributor;
        let living: Vec<Owner> = attributor
            .cgroups
            .living()
            .map(|(id, _)| {
                attributor.owner_of(&TallyKey {
                    cgroup_id: id,
                    ..TallyKey::default()
                })
            })
            .collect();
        let listed = observation.was_listed();
        let entries = self.counting.entries();
        let text = serde_json::to_vec(report)?;
        let plan = serde_json::to_vec(&report.plan)?;
        let mut posted = self.board.posted();
        let ledger = &mut posted.ledger;
        if listed {
            ledger.hold(&observation.end.scan, &|socket| {
                attributor.owner_of_socket(socket)
            });
        }
        ledger.rows(&observation.rows);
        ledger.lost(&report.losses);
        ledger.living(now, &living);
        if listed {
            posted.scanned = Some(Instant::now());
            posted.agent.scan = cost;
        }
        if let Some(maps) = &observation.maps {
            let fill = |map: &str, entries, most: u32| MapFill {
                map: map.to_owned(),
                entries,
                most: u64::from(most),
            };
            posted.agent.maps = vec![
                fill("TALLIES", entries.map(|it| it.0), maps.owners),
                fill("SOCKETS", entries.map(|it| it.1), maps.sockets),
            ];
        }
        posted.report = Some(text.into());
        posted.plan = plan.into();
        Ok(())
    }
}

/// Largest growth of one owner in bytes a minute: of sockets that it has forgotten, and of all of whoever is accused of a leak.
fn growth(report: &Report) -> u64 {
    let memory = &report.tcp_memory;
    let (Some(since), Some(until)) = (memory.growth_since, memory.found_at) else {
        return 0;
    };
    let seconds = until.duration_since(since).as_secs_f64();
    if seconds <= 0.0 {
        return 0;
    }
    let mut grown: BTreeMap<&str, i64> = BTreeMap::new();
    for holder in &report.holders {
        let states = holder.states.iter();
        let forgotten = states.filter(|part| FORGOTTEN.contains(&part.state.as_str()));
        let sum = forgotten
            .filter_map(|part| part.growth_bytes)
            .fold(0, i64::saturating_add);
        grown.insert(&holder.owner.name, sum);
    }
    if report.verdict.kind == Kind::TcpMemLeak {
        for culprit in &report.culprits {
            let all = culprit.holder.growth_bytes.unwrap_or(0);
            let of = grown.entry(&culprit.holder.owner.name).or_default();
            *of = all.max(*of);
        }
    }
    let most = grown.into_values().max().unwrap_or(0).max(0);
    (most as f64 * 60.0 / seconds) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{fixture::Fixture, incident::incident};

    #[test]
    fn growth_is_that_of_whoever_forgets_in_a_minute() {
        let report = incident().report();
        // A leak that grew by 23,700,000 bytes in the ten seconds between two listings.
        assert_eq!(growth(&report), 23_700_000 * 6);
        // Nobody is accused: only sockets in CLOSE-WAIT, which grew by 22,800,000.
        let mut unjudged = report.clone();
        unjudged.verdict.kind = Kind::Inconclusive;
        assert_eq!(growth(&unjudged), 22_800_000 * 6);
        // One listing knows no growth.
        unjudged.tcp_memory.growth_since = None;
        assert_eq!(growth(&unjudged), 0);
        assert_eq!(growth(&Fixture::quiet().report()), 0);
    }
}
