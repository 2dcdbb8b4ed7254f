//! Sends incidents where they are configured to go, on a thread of its own: the far end may be slow, and on a node whose TCP memory is full it
//! cannot be reached. What cannot be sent waits in the spool and is tried again.

use std::{
    env,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;

use super::{
    config::{Export, Level},
    ledger::Exports,
    words::Words,
};
use crate::{
    export::{
        self, Address, Credentials, JiraPlace, Message, Policy, Resolver, Sender, Settings, Spool,
        Trust, credentials::Files,
    },
    report::{Redactor, Report},
};

/// Reports that wait for the thread; more are not needed, because each incident is told anew while it lasts.
const WAITING: usize = 8;
/// Between two tries of what waits in the spool.
const AGAIN: Duration = Duration::from_secs(60);

/// Takes reports.
#[derive(Debug)]
pub struct Courier {
    to: SyncSender<Report>,
    sums: Arc<Mutex<Exports>>,
}

impl Courier {
    /// Starts the thread; `None` where nothing is to be sent.
    ///
    /// # Errors
    /// When a credential or an authority cannot be read, the spool cannot be made, or no thread can.
    pub fn start(config: &Export, words: &Arc<Words>) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.to.clone() else {
            return Ok(None);
        };
        let (to, reports) = sync_channel(WAITING);
        let sums = Arc::new(Mutex::new(Exports::default()));
        let route = Route {
            address,
            config: config.clone(),
            words: Arc::clone(words),
            sums: Arc::clone(&sums),
        };
        // What is wrong with the configuration is told now, not in an incident.
        route.trust()?;
        route.credentials()?;
        route.spool()?;
        thread::Builder::new()
            .name("courier".to_owned())
            .spawn(move || route.serve(&reports))
            .context("cannot start the thread that sends reports")?;
        Ok(Some(Self { to, sums }))
    }

    /// Gives it a report; whether there was room.
    #[must_use]
    pub fn send(&self, report: Report) -> bool {
        self.to.try_send(report).is_ok()
    }

    /// Counts on from what another one has counted.
    pub fn go_on(&self, from: Exports) {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = from;
    }

    /// What has become of reports so far.
    #[must_use]
    pub fn sums(&self) -> Exports {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to, and how.
struct Route {
    address: Address,
    config: Export,
    words: Arc<Words>,
    sums: Arc<Mutex<Exports>>,
}

impl Route {
    fn serve(&self, reports: &Receiver<Report>) {
        loop {
            let report = match reports.recv_timeout(AGAIN) {
                Ok(report) => Some(report),
                Err(RecvTimeoutError::Timeout) if self.something_waits() => None,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let sent = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Into::into)
                .and_then(|runtime| runtime.block_on(self.deliver(report.as_ref())));
            let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
            match sent {
                Ok(sent) => sums.delivered += u64::from(sent),
                Err(error) => {
                    let waits = self.config.spool.is_some();
                    let of = match waits {
                        true => &mut sums.spooled,
                        false => &mut sums.failed,
                    };
                    *of += u64::from(report.is_some());
                    drop(sums);
                    self.words
                        .say(Level::Warn, &format!("report not sent: {error:#}"));
                }
            }
        }
    }

    fn something_waits(&self) -> bool {
        let spool = self.spool().ok().flatten();
        spool.is_some_and(|spool| spool.waiting().is_ok_and(|waiting| !waiting.is_empty()))
    }

    /// Sends a report, or without one what waits in the spool; whether there was anything to send.
    async fn deliver(&self, report: Option<&Report>) -> anyhow::Result<bool> {
        let config = &self.config;
        let spool = self.spool()?;
        let message = match report {
            Some(report) => {
                let redacted = config
                    .redact
                    .then(|| Redactor::redacted(report))
                    .transpose()?;
                let place = JiraPlace {
                    project: config.project.clone(),
                    issue_type: config.issue_type.clone(),
                };
                let report = redacted.as_ref().unwrap_or(report);
                Message::new(report, config.format, &self.address, &place)?
            }
            // The oldest that waits takes the others with it.
            None => match &spool {
                Some(spool) => spool
                    .waiting()?
                    .first()
                    .map(|entry| spool.read(entry))
                    .transpose()?,
                None => None,
            },
        };
        let Some(message) = message else {
            return Ok(false);
        };
        let trust = self.trust()?;
        let say = |words: &str| self.words.say(Level::Debug, words);
        let sender = Sender::new(Settings {
            trust: trust.as_ref(),
            resolver: Resolver::system(),
            timeout: config.timeout,
            credentials: self.credentials()?,
            policy: Policy {
                retries: u32::try_from(config.retries).unwrap_or(u32::MAX),
                ..Policy::default()
            },
            say: &say,
        })?;
        let told = |words: &str| self.words.say(Level::Info, words);
        export::send(&sender, spool.as_ref(), &message, config.timeout, &told).await?;
        Ok(true)
    }

    fn spool(&self) -> anyhow::Result<Option<Spool>> {
        let open = |folder| Spool::open(folder, self.config.spool_size);
        self.config.spool.as_deref().map(open).transpose()
    }

    fn trust(&self) -> anyhow::Result<Option<Trust>> {
        Ok(match (&self.config.ca, self.address.is_encrypted()) {
            (Some(path), _) => Some(Trust::file(path)?),
            (None, true) => Some(Trust::system(&|name| env::var(name).ok())?),
            (None, false) => None,
        })
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        let config = &self.config;
        Credentials::read(
            Files {
                bearer: config.token_file.as_deref(),
                basic: config.basic_file.as_deref(),
                routing_key: config.routing_key_file.as_deref(),
            },
            &|name| env::var(name).ok(),
        )
    }
}
