//! The records of a capture.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::{EventRecord, SocketState, TallyKey, TimelineRecord, lost, selfcheck};

use super::left_out::{LeftOut, Rest};
use crate::{
    aggregate::{Delta, Group, steps::Step},
    attribute::{Descriptor, Owner},
    holders::{Socket, part::Part},
    indicators::{Row, Sockstat, TcpMemory, memcg::Pressed},
    kernel::plan::Plan,
    report::{AtRest, Context, Node, Window, plan::Maps},
};

/// Name and version of the format.
pub const SCHEMA: &str = "tcpress.capture/v1";

/// One line of a capture. Owners have numbers, by which other records mean them; times of the kernel programs are nanoseconds of
/// `CLOCK_MONOTONIC`; ids are numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Header(Box<Header>),
    /// Who somebody is.
    Owner {
        /// By which other records mean it.
        number: u32,
        /// What is known of it.
        owner: Owner,
    },
    /// Whose the counts, or the memory cgroup, of a key are.
    Name {
        /// The key.
        key: TallyKey,
        /// Number of the owner.
        owner: u32,
    },
    /// What one key did within the window.
    Tally(Box<Delta>),
    /// Our count of one counter of one network namespace, and the kernel's.
    Row(Row),
    /// A pod that lives in a network namespace.
    Resident {
        /// Inode number of the namespace.
        netns_inum: u32,
        /// Number of the owner.
        owner: u32,
    },
    /// A memory cgroup to which something happened.
    Memcg(Pressed),
    /// `sock` of `memory.stat` of the cgroup of a holder, in bytes.
    MemoryStat {
        /// Whose.
        group: Group,
        /// How much.
        bytes: u64,
    },
    /// Why somebody does not read.
    Context {
        /// Who.
        group: Group,
        /// The figures and what they say.
        context: Box<Context>,
    },
    /// What could not be read, in words.
    Gap {
        /// The words.
        words: String,
    },
    /// A change of the node's state.
    Timeline(TimelineRecord),
    /// How many orphans there were from a time on.
    Orphans {
        /// When it was read.
        at: Timestamp,
        /// How many.
        orphans: u64,
    },
    /// A step of the window.
    Step(Step),
    /// What happened to one socket.
    SocketState {
        /// Its cookie.
        cookie: u64,
        /// What.
        state: SocketState,
    },
    /// A sampled failure.
    Event(EventRecord),
    /// A look at all TCP sockets.
    Scan {
        /// Which.
        moment: Moment,
        /// When it was begun; null where that is not known.
        #[serde(default)]
        at: Option<Timestamp>,
        /// The node's own account right before and right after.
        around: [Sockstat; 2],
        /// What could not be read, in words.
        gaps: Vec<String>,
    },
    /// Owners of a look of whom only the sum was kept: they stand as one among its sums.
    Rest {
        /// Which look.
        moment: Moment,
        /// How many.
        #[serde(flatten)]
        rest: Rest,
    },
    /// A socket of a look.
    Socket {
        /// Which look.
        moment: Moment,
        /// Number of its owner.
        owner: u32,
        /// The socket.
        socket: Socket,
    },
    /// Sockets of a look of which only the sum was kept.
    Sum {
        /// Which look.
        moment: Moment,
        /// Number of their owner.
        owner: u32,
        /// One of them.
        example: Socket,
        /// Their sum.
        part: Part,
        /// Those that hold most.
        top: Vec<Socket>,
    },
    /// Which descriptor leads to a socket.
    Descriptor {
        /// Inode number of the socket.
        inode: u32,
        /// The descriptor.
        descriptor: Descriptor,
    },
}

impl Record {
    /// Its name in documents, also the one under which [`Header::records`] counts it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Owner { .. } => "owner",
            Self::Name { .. } => "name",
            Self::Tally(_) => "tally",
            Self::Row(_) => "row",
            Self::Resident { .. } => "resident",
            Self::Memcg(_) => "memcg",
            Self::MemoryStat { .. } => "memory_stat",
            Self::Context { .. } => "context",
            Self::Gap { .. } => "gap",
            Self::Timeline(_) => "timeline",
            Self::Orphans { .. } => "orphans",
            Self::Step(_) => "step",
            Self::SocketState { .. } => "socket_state",
            Self::Event(_) => "event",
            Self::Scan { .. } => "scan",
            Self::Rest { .. } => "rest",
            Self::Socket { .. } => "socket",
            Self::Sum { .. } => "sum",
            Self::Descriptor { .. } => "descriptor",
        }
    }
}

/// When sockets were looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// At the start of the window.
    Start,
    /// When most TCP memory was taken in between.
    Peak,
    /// At the end.
    End,
}

/// The first line of a capture: what there is once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Always `tcpress.capture/v1`.
    pub schema: String,
    /// Version of tcpress that measured.
    pub tcpress: String,
    /// Version of what kernel programs and user space share ([`tracer_common::ABI_VERSION`]), by which the lists of counters are
    /// meant.
    pub abi: u32,
    /// How many records of each kind follow.
    pub records: BTreeMap<String, u64>,
    /// The time that counts cover.
    pub window: Window,
    /// Where it was measured.
    pub node: Node,
    /// What this kernel allowed.
    pub plan: Plan,
    /// Whether kernel programs counted.
    pub traced: bool,
    /// Most owners in each list of the report.
    pub top: usize,
    /// The wall clock when `CLOCK_MONOTONIC` was 0.
    pub monotonic_zero: Timestamp,
    /// The same by the clock at the beginning and by the clock at the end, where it was set in between; `monotonic_zero` is then the one
    /// that times of kernel records are counted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zeros: Option<[Timestamp; 2]>,
    /// Rows that were at rest and are not among the records.
    #[serde(default, skip_serializing_if = "AtRest::is_empty")]
    pub at_rest: AtRest,
    /// What else a recording left out, which no count is made of.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
    /// TCP memory of the node at the start.
    pub memory_start: TcpMemory,
    /// When most of it was taken in between; null when the node never came under pressure.
    pub memory_peak: Option<TcpMemory>,
    /// At the end.
    pub memory_end: TcpMemory,
    /// What kernel programs lost, by [`lost::NAMES`].
    #[serde(with = "tracer_common::list")]
    #[schemars(with = "Vec<u64>")]
    pub losses: [u64; lost::COUNT as usize],
    /// Results of the self-check; null when none was made.
    pub selfcheck: Option<[u64; selfcheck::COUNT as usize]>,
    /// Skipped runs of each program; null where the kernel does not tell.
    pub recursion_misses: Option<Vec<(String, u64)>>,
    /// Most events that may be missing for that.
    pub possible_misses: Option<u64>,
    /// Whether events of memory cgroups could be read.
    pub memcgs: bool,
    /// The maps in the kernel; null when nothing was loaded.
    pub maps: Option<Maps>,
    /// Container runtimes that told names.
    pub runtimes: Vec<String>,
}
