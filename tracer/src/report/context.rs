//! Why an owner does not read: the five states that its threads may wait in, each with figures and a ruling.

mod figures;
mod wait;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use figures::{Cpu, Io, Locks, Memory, Network, NetworkSocket, Psi};
pub use wait::{ThreadWait, Threads, Wait};

/// What one owner waited for within the window. What could not be read is null, never 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Context {
    /// Why what lies in its receive queues is not read; null where nothing was left unread, or that is not known.
    pub reader: Option<Reader>,
    /// The same in one sentence, with the figures that it rests on.
    pub reader_words: String,
    /// Waiting for disks.
    pub io: Aspect<Io>,
    /// Waiting for CPU time.
    pub cpu: Aspect<Cpu>,
    /// Waiting for another thread.
    pub locks: Aspect<Locks>,
    /// Waiting for user-space memory.
    pub memory: Aspect<Memory>,
    /// Loss on the wire, and waiting for a peer.
    pub network: Aspect<Network>,
    /// What the threads of its reading processes did each time they were looked at.
    pub threads: Threads,
    /// Payload that lay unread at the end of the window in sockets that their application had left alone: unread at both of its
    /// ends, or for a second, or filling half of the receive buffer. Null when no scan was made.
    pub left_unread_bytes: Option<u64>,
    /// Time between the two readings that figures are differences of; null where only one was made.
    pub covers_ns: Option<u64>,
    /// Cgroups that were read, the owner's own first.
    pub cgroups: Vec<String>,
    /// In words: what could not be read, and what is weaker on this host.
    pub gaps: Vec<String>,
}

/// One of the five states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Aspect<F: Default> {
    /// Whether the owner waits for it.
    pub finding: Ruling,
    /// The ruling in one sentence, with the figures that it rests on.
    pub words: String,
    /// What was measured.
    #[serde(flatten)]
    pub figures: F,
}

/// What figures say of one state.
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
pub enum Ruling {
    /// The owner waits for it.
    Confirmed,
    /// It does not.
    RuledOut,
    /// The figures are not there, or do not tell.
    #[default]
    #[serde(other)]
    NotKnown,
}

/// Why a reader does not read.
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
pub enum Reader {
    /// Its threads wait for disks.
    Io,
    /// Its threads get too little CPU time, or have more to do than one thread can.
    Cpu,
    /// Its threads wait for a lock.
    Locks,
    /// Its threads wait for memory.
    Memory,
    /// Nothing keeps it: the application does not ask for the data.
    Idle,
    /// It does not read, and the figures do not tell why.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Reader {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Cpu => "cpu",
            Self::Locks => "locks",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
        }
    }
}
