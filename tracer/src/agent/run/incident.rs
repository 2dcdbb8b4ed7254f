//! An incident: it begins, is written anew at the end of each window, and ends with what has recovered.

use jiff::Timestamp;

use super::{Agent, OWNERS};
use crate::{
    agent::{config::Level, incident::Following, trigger::Turn},
    capture::{Capture, Story},
    report::{Kind, Report},
};

impl Agent {
    /// An incident begins, goes on for another reason, or is over.
    pub(super) fn incident(&mut self, turn: &Turn) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let causes: Vec<&str> = self.triggers.causes().iter().map(|it| it.name()).collect();
        let causes = causes.join(", ");
        match turn {
            Turn::Opened => {
                let node = self.counting.node().map_or("", |node| {
                    node.k8s_node_name.as_deref().unwrap_or(&node.host_name)
                });
                self.following = Some(Following::open(node, now));
                self.words.say(Level::Warn, &format!("incident: {causes}"));
                let mut posted = self.board.posted();
                posted.agent.incidents += 1;
                posted.agent.incident_open = true;
            }
            Turn::Reopened => {
                self.words
                    .say(Level::Warn, &format!("the incident is not over: {causes}"));
                self.board.posted().agent.incident_open = true;
            }
            Turn::Joined(cause) => {
                self.words
                    .say(Level::Warn, &format!("incident: {} as well", cause.name()));
            }
            Turn::Closed => {
                self.board.posted().agent.incident_open = false;
                return self.close_incident(now);
            }
            Turn::Same => return Ok(()),
        }
        // What holds the memory at this moment is what is asked for.
        self.turn()
    }

    /// All from a while before the incident on. It is read once: however long it lasts, each window costs the same.
    fn since_before(&self, opened: Timestamp, mut window: Capture) -> Capture {
        let before = self.config.trigger.before;
        let since = opened.checked_sub(before).unwrap_or(opened);
        match self.recorder.between(since, Timestamp::now()) {
            Ok(story) => story,
            Err(error) => {
                self.words.say(
                    Level::Error,
                    &format!("what was before the incident cannot be told: {error}"),
                );
                window.note_gap(format!("recording: earlier times are not known: {error}"));
                window
            }
        }
    }

    fn close_incident(&mut self, now: Timestamp) -> anyhow::Result<()> {
        // What a culprit held at an earlier listing is not what it holds now.
        self.counting.list_next();
        self.turn()?;
        let last = self.last_report();
        if let (Some(following), Some(last)) = (&mut self.following, last) {
            following.close(now, &last);
        }
        self.keep_incident(true);
        self.story = None;
        self.words.say(Level::Info, "the incident is over");
        // The file is complete: a reboot now loses nothing of it.
        self.recorder.flush();
        Ok(())
    }

    /// Writes the report of the incident that is open anew, with the window that has just ended.
    pub(super) fn rewrite(&mut self, window: Capture) -> anyhow::Result<()> {
        let Some(opened) = self.following.as_ref().and_then(|it| it.state().opened) else {
            return Ok(());
        };
        let summed = self.story.as_ref().map_or(0, Story::summed);
        let story = match self.story.take() {
            Some(mut story) => {
                story.extend(window);
                story
            }
            None => Story::begin(self.since_before(opened, window)),
        };
        let more = story.summed().saturating_sub(summed);
        self.board.hit_times("incident_owners", more);
        let report = story.capture().report_of(OWNERS);
        self.story = Some(story);
        let goes_on = self.triggers.goes_on();
        let causes = self.triggers.causes().clone();
        let Some(following) = &mut self.following else {
            return Ok(());
        };
        let known = following.report().map(about);
        following.update(report, &causes, goes_on);
        let news = goes_on && following.report().map(about) != known;
        self.keep_incident(news);
        Ok(())
    }

    /// To disk first, then one line for the log, then wherever it is sent.
    fn keep_incident(&mut self, news: bool) {
        let Some(report) = self.following.as_ref().and_then(Following::report) else {
            return;
        };
        if let Some(folder) = &self.folder {
            match folder.keep(report) {
                Ok(kept) => self.board.hit_times("incidents", kept.gone.len() as u64),
                Err(error) => {
                    self.board.hit("incidents_failed");
                    self.words.say(
                        Level::Error,
                        &format!("the incident is not on disk: {error:#}"),
                    );
                }
            }
        }
        if !news {
            return;
        }
        let state = report.incident.as_ref();
        let over = state.is_some_and(|it| it.closed.is_some());
        let recovered = report.recovery.as_ref().map(|it| it.headline.as_str());
        let headline = match (over, recovered) {
            (true, Some(recovered)) => recovered,
            _ => &report.verdict.headline,
        };
        let id = state.map_or("", |it| &it.id);
        self.words.say(Level::Warn, &format!("{id}: {headline}"));
        if let Some(courier) = &self.courier
            && !courier.send(report.clone())
        {
            self.board.hit("exports_waiting");
        }
    }

    fn last_report(&self) -> Option<Report> {
        let text = self.board.posted().report.clone()?;
        serde_json::from_slice(&text).ok()
    }
}

/// What is news about an incident.
fn about(report: &Report) -> (Kind, Option<String>) {
    let culprit = report.culprits.first();
    (
        report.verdict.kind,
        culprit.map(|culprit| culprit.holder.owner.name.clone()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::incident::incident;

    #[test]
    fn another_culprit_is_news_and_other_figures_are_none() {
        let report = incident().report();
        let mut later = report.clone();
        later.culprits[0].holder.held_bytes += 1;
        assert_eq!(about(&later), about(&report));
        later.culprits.clear();
        assert_ne!(about(&later), about(&report));
    }
}
