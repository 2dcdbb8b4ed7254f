//! The loop: a tick each second, a window turned when it is time, and whoever asks answered in between. One thread.

mod asked;
mod attach;
mod budget;
mod turn;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

pub use attach::{Attach, Attached};

use self::{asked::Questions, attach::Counting, budget::Budget};
use super::{
    board::Board,
    config::{Config, Level},
    courier::Courier,
    http::{Access, Server},
    incident::{Folder, Following},
    ledger::{AgentFigures, Exports, Ledger},
    metrics,
    notify::Notifier,
    own,
    recorder::{Log, Recorder},
    socket::{Asked, Followers, Listener},
    trigger::{Sample, Triggers, Turn},
    words::Words,
};
use crate::indicators::{Sockstat, TcpMemory};

/// Between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// Questions on the unix socket that wait.
const WAITING: usize = 16;
/// Owners in each list of a report.
const OWNERS: usize = 100;

/// What the agent is started with.
pub struct Setup {
    /// Its configuration.
    pub config: Config,
    /// Reads the configuration anew.
    pub reread: Box<dyn Fn() -> anyhow::Result<Config>>,
    /// Attaches the probes.
    pub attach: Attach,
    /// While this file exists, nothing is attached.
    pub off_switch: PathBuf,
    /// Tells the service manager.
    pub notifier: Notifier,
}

/// Everything that lives as long as the agent.
struct Agent {
    config: Config,
    setup: Setup,
    words: Arc<Words>,
    board: Arc<Board>,
    counting: Counting,
    triggers: Triggers,
    recorder: Recorder,
    folder: Option<Folder>,
    following: Option<Following>,
    courier: Option<Courier>,
    budget: Budget,
    questions: Questions,
    followers: Followers,
    began: Instant,
    next_turn: Instant,
    /// Until when windows are short.
    hurry_until: Instant,
}

/// Runs until the system asks it to end.
///
/// # Errors
/// When something is configured that cannot be had, or counting breaks down.
pub async fn run(setup: Setup) -> anyhow::Result<()> {
    let mut agent = Agent::new(setup)?;
    let done = agent.work().await;
    // Whatever ended it, what is recorded goes to disk.
    let ended = agent.end(done.is_ok());
    done.and(ended)
}

impl Agent {
    /// Turns until the system asks it to end.
    async fn work(&mut self) -> anyhow::Result<()> {
        let agent = self;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        let (asks, mut asked) = mpsc::channel(WAITING);
        let mut servers = JoinSet::new();
        let server = agent.serve(asks, &mut servers)?;
        agent.switch()?;
        let mut next = Instant::now();
        loop {
            next = (next + TICK).max(Instant::now() + TICK / 2);
            let stopped = loop {
                tokio::select! {
                    rested = agent.counting.rest(next) => {
                        rested?;
                        break false;
                    }
                    Some(ask) = asked.recv() => agent.hear(ask)?,
                    () = told(&mut hung_up) => agent.reload(server.as_deref())?,
                    () = told(&mut terminated) => break true,
                    () = told(&mut interrupted) => break true,
                    Some(ended) = servers.join_next() => {
                        ended.context("a server of the agent panicked")??;
                    }
                }
            };
            if stopped {
                break;
            }
            agent.tick()?;
        }
        Ok(())
    }
}

