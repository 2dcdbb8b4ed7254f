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
        Trust, Unsent, credentials::Files,
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
            self.send_and_count(report.as_ref());
        }
    }

    fn send_and_count(&self, report: Option<&Report>) {
        let (delivered, sent) = self.deliver(report);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.delivered += delivered;
        let Err(error) = sent else { return };
        if report.is_some() {
            match error.downcast_ref::<Unsent>() {
                Some(Unsent { waits: true, .. }) => sums.spooled += 1,
                _ => sums.failed += 1,
            }
        }
        drop(sums);
        self.words
            .say(Level::Warn, &format!("report not sent: {error:#}"));
    }

    fn something_waits(&self) -> bool {
        let spool = self.spool().ok().flatten();
        spool.is_some_and(|spool| spool.waiting().is_ok_and(|waiting| !waiting.is_empty()))
    }

    /// Sends a report, or without one what waits in the spool; how many were taken, and what went wrong.
    fn deliver(&self, report: Option<&Report>) -> (u64, anyhow::Result<()>) {
        let say = |words: &str| self.words.say(Level::Debug, words);
        let message = match self.message(report) {
            Ok(Some(message)) => message,
            Ok(None) => return (0, Ok(())),
            Err(error) => return (0, Err(error)),
        };
        let trust = match self.trust() {
            Ok(trust) => trust,
            Err(error) => return (0, Err(error)),
        };
        let sender = match self.sender(trust.as_ref(), &say) {
            Ok(sender) => sender,
            Err(error) => return (0, Err(error)),
        };
        let sent = self.send(&sender, &message);
        (sender.delivered(), sent)
    }

    /// A report, or without one the oldest that waits, which takes the others with it.
    fn message(&self, report: Option<&Report>) -> anyhow::Result<Option<Message>> {
        let config = &self.config;
        let Some(report) = report else {
            let Some(spool) = self.spool()? else {
                return Ok(None);
            };
            // One that cannot be read is put aside when the others are sent.
            let waiting = spool.waiting()?;
            return Ok(waiting.iter().find_map(|entry| spool.read(entry).ok()));
        };
        let redacted = match config.redact {
            true => Some(Redactor::redacted(report)?),
            false => None,
        };
        let place = JiraPlace {
            project: config.project.clone(),
            issue_type: config.issue_type.clone(),
        };
        let report = redacted.as_ref().unwrap_or(report);
        Ok(Message::new(report, config.format, &self.address, &place)?)
    }

    fn sender<'a>(
        &self,
        trust: Option<&'a Trust>,
        say: &'a dyn Fn(&str),
    ) -> anyhow::Result<Sender<'a>> {
        let config = &self.config;
        Sender::new(Settings {
            trust,
            resolver: Resolver::system(),
            timeout: config.timeout,
            credentials: self.credentials()?,
            policy: Policy {
                retries: u32::try_from(config.retries).unwrap_or(u32::MAX),
                ..Policy::default()
            },
            say,
        })
    }

    fn send(&self, sender: &Sender<'_>, message: &Message) -> anyhow::Result<()> {
        let spool = self.spool()?;
        let told = |words: &str| self.words.say(Level::Info, words);
        let sent = export::send(sender, spool.as_ref(), message, self.config.timeout, &told);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(sent)
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

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{SocketAddr, TcpListener},
    };

    use super::*;
    use crate::{agent::config::Config, fixture::Fixture, report::tests::incident::incident};

    fn route(to: SocketAddr, spool: &std::path::Path, room: u64) -> Route {
        let defaults = Config::default();
        Route {
            address: format!("http://{to}/").parse().unwrap(),
            config: Export {
                spool: Some(spool.to_owned()),
                spool_size: room,
                retries: 0,
                ..defaults.export
            },
            words: Arc::new(Words::new(defaults.log)),
            sums: Arc::default(),
        }
    }

    fn sums(route: &Route) -> [u64; 3] {
        let sums = *route.sums.lock().unwrap();
        [sums.delivered, sums.spooled, sums.failed]
    }

    /// An address of this host where nobody listens.
    fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    /// Takes so many messages.
    fn take(listener: TcpListener, count: usize) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            for _ in 0..count {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let (mut length, mut line) = (0, String::new());
                while stream.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                stream.read_exact(&mut vec![0; length]).unwrap();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    #[test]
    fn each_message_is_counted_as_what_became_of_it() {
        let folder = Fixture::new();
        let at = nobody();
        let report = incident().report();
        let spool = folder.path().join("spool");
        let route = route(at, &spool, 64 << 20);
        for name in ["one", "another"] {
            let mut report = report.clone();
            report.node.host_name = name.to_owned();
            route.send_and_count(Some(&report));
        }
        assert_eq!(sums(&route), [0, 2, 0], "nobody listens: both wait");
        // What waits and is tried in vain is the same two messages.
        route.send_and_count(None);
        assert_eq!(sums(&route), [0, 2, 0]);

        let far_end = take(TcpListener::bind(at).unwrap(), 2);
        route.send_and_count(None);
        assert_eq!(sums(&route), [2, 2, 0], "one sending takes both");
        far_end.join().unwrap();
        assert!(!route.something_waits());
    }

    #[test]
    fn what_finds_no_room_in_the_spool_does_not_wait() {
        let folder = Fixture::new();
        let at = nobody();
        let route = route(at, &folder.path().join("spool"), 16);
        route.send_and_count(Some(&incident().report()));
        assert_eq!(sums(&route), [0, 0, 1]);
    }
}
