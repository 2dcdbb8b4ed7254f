//! The one table of all keys.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Config,
    slot::{OrOff, Slot},
};

/// One key.
pub struct Key {
    /// With the name of its table: `scan.interval`.
    pub name: &'static str,
    /// What it says, for the reference.
    pub meaning: &'static str,
    /// Whether SIGHUP is enough for a new value; else the agent must be started anew.
    pub reloads: bool,
    pub(super) slot: fn(&mut Config) -> Slot<'_>,
}

impl Key {
    /// Its value as it stands in a file.
    #[must_use]
    pub fn shown(&self, config: &Config) -> String {
        (self.slot)(&mut config.clone()).shown()
    }

    /// Its value where the file says nothing.
    #[must_use]
    pub fn default(&self) -> String {
        self.shown(&Config::default())
    }

    /// What may stand there, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        (self.slot)(&mut Config::default()).allowed()
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: u64 = 24 * 60 * 60;

const fn secs(range: RangeInclusive<u64>) -> RangeInclusive<Duration> {
    Duration::from_secs(*range.start())..=Duration::from_secs(*range.end())
}

const fn key(
    name: &'static str,
    reloads: bool,
    slot: fn(&mut Config) -> Slot<'_>,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        meaning,
        reloads,
        slot,
    }
}

