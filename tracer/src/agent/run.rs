//! The loop: a tick each second, a window turned when it is time, and questions for a window answered in between. One thread; those who
//! only read what stands on the board are answered by another one (`servers`).

mod asked;
mod attach;
mod begin;
mod budget;
mod calm;
mod incident;
mod reload;
mod servers;
mod switch;
mod tick;
mod turn;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

pub use attach::{Attach, Attached};

use self::{asked::Questions, attach::Counting, budget::Budget, calm::Calm, servers::Servers};
use super::{
    board::Board,
    config::{Config, Level},
    courier::Courier,
    incident::{Folder, Following},
    notify::Notifier,
    own,
    recorder::Recorder,
    socket::Followers,
    trigger::Triggers,
    words::Words,
};
use crate::{capture::Story, probe::OwnSockets};

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
    /// Takes sockets of this process out of `tcp_mem`.
    pub exempt: Box<dyn Fn() -> anyhow::Result<OwnSockets>>,
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
    /// Its sockets that are out of `tcp_mem`, or why they are not; `None` while nobody has asked.
    own_sockets: Option<anyhow::Result<OwnSockets>>,
    triggers: Triggers,
    recorder: Recorder,
    folder: Option<Folder>,
    following: Option<Following>,
    /// All windows of the incident that is open.
    story: Option<Story>,
    courier: Option<Courier>,
    budget: Budget,
    calm: Calm,
    questions: Questions,
    followers: Followers,
    began: Instant,
    /// When the window that is open began.
    turned: Instant,
    /// When sockets were last listed, at the end of a window.
    listed: Instant,
    next_turn: Instant,
    /// Until when windows are short.
    hurry_until: Instant,
    /// When memory that is free goes back to the system.
    give_back_at: Option<Instant>,
    /// Whether a container runtime did not tell everything.
    untold: bool,
    /// Frames that the recorder has not brought to disk, as far as that was said.
    unwritten: u64,
}

/// Runs until the system asks it to end.
///
/// # Errors
/// When something is configured that cannot be had, or counting breaks down.
pub async fn run(setup: Setup) -> anyhow::Result<()> {
    own::stay_small();
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
        // What is accepted is exempt if the socket is that listens.
        agent.exempt();
        let mut servers = Servers::start(&agent.config, &agent.board, asks).await?;
        agent.switch()?;
        let mut next = Instant::now();
        loop {
            next = (next + TICK).max(Instant::now() + TICK / 2);
            let stopped = loop {
                let due = agent.questions.due().unwrap_or(next).min(next);
                tokio::select! {
                    rested = agent.counting.rest(due) => {
                        rested?;
                        if Instant::now() >= next {
                            break false;
                        }
                        // Whoever has asked waits no longer than asked for.
                        agent.turn()?;
                    }
                    Some(ask) = asked.recv() => agent.hear(ask)?,
                    () = told(&mut hung_up) => agent.reload(servers.http.as_deref())?,
                    () = told(&mut terminated) => break true,
                    () = told(&mut interrupted) => break true,
                    error = servers.failed() => return Err(error),
                }
            };
            if stopped {
                break;
            }
            agent.tick()?;
        }
        servers.close();
        Ok(())
    }

    /// Tells what the last window still has, if counting is sound, and waits until the recording is on disk.
    fn end(mut self, sound: bool) -> anyhow::Result<()> {
        self.setup.notifier.stopping();
        let last = match sound && self.counting.is_on() {
            true => self.turn(),
            false => Ok(()),
        };
        // First to disk: detaching may take longer than whoever ends the agent waits.
        self.recorder.flush();
        self.detach();
        self.recorder.close();
        self.words.say(Level::Info, "ended");
        last
    }
}

async fn told(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
