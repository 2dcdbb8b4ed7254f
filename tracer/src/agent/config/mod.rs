//! The agent's configuration: what may stand in `agent.toml`, read from text (pure). [`KEYS`] is the one table of all keys: the
//! parser, the defaults of the reference in `docs/agent.md`, and the example file are made from it.

mod checks;
pub mod document;
mod error;
mod keys;
mod parse;
mod reload;
mod slot;
mod units;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::ValueEnum;

pub use error::{ConfigError, Place};
pub use keys::{KEYS, Key};
pub use parse::read;
pub use reload::Reload;
pub(crate) use units::time;

use crate::{export::Address, output::Format};

/// Where the file is looked for by default.
pub const DEFAULT_PATH: &str = "/etc/tcpress/agent.toml";
/// While this file exists, nothing is attached.
pub const OFF_SWITCH: &str = "/run/tcpress/off";

/// Everything that the agent is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether anything is attached at all.
    pub enabled: bool,
    /// `[log]`
    pub log: Log,
    /// `[scan]`
    pub scan: Scan,
    /// `[http]`
    pub http: Http,
    /// `[socket]`
    pub socket: Socket,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[recorder]`
    pub recorder: Recorder,
    /// `[trigger]`
    pub trigger: Trigger,
    /// `[incidents]`
    pub incidents: Incidents,
    /// `[export]`
    pub export: Export,
    /// `[limits]`
    pub limits: Limits,
    /// `[privileges]`
    pub privileges: Privileges,
}

/// What is said on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// In which shape.
    pub format: LogFormat,
    /// How much.
    pub level: Level,
}

/// The shape of a line on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Words, one line a message.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What failed.
    Error,
    /// And what is not as it should be.
    Warn,
    /// And what happens.
    Info,
    /// And each step.
    Debug,
}

/// How often sockets and counters of all network namespaces are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// While all is well.
    pub interval: Duration,
    /// The longest that it grows to while nothing happens.
    pub interval_idle: Duration,
    /// While something is refused, or `fill` is reached.
    pub interval_under_pressure: Duration,
    /// Allocated TCP memory over the pressure line, from which on the short interval holds.
    pub fill: f64,
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// Certificates of the server, PEM; with `tls_key`, or both absent.
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// A file with the bearer token that whoever asks must have.
    pub token_file: Option<PathBuf>,
    /// Connections at one time.
    pub max_connections: u64,
    /// For the head of a request, for an answer to be taken, and for the handshake of TLS, each.
    pub timeout: Duration,
}

/// The unix socket for commands on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where; `None` for nowhere.
    pub path: Option<PathBuf>,
}

/// What `/metrics` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Most series on one page.
    pub series_budget: u64,
    /// How long an owner that is gone is shown.
    pub owner_grace: Duration,
    /// A file for the node exporter's textfile collector; `None` for none.
    pub textfile: Option<PathBuf>,
}

/// The flight recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorder {
    /// Its file; `None` where nothing is kept over a restart.
    pub path: Option<PathBuf>,
    /// Size of the file, in bytes.
    pub size: u64,
    /// Minutes kept second by second, in memory.
    pub minutes: u64,
}

/// What begins an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Refusals of the whole node in a second; 0 for never.
    pub refusals_per_second: f64,
    /// Allocated TCP memory over the pressure line; 0 for never.
    pub fill: f64,
    /// That the kernel entered memory pressure.
    pub pressure: bool,
    /// That connections were ended for want of TCP memory.
    pub out_of_memory: bool,
    /// 99th percentile of stalls; zero for never.
    pub stall_p99: Duration,
    /// Growth of what any one owner has forgotten, in bytes a minute; 0 for never.
    pub growth_per_minute: u64,
    /// How long a condition must hold.
    pub hold: Duration,
    /// How long none may hold before the incident is over.
    pub recover: Duration,
    /// What comes back within that long after the end of an incident is the same one.
    pub cool_down: Duration,
    /// How much of the time before the trigger the report covers.
    pub before: Duration,
}

/// Where reports of incidents are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incidents {
    /// The folder; `None` where none are written.
    pub path: Option<PathBuf>,
    /// Most reports that are kept; the oldest go first.
    pub max_reports: u64,
    /// Most bytes of them.
    pub max_size: u64,
}

/// Where reports of incidents are sent, as `tcpress export` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// URL of the request; `None` where nothing is sent.
    pub to: Option<Address>,
    /// In which shape.
    pub format: Format,
    /// A PEM file with the authorities to trust; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// A file with `user:password`.
    pub basic_file: Option<PathBuf>,
    /// A file with the integration key of PagerDuty.
    pub routing_key_file: Option<PathBuf>,
    /// Project of Jira.
    pub project: String,
    /// Type of an issue in Jira.
    pub issue_type: String,
    /// For one try.
    pub timeout: Duration,
    /// Tries after the first one, before it waits in the spool for the next round.
    pub retries: u64,
    /// The folder in which it waits; `None` where it does not.
    pub spool: Option<PathBuf>,
    /// Most bytes that wait there.
    pub spool_size: u64,
    /// Whether names are replaced by pseudonyms in what is sent.
    pub redact: bool,
}

/// What the agent may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Part of one CPU, over 60 seconds.
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Kernel memory of the maps, in bytes; `None` for 16 MiB and 64 KiB for each possible CPU.
    pub map_memory: Option<u64>,
}

/// What the agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Whether namespaces of others are entered.
    pub setns: bool,
    /// Whether capabilities that periodic work does not need are dropped after attaching.
    pub drop: bool,
}

impl Default for Config {
    fn default() -> Self {
        let secs = Duration::from_secs;
        let path = |path: &str| Some(PathBuf::from(path));
        Self {
            enabled: true,
            log: Log {
                format: LogFormat::Text,
                level: Level::Info,
            },
            scan: Scan {
                interval: secs(60),
                interval_idle: secs(300),
                interval_under_pressure: secs(10),
                fill: 0.5,
            },
            http: Http {
                listen: Some(SocketAddr::from(([127, 0, 0, 1], 9943))),
                tls_cert: None,
                tls_key: None,
                token_file: None,
                max_connections: 16,
                timeout: secs(10),
            },
            socket: Socket {
                path: path("/run/tcpress/agent.sock"),
            },
            metrics: Metrics {
                series_budget: 10_000,
                owner_grace: secs(15 * 60),
                textfile: None,
            },
            recorder: Recorder {
                path: path("/var/lib/tcpress/history.tcpress"),
                size: 64 << 20,
                minutes: 10,
            },
            trigger: Trigger {
                refusals_per_second: 10.0,
                fill: 0.9,
                pressure: true,
                out_of_memory: true,
                stall_p99: Duration::from_millis(10),
                growth_per_minute: 64 << 20,
                hold: secs(5),
                recover: secs(60),
                cool_down: secs(5 * 60),
                before: secs(2 * 60),
            },
            incidents: Incidents {
                path: path("/var/lib/tcpress/incidents"),
                max_reports: 50,
                max_size: 64 << 20,
            },
            export: Export {
                to: None,
                format: Format::Json,
                ca: None,
                token_file: None,
                basic_file: None,
                routing_key_file: None,
                project: String::new(),
                issue_type: "Task".to_owned(),
                timeout: secs(10),
                retries: 4,
                spool: path("/var/lib/tcpress/spool"),
                spool_size: 64 << 20,
                redact: false,
            },
            limits: Limits {
                cpu: 0.05,
                memory: 64 << 20,
                map_memory: None,
            },
            privileges: Privileges {
                setns: true,
                drop: true,
            },
        }
    }
}

#[cfg(test)]
mod tests;