/// Every key, in the order of the reference.
#[rustfmt::skip]
pub static KEYS: [Key; 51] = [
    key("enabled", true, |c| Slot::Flag(&mut c.enabled),
        "Whether anything is attached. `false` and SIGHUP detach everything, as the file /run/tcpress/off does; names, metrics and the recorder stay."),
    key("log.format", true, |c| Slot::Word(&mut c.log.format),
        "Shape of the lines on stderr."),
    key("log.level", true, |c| Slot::Word(&mut c.log.level),
        "How much is said there."),
    key("scan.interval", true, |c| Slot::Time(&mut c.scan.interval, secs(1..=DAY / 24), OrOff::No),
        "Between two listings of sockets and readings of all counters, while all is well. They also wait until they take no more of a CPU than `limits.cpu` leaves them."),
    key("scan.interval_idle", true, |c| Slot::Time(&mut c.scan.interval_idle, secs(1..=DAY / 24), OrOff::No),
        "The longest that it grows to: it doubles with each window in which nobody suffered anything and TCP memory did not move by a twentieth of the pressure line. As soon as something happens it is `scan.interval` again."),
    key("scan.interval_under_pressure", true, |c| Slot::Time(&mut c.scan.interval_under_pressure, secs(1..=DAY / 24), OrOff::No),
        "The same while something is refused, or from `scan.fill` on. At most `scan.interval`."),
    key("scan.fill", true, |c| Slot::Number(&mut c.scan.fill, 0.01..=2.0, OrOff::Zero),
        "Allocated TCP memory over the pressure line (`tcp_mem[1]`), from which on the short interval holds."),
    key("http.listen", false, |c| Slot::Listen(&mut c.http.listen),
        "Where HTTP is served; `\"\"` for nowhere. An address that is in use, or not there yet, is tried again until it can be had."),
    key("http.tls_cert", true, |c| Slot::Path(&mut c.http.tls_cert),
        "Certificates of the server (PEM), its own first. With `http.tls_key`: both or none. Without them HTTP is not encrypted."),
    key("http.tls_key", true, |c| Slot::Path(&mut c.http.tls_key),
        "Private key of the server (PEM). Both files are read again by SIGHUP."),
    key("http.token_file", true, |c| Slot::Path(&mut c.http.token_file),
        "File with the bearer token that is asked for on all paths but `/healthz` and `/readyz`; `\"\"` for none. It is read again by SIGHUP."),
    key("http.max_connections", true, |c| Slot::Count(&mut c.http.max_connections, 1..=1024),
        "Connections at one time. For one more, that which has waited longest without a whole request is closed; where all have one, the new one."),
    key("http.timeout", true, |c| Slot::Time(&mut c.http.timeout, secs(1..=300), OrOff::No),
        "Time for a TLS handshake, for the head of a request, and for an answer to be taken, each."),
    key("socket.path", false, |c| Slot::SocketPath(&mut c.socket.path),
        "Unix socket that `tcpress report` and `tcpress top` ask; `\"\"` for none. It is made with mode 0600."),
    key("metrics.series_budget", false, |c| Slot::Count(&mut c.metrics.series_budget, 500..=1_000_000),
        "Most series on `/metrics`. The owners with most harm and most memory are shown each, the rest is summed as `other`."),
    key("metrics.owner_grace", true, |c| Slot::Time(&mut c.metrics.owner_grace, secs(0..=DAY), OrOff::No),
        "How long an owner that is gone is still shown, so that the last of its counts are scraped."),
    key("metrics.textfile", true, |c| Slot::Path(&mut c.metrics.textfile),
        "File for the textfile collector of the node exporter, such as /var/lib/node_exporter/tcpress.prom, written anew after each window; `\"\"` for none."),
    key("recorder.path", false, |c| Slot::Path(&mut c.recorder.path),
        "File of the flight recorder; `\"\"` keeps the last minutes in memory alone."),
    key("recorder.size", false, |c| Slot::Size(&mut c.recorder.size, MIB..=4 * GIB, OrOff::No),
        "Its size, taken at once and kept: the oldest minutes make room for new ones."),
    key("recorder.minutes", false, |c| Slot::Count(&mut c.recorder.minutes, 1..=60),
        "Minutes that are kept second by second, in memory."),
    key("trigger.refusals_per_second", true, |c| Slot::Number(&mut c.trigger.refusals_per_second, 0.01..=1e9, OrOff::Zero),
        "An incident begins when so many segments are refused on the node in a second."),
    key("trigger.fill", true, |c| Slot::Number(&mut c.trigger.fill, 0.01..=2.0, OrOff::Zero),
        "Or when so much of the pressure line (`tcp_mem[1]`) is allocated."),
    key("trigger.pressure", true, |c| Slot::Flag(&mut c.trigger.pressure),
        "Or when the kernel enters TCP memory pressure."),
    key("trigger.out_of_memory", true, |c| Slot::Flag(&mut c.trigger.out_of_memory),
        "Or when it ends a connection for want of TCP memory."),
    key("trigger.stall_p99", true, |c| Slot::Time(&mut c.trigger.stall_p99, Duration::from_millis(1)..=Duration::from_secs(60), OrOff::Zero),
        "Or when prunes keep the CPU for so long (99th percentile)."),
    key("trigger.growth_per_minute", true, |c| Slot::Size(&mut c.trigger.growth_per_minute, 64 * KIB..=1024 * GIB, OrOff::Zero),
        "Or when what one owner has forgotten in sockets grows by so much in a minute."),
    key("trigger.hold", true, |c| Slot::Time(&mut c.trigger.hold, secs(0..=600), OrOff::No),
        "How long rates and fills must stay beyond their mark before an incident begins. Pressure and out of memory are events: they begin one at once."),
    key("trigger.recover", true, |c| Slot::Time(&mut c.trigger.recover, secs(1..=DAY), OrOff::No),
        "An incident is over when nothing was beyond its mark for so long."),
    key("trigger.cool_down", true, |c| Slot::Time(&mut c.trigger.cool_down, secs(0..=DAY), OrOff::No),
        "What comes back within so long after its end is the same incident."),
    key("trigger.before", true, |c| Slot::Time(&mut c.trigger.before, secs(0..=3600), OrOff::No),
        "How much of the time before the trigger its report covers. At most `recorder.minutes`."),
    key("incidents.path", false, |c| Slot::Path(&mut c.incidents.path),
        "Folder for reports of incidents; `\"\"` writes none."),
    key("incidents.max_reports", true, |c| Slot::Count(&mut c.incidents.max_reports, 1..=10_000),
        "Most reports there; the oldest go first."),
    key("incidents.max_size", true, |c| Slot::Size(&mut c.incidents.max_size, MIB..=64 * GIB, OrOff::No),
        "Most bytes of them."),
    key("export.to", true, |c| Slot::Url(&mut c.export.to),
        "URL to which reports of incidents are sent, as `tcpress export --to` does; `\"\"` sends none. No secret may stand in it."),
    key("export.format", true, |c| Slot::Word(&mut c.export.format),
        "In which shape."),
    key("export.ca", true, |c| Slot::Path(&mut c.export.ca),
        "Authorities to trust (PEM), and no others; `\"\"` for those of the system."),
    key("export.token_file", true, |c| Slot::Path(&mut c.export.token_file),
        "File with a bearer token. Secrets go to addresses with https alone."),
    key("export.basic_file", true, |c| Slot::Path(&mut c.export.basic_file),
        "File with user:password, instead of a token."),
    key("export.routing_key_file", true, |c| Slot::Path(&mut c.export.routing_key_file),
        "File with the integration key of PagerDuty."),
    key("export.project", true, |c| Slot::Text(&mut c.export.project),
        "Key of the project of Jira; needed with that format."),
    key("export.issue_type", true, |c| Slot::Text(&mut c.export.issue_type),
        "Type of an issue in Jira."),
    key("export.timeout", true, |c| Slot::Time(&mut c.export.timeout, secs(1..=300), OrOff::No),
        "For one try."),
    key("export.retries", true, |c| Slot::Count(&mut c.export.retries, 0..=100),
        "Tries after the first one. What was not sent then waits in the spool."),
    key("export.spool", true, |c| Slot::Path(&mut c.export.spool),
        "Folder in which it waits; `\"\"` for none."),
    key("export.spool_size", true, |c| Slot::Size(&mut c.export.spool_size, 64 * KIB..=64 * GIB, OrOff::No),
        "Most bytes that wait there; what no longer fits is lost, counted and told."),
    key("export.redact", true, |c| Slot::Flag(&mut c.export.redact),
        "Pseudonyms instead of names, addresses and labels in what is sent. What is kept on the node has the names."),
    key("limits.cpu", true, |c| Slot::Number(&mut c.limits.cpu, 0.001..=16.0, OrOff::No),
        "CPU time over 60 seconds, as a part of one CPU. Listings of sockets become rarer so that it is kept; where that is not enough, everything is detached."),
    key("limits.memory", true, |c| Slot::Size(&mut c.limits.memory, 16 * MIB..=16 * GIB, OrOff::No),
        "Resident memory of the agent. Near it, what is kept in memory of the last minutes is cut."),
    key("limits.map_memory", false, |c| Slot::SizeOrAuto(&mut c.limits.map_memory, MIB..=4 * GIB),
        "Kernel memory of the maps, as `--map-bytes`; `\"auto\"` is 16 MiB and 64 KiB for each possible CPU."),
    key("privileges.setns", false, |c| Slot::Flag(&mut c.privileges.setns),
        "Whether the namespaces of others are entered, which takes CAP_SYS_ADMIN. What is blind without it stands under “Privileges”."),
    key("privileges.drop", false, |c| Slot::Flag(&mut c.privileges.drop),
        "Whether capabilities that periodic work does not need are dropped once everything is attached."),
];
