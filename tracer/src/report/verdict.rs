//! The finding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::tally::limit;

use super::context::Reader;

/// Limit that refused.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The socket's own receive buffer.
    Rcvbuf,
    /// TCP memory of the node.
    TcpMem,
    /// Memory of the socket's cgroup, or of one above it.
    Memcg,
    /// Not seen.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Limit {
    /// Every one, in the order that breaks a tie.
    pub const ALL: [Self; 4] = [Self::TcpMem, Self::Memcg, Self::Rcvbuf, Self::Unknown];

    /// From the number that kernel programs use ([`tracer_common::tally::limit`]).
    #[must_use]
    pub const fn from_number(number: usize) -> Self {
        match number {
            limit::RCVBUF => Self::Rcvbuf,
            limit::TCP_MEM_HARD | limit::TCP_MEM_FAIR_SHARE => Self::TcpMem,
            limit::MEMCG_V2 | limit::MEMCG_V1_TCPMEM => Self::Memcg,
            _ => Self::Unknown,
        }
    }

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rcvbuf => "rcvbuf",
            Self::TcpMem => "tcp_mem",
            Self::Memcg => "memcg",
            Self::Unknown => "unknown",
        }
    }
}

/// How the limit refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Allocated pages were over `tcp_mem[2]`.
    Hard,
    /// Under pressure, the socket held more than its fair share.
    FairShare,
    /// By the memory of a cgroup in the v2 hierarchy (`memory.max`).
    V2,
    /// By the TCP memory of a cgroup in the v1 hierarchy (`memory.kmem.tcp.limit_in_bytes`).
    V1Tcpmem,
}

impl Detail {
    /// From the number that kernel programs use ([`tracer_common::tally::limit`]).
    #[must_use]
    pub const fn from_number(number: usize) -> Option<Self> {
        match number {
            limit::TCP_MEM_HARD => Some(Self::Hard),
            limit::TCP_MEM_FAIR_SHARE => Some(Self::FairShare),
            limit::MEMCG_V2 => Some(Self::V2),
            limit::MEMCG_V1_TCPMEM => Some(Self::V1Tcpmem),
            _ => None,
        }
    }

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::FairShare => "fair_share",
            Self::V2 => "v2",
            Self::V1Tcpmem => "v1_tcpmem",
        }
    }
}

/// What a verdict rests on.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Every failed admission was seen in the kernel.
    Probes,
    /// Inferred from the kernel's counters and from who holds memory.
    #[default]
    Counters,
}

impl Basis {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Counters => "counters",
        }
    }
}

/// What is the matter.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// TCP memory of the node is taken by sockets that somebody has forgotten.
    TcpMemLeak,
    /// TCP memory of the node is taken by sockets that are in use: the limit is too small for them.
    TcpMemUndersized,
    /// A receive buffer is too small for a reader that keeps up.
    RcvbufSmall,
    /// A reader does not take what has arrived.
    SlowReader,
    /// The memory of a cgroup is full.
    MemcgLimit,
    /// Segments wait for others that were lost or overtaken on the way.
    OfoGrowth,
    /// Connections that were closed with data which their peers do not take.
    OrphanFlood,
    /// Segments found their socket in use, and the queue before it full.
    Backlog,
    /// Connections were ended for want of TCP memory.
    OomAborts,
    /// Nothing is wrong.
    Healthy,
    /// Not enough is known to say.
    #[default]
    #[serde(other)]
    Inconclusive,
}

impl Kind {
    /// Whether something is the matter, and it is known what. A report that says nothing for certain is no finding.
    #[must_use]
    pub const fn is_finding(self) -> bool {
        !matches!(self, Self::Healthy | Self::Inconclusive)
    }

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TcpMemLeak => "tcp_mem_leak",
            Self::TcpMemUndersized => "tcp_mem_undersized",
            Self::RcvbufSmall => "rcvbuf_small",
            Self::SlowReader => "slow_reader",
            Self::MemcgLimit => "memcg_limit",
            Self::OfoGrowth => "ofo_growth",
            Self::OrphanFlood => "orphan_flood",
            Self::Backlog => "backlog",
            Self::OomAborts => "oom_aborts",
            Self::Healthy => "healthy",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// How sockets are forgotten.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// The peer has closed, the application never does.
    CloseWait,
    /// The peer has reset the connection while data was unread; until the application closes it, it is in no table that
    /// `ss` shows.
    ResetUnread,
    /// The connection is open, and what arrives is never read.
    NotReading,
    /// The connection waits at a listener that does not accept it.
    NotAccepted,
    /// A way that this version does not know.
    #[serde(other)]
    Other,
}

impl Leak {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloseWait => "close_wait",
            Self::ResetUnread => "reset_unread",
            Self::NotReading => "not_reading",
            Self::NotAccepted => "not_accepted",
            Self::Other => "other",
        }
    }
}

/// How sure a verdict is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing is said that could be wrong.
    #[default]
    None,
    /// It is the likeliest of what is known.
    Low,
    /// Something that could change it was not seen.
    Medium,
    /// Everything that it rests on was seen.
    High,
}

impl Confidence {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verdict {
    /// What is the matter.
    pub kind: Kind,
    /// How sockets are forgotten; null where none are.
    pub leak: Option<Leak>,
    /// Why a reader does not read; null where none is to blame.
    pub reader: Option<Reader>,
    /// How sure that is.
    pub confidence: Confidence,
    /// All of it in one line.
    pub headline: String,
    /// The limit that refused most; null when nothing was refused or pruned.
    pub limit: Option<Limit>,
    /// How it refused, where that was seen.
    pub detail: Option<Detail>,
    /// What the verdict rests on.
    pub evidence: Basis,
    /// One sentence that an on-call person can act on, and after it what makes the counts less than exact.
    pub summary: String,
    /// The facts that speak for it, each with its figures.
    pub evidence_lines: Vec<String>,
    /// What it is not, and why not.
    pub ruled_out: Vec<RuledOut>,
    /// Commands that check it by hand.
    pub checks: Vec<Check>,
    /// What to do, the least harmful first, each with its effect, its cost and its undo. Empty when nothing is safe to advise.
    pub advice: Vec<Advice>,
}

/// A cause that was looked at and is not it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RuledOut {
    /// Which.
    pub what: String,
    /// Why not, with the figures.
    pub why: String,
}

/// A command that checks the verdict by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Check {
    /// To be run on the node.
    pub command: String,
    /// What it shows where the verdict is right.
    pub expect: String,
}

/// Something to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Advice {
    /// What to do, or not to do.
    pub action: String,
    /// The exact command; null where it is no matter of one.
    pub command: Option<String>,
    /// What it brings.
    pub effect: String,
    /// TCP memory that it frees.
    pub frees_bytes: Option<u64>,
    /// Fill of the node afterwards.
    pub predicted_fill: Option<f64>,
    /// Whom it hits.
    pub affected: String,
    /// Time until TCP memory is full again at the growth measured, in milliseconds; null where it does not grow, or
    /// where that is not known.
    pub full_again_ms: Option<u64>,
    /// What it costs.
    pub cost: String,
    /// What may go wrong.
    pub risk: String,
    /// How it is taken back.
    pub undo: String,
}