async fn told(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

impl Agent {
    fn new(setup: Setup) -> anyhow::Result<Self> {
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
            budget: Budget::new(now),
            questions: Questions::default(),
            followers: Followers::default(),
            following,
            began: now,
            next_turn: now + config.scan.interval,
            hurry_until: now,
            recorder,
            folder,
            courier,
            words,
            setup,
            config,
        })
    }

    /// Begins to listen where the configuration says.
    fn serve(
        &self,
        asks: mpsc::Sender<Asked>,
        servers: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<Option<Arc<Server>>> {
        if let Some(path) = &self.config.socket.path {
            let listener = Listener::bind(path)?;
            let board = Arc::clone(&self.board);
            let hit = move |bound| board.hit(bound);
            servers.spawn(async move {
                listener.run(asks, hit).await;
                Ok(())
            });
        }
        let Some(at) = self.config.http.listen else {
            return Ok(None);
        };
        let access = Access::read(&self.config.http)?;
        let server = Server::new(access, Arc::clone(&self.board) as _);
        servers.spawn(Arc::clone(&server).run(at));
        Ok(Some(server))
    }

    /// Attaches or detaches, as the switch, the configuration and the budget say.
    fn switch(&mut self) -> anyhow::Result<()> {
        let off = match (self.config.enabled, self.budget.spent()) {
            _ if self.setup.off_switch.exists() => {
                Some(format!("{} exists", self.setup.off_switch.display()))
            }
            (false, _) => Some("enabled = false".to_owned()),
            (true, Some(why)) => Some(why.to_owned()),
            (true, None) => None,
        };
        match off {
            Some(why) if self.counting.is_on() => {
                // What was counted so far is told before it goes.
                self.turn()?;
                self.counting.stop();
                self.words.say(Level::Warn, &format!("detached: {why}"));
                self.post_detached(why);
            }
            Some(why) => self.post_detached(why),
            None if !self.counting.is_on() => self.begin()?,
            None => {}
        }
        Ok(())
    }

    fn post_detached(&self, why: String) {
        let mut posted = self.board.posted();
        if posted.agent.detached.as_ref() == Some(&why) {
            return;
        }
        // It has begun, and does what it is told: whoever started it need not wait.
        self.setup.notifier.ready(&format!("detached: {why}"));
        posted.agent.attached = false;
        posted.ready = Err(format!("detached: {why}"));
        posted.agent.detached = Some(why);
    }

    /// Attaches, and gives back what is not needed any more.
    fn begin(&mut self) -> anyhow::Result<()> {
        let config = &self.config;
        let begun = (self.setup.attach)(config, &self.words)?;
        let traced = self.counting.start(begun);
        if let Some(keep) = super::privileges::kept(&config.privileges, super::privileges::held()?)
        {
            super::privileges::drop_all(keep)?;
        }
        own::give_back();
        let status = match &traced {
            Ok(probes) => format!("tracing: {probes} probes"),
            Err(why) => format!("not tracing: {why}; answering from counters"),
        };
        let level = if traced.is_ok() {
            Level::Info
        } else {
            Level::Warn
        };
        self.words.say(level, &status);
        self.next_turn = Instant::now() + config.scan.interval_under_pressure;
        let mut posted = self.board.posted();
        posted.agent.attached = traced.is_ok();
        posted.agent.detached = traced.err();
        posted.agent.kernel = self
            .counting
            .node()
            .map_or_else(String::new, |node| node.kernel.clone());
        posted.ready = Ok(());
        drop(posted);
        self.setup.notifier.ready(&status);
        Ok(())
    }

    /// Once a second.
    fn tick(&mut self) -> anyhow::Result<()> {
        self.setup.notifier.alive();
        let now = Instant::now();
        self.board.posted().beat = now;
        if let Some(words) = self.budget.look(now, &self.config.limits)? {
            self.words.say(Level::Warn, &words);
            self.board.hit(if self.budget.spent().is_some() {
                "cpu"
            } else {
                "cpu_throttled"
            });
        }
        self.switch()?;
        if !self.counting.is_on() {
            return Ok(());
        }
        let since = now - self.began;
        let tick = self.counting.tick()?;
        let mut sample = Sample {
            at: since,
            fill: fill(&tick.memory),
            pressure: tick.memory.pressure,
            ..Sample::default()
        };
        if let Some(deltas) = &tick.deltas {
            sample.count(deltas, self.triggers.lines().stall_p99);
            let owner_of = |key: &_| self.counting.owner_of(key);
            self.board.posted().ledger.count(since, deltas, &owner_of);
        }
        self.post_node(&tick.memory);
        let crowded = sample
            .fill
            .is_some_and(|fill| fill >= self.config.scan.fill);
        if sample.refused > 0 || crowded {
            self.hurry(now);
        }
        match self.triggers.look(&sample) {
            Turn::Same => {}
            turn => self.incident(&turn)?,
        }
        if now >= self.next_turn || self.questions.is_due(now) {
            self.turn()?;
        }
        Ok(())
    }

    /// Something is the matter: windows are short for a while.
    fn hurry(&mut self, now: Instant) {
        let short = self.config.scan.interval_under_pressure * self.budget.stretch();
        self.hurry_until = now + short;
        self.next_turn = self.next_turn.min(now + short);
    }

    fn post_node(&self, memory: &TcpMemory) {
        let mut posted = self.board.posted();
        let node = &mut posted.node;
        node.sockstat = Sockstat {
            orphan: memory.orphan,
            alloc: memory.alloc,
            mem: memory.sockstat_pages,
            // Those of the agent's own namespace would be taken for the node's.
            inuse: None,
            tw: None,
        };
        node.tcp_mem = memory.tcp_mem;
        node.page_size = (memory.page_size > 0).then_some(memory.page_size);
        node.pressure = memory.pressure;
    }

    /// Writes the page for the node exporter, whole or not at all.
    fn textfile(&self) {
        let Some(path) = &self.config.metrics.textfile else {
            return;
        };
        let page = self.board.page(metrics::Format::Text);
        let partial = path.with_extension("partial");
        let written = std::fs::write(&partial, page).and_then(|()| std::fs::rename(&partial, path));
        if let Err(error) = written {
            self.board.hit("textfile");
            self.words.say(
                Level::Warn,
                &format!("cannot write {}: {error}", path.display()),
            );
        }
    }

    /// SIGHUP.
    fn reload(&mut self, server: Option<&Server>) -> anyhow::Result<()> {
        self.setup.notifier.reloading();
        let new = match (self.setup.reread)() {
            Ok(new) => new,
            Err(error) => {
                self.words.say(
                    Level::Error,
                    &format!("not reloaded, all stays as it was: {error:#}"),
                );
                self.setup.notifier.ready("not reloaded");
                return Ok(());
            }
        };
        let reload = self.config.reload(&new);
        let mut said = format!("reloaded: {}", list(&reload.applied));
        if !reload.needs_restart.is_empty() {
            said += &format!("; waits for a restart: {}", list(&reload.needs_restart));
        }
        let before = std::mem::replace(&mut self.config, reload.config);
        if before.incidents != self.config.incidents {
            self.folder = folder(&self.config, &self.words);
        }
        // Its files may have changed although their names have not.
        match Courier::start(&self.config.export, &self.words) {
            Ok(courier) => self.replace(courier),
            Err(error) => self.words.say(
                Level::Error,
                &format!("{error:#}: reports are sent as before"),
            ),
        }
        self.words.set(self.config.log.clone());
        self.triggers.set(self.config.trigger.clone());
        let budget = usize::try_from(self.config.metrics.series_budget).unwrap_or(usize::MAX);
        self.board
            .posted()
            .ledger
            .bound(budget, self.config.metrics.owner_grace);
        if let Some(server) = server {
            match Access::read(&self.config.http) {
                Ok(access) => server.renew(access),
                Err(error) => self
                    .words
                    .say(Level::Error, &format!("{error:#}: HTTP goes on as before")),
            }
        }
        self.next_turn = self
            .next_turn
            .min(Instant::now() + self.config.scan.interval);
        self.words.say(Level::Info, &said);
        self.setup.notifier.ready(&said);
        self.switch()
    }

    /// Another courier, who goes on where the one before was.
    fn replace(&mut self, courier: Option<Courier>) {
        let sums = self.courier.as_ref().map(Courier::sums).unwrap_or_default();
        self.courier = courier;
        if let Some(courier) = &self.courier {
            courier.go_on(sums);
        }
    }

    /// Tells what the last window still has, if counting is sound, and waits until the recording is on disk.
    fn end(mut self, sound: bool) -> anyhow::Result<()> {
        self.setup.notifier.stopping();
        let last = match sound && self.counting.is_on() {
            true => self.turn(),
            false => Ok(()),
        };
        self.counting.stop();
        self.recorder.close();
        self.words.say(Level::Info, "ended");
        last
    }
}

/// Allocated TCP memory over the pressure line.
fn fill(memory: &TcpMemory) -> Option<f64> {
    let [_, pressure, _] = memory.tcp_mem?;
    (pressure > 0).then_some(memory.sockstat_pages? as f64 / pressure as f64)
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
fn folder(config: &Config, words: &Words) -> Option<Folder> {
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

fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing has changed".to_owned(),
        names => names.join(", "),
    }
}
