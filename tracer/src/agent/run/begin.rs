//! What an agent has when it begins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Agent, Setup, asked::Questions, attach::Counting, budget::Budget, calm::Calm};
use crate::agent::{
    board::Board,
    config::{Config, Level},
    courier::Courier,
    incident::{Folder, Following},
    ledger::{AgentFigures, Exports, Ledger},
    recorder::{Log, Recorder},
    socket::Followers,
    trigger::Triggers,
    words::Words,
};

impl Agent {
    pub(super) fn new(setup: Setup) -> anyhow::Result<Self> {
        let config = setup.config.clone();
        let words = Arc::new(Words::new(config.log.clone()));
        for caution in config.cautions() {
            words.say(Level::Warn, caution);
        }
        let budget = usize::try_from(config.metrics.series_budget).unwrap_or(usize::MAX);
        let ledger = Ledger::new(budget, config.metrics.owner_grace);
        let courier = Courier::start(&config.export, &words)?;
        let mut figures = AgentFigures {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Some(Timestamp::now()),
            exports: courier.as_ref().map(|_| Exports::default()),
            ..AgentFigures::default()
        };
        let now = Instant::now();
        let recorder = recorder(&config, &words)?;
        let folder = folder(&config, &words);
        let mut triggers = Triggers::new(config.trigger.clone());
        let last = folder.as_ref().map(Folder::last).transpose();
        let last = last.unwrap_or_else(|error| {
            words.say(
                Level::Warn,
                &format!("the last incident is not known: {error:#}"),
            );
            None
        });
        let following = last.flatten().and_then(Following::resume);
        if let Some(following) = &following {
            triggers.resume();
            figures.incident_open = true;
            words.say(
                Level::Warn,
                &format!("{} was open when the agent ended", following.state().id),
            );
        }
        Ok(Self {
            triggers,
            board: Arc::new(Board::new(ledger, figures, Arc::clone(&words))),
            counting: Counting::default(),
            own_sockets: None,
            budget: Budget::new(now),
            calm: Calm::default(),
            questions: Questions::default(),
            followers: Followers::default(),
            following,
            story: None,
            began: now,
            turned: now,
            listed: now,
            next_turn: now + config.scan.interval,
            hurry_until: now,
            give_back_at: None,
            untold: false,
            unwritten: 0,
            recorder,
            folder,
            courier,
            words,
            setup,
            config,
        })
    }
}

/// The recorder with its file, or without where that cannot be had: an agent that remembers less is better than none.
fn recorder(config: &Config, words: &Words) -> anyhow::Result<Recorder> {
    let minutes = Duration::from_secs(config.recorder.minutes.saturating_mul(60));
    let log = config.recorder.path.as_deref().and_then(|path| {
        match Log::open(path, config.recorder.size, false) {
            Ok(log) => {
                log.words().iter().for_each(|it| words.say(Level::Warn, it));
                Some(log)
            }
            Err(error) => {
                words.say(
                    Level::Error,
                    &format!("nothing is kept over a restart: {error}"),
                );
                None
            }
        }
    });
    Recorder::new(minutes, log).context("cannot start the thread that writes the recording")
}

/// The folder of incidents, or none where it cannot be had.
pub(super) fn folder(config: &Config, words: &Words) -> Option<Folder> {
    let incidents = &config.incidents;
    let most = usize::try_from(incidents.max_reports).unwrap_or(usize::MAX);
    match Folder::open(incidents.path.as_deref()?, most, incidents.max_size) {
        Ok(folder) => Some(folder),
        Err(error) => {
            words.say(Level::Error, &format!("incidents are not kept: {error:#}"));
            None
        }
    }
}
