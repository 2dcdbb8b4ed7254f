//! Everything that a page of metrics is made of, as plain data.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Counts, Held, OwnerLabels, ProgramRuns, Reconciled};
use crate::indicators::{Counter, Sockstat};

/// What metrics show at one instant. What is not known is `None`, or not in the list.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Counters of owners since the agent began.
    pub owners: Vec<(Arc<OwnerLabels>, Counts)>,
    /// What owners hold, as sockets were last listed.
    pub holders: Vec<(Arc<OwnerLabels>, Held)>,
    /// The kernel's counters and ours, by the order of [`Counter::ALL`].
    pub reconciled: [Reconciled; Counter::ALL.len()],
    /// What was lost, by [`crate::report::Losses::named`].
    pub lost: BTreeMap<&'static str, u64>,
    /// Kernel programs.
    pub programs: Vec<ProgramRuns>,
    /// Counts whose owner nothing names.
    pub misses: u64,
    /// Most series that the page may have.
    pub series_budget: usize,
    /// The node.
    pub node: NodeFigures,
    /// The agent itself. Its bounds hold those of the ledger too.
    pub agent: AgentFigures,
}

/// TCP memory and sockets of the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeFigures {
    /// `/proc/net/sockstat`.
    pub sockstat: Sockstat,
    /// `net.ipv4.tcp_mem`: low, pressure and high mark, in pages.
    pub tcp_mem: Option<[u64; 3]>,
    /// Size of a page in bytes; without it nothing that is counted in pages is shown.
    pub page_size: Option<u64>,
    /// Whether TCP is under memory pressure.
    pub pressure: Option<bool>,
}

/// How full a map of the kernel programs is.
#[derive(Clone, Debug, Default)]
pub struct MapFill {
    /// Its name in the kernel object.
    pub map: String,
    /// Entries; `None` where that is not known.
    pub entries: Option<u64>,
    /// Most that it can hold.
    pub most: u64,
}

/// Reports that were sent, since the agent began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exports {
    /// Taken by the other side.
    pub delivered: u64,
    /// Put aside to be tried again.
    pub spooled: u64,
    /// Given up.
    pub failed: u64,
}

/// The agent itself.
#[derive(Clone, Debug, Default)]
pub struct AgentFigures {
    /// Maps of the kernel programs.
    pub maps: Vec<MapFill>,
    /// CPU time that the last listing of sockets took.
    pub scan: Option<Duration>,
    /// How long ago it was.
    pub scan_age: Option<Duration>,
    /// How often sockets are listed at present.
    pub scan_interval: Option<Duration>,
    /// CPU time of the agent since it began.
    pub cpu: Option<Duration>,
    /// Its resident memory, in bytes.
    pub resident_bytes: Option<u64>,
    /// Its open files.
    pub open_files: Option<u64>,
    /// Whether sockets that it opens are taken out of `tcp_mem`; `None` as long as that was not tried.
    pub sockets_exempt: Option<bool>,
    /// Times that each bound was hit.
    pub bounds_hit: BTreeMap<&'static str, u64>,
    /// Incidents since it began.
    pub incidents: u64,
    /// Whether one is open.
    pub incident_open: bool,
    /// The oldest window that the recorder still has.
    pub recorder_oldest: Option<Timestamp>,
    /// Reports sent; `None` where no export is configured.
    pub exports: Option<Exports>,
    /// Whether probes are attached.
    pub attached: bool,
    /// Why not.
    pub detached: Option<String>,
    /// Version of tcpress.
    pub version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// When the agent began.
    pub started: Option<Timestamp>,
}
