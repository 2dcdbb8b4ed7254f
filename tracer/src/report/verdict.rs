//! The finding.

use serde::{Deserialize, Serialize};
use tracer_common::tally::limit;

/// Limit that refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
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

/// The finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// The limit that refused most; null when nothing was refused or pruned.
    pub limit: Option<Limit>,
    /// How it refused, where that was seen.
    pub detail: Option<Detail>,
    /// What the verdict rests on.
    pub evidence: Basis,
    /// One sentence that an on-call person can act on, and after it what makes the counts less than exact.
    pub summary: String,
    /// What to do, each with its effect, its cost and its undo. Empty when nothing is safe to advise.
    pub advice: Vec<Advice>,
}

/// Something to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advice {
    /// What to do, or not to do.
    pub action: String,
    /// What it brings.
    pub effect: String,
    /// What it costs.
    pub cost: String,
    /// How it is taken back.
    pub undo: String,
}
