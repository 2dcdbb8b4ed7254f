//! Everything that a report is made from, as plain data: a live run and a replay fill the same struct.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tracer_common::{EventRecord, SocketState, TallyKey, TimelineRecord, lost, selfcheck};

use super::{AtRest, Context, Node, Window, plan::Maps};
use crate::{
    aggregate::{Delta, Group, steps::Step},
    attribute::{Descriptor, Owner},
    holders::{Scan, Socket},
    indicators::{Row, TcpMemory, memcg::Pressed},
    kernel::plan::Plan,
};

/// Most owners in each list of a report, unless more are asked for.
pub const MAX_OWNERS: usize = 20;
/// Most sockets of one victim.
pub const MAX_SOCKETS: usize = 5;
/// Most sampled failures.
pub const MAX_EVIDENCE: usize = 100;
/// Most moments of the timeline.
pub const MAX_MOMENTS: usize = 200;
/// Most owners whose refusals are told step by step.
pub const MAX_SERIES: usize = 8;
/// Most gaps in words.
pub const MAX_GAPS: usize = 50;

/// What a report is made from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Version of tcpress.
    pub version: &'a str,
    /// The time that counts cover.
    pub window: Window,
    /// Where it was measured.
    pub node: &'a Node,
    /// What this kernel allowed.
    pub plan: &'a Plan,
    /// Whether kernel programs counted within the window. If not, `deltas`, `losses`, `socket_states`,
    /// `timeline` and `events` are ignored, and the answer comes from counters.
    pub traced: bool,
    /// What each key did within the window.
    pub deltas: &'a [Delta],
    /// Owner of a tally; never asked for overflow buckets. Asked with both cgroup ids set to a memory
    /// cgroup, it names that cgroup.
    pub owner_of_key: &'a dyn Fn(&TallyKey) -> Owner,
    /// Owner of a socket.
    pub owner_of_socket: &'a dyn Fn(&Socket) -> Owner,
    /// The process that holds a socket, and by which descriptor, where that was looked for.
    pub descriptor_of_socket: &'a dyn Fn(&Socket) -> Option<Descriptor>,
    /// `sock` of `memory.stat` of the cgroups of holders, in bytes, at the end of the window.
    pub memory_stats: &'a BTreeMap<Group, u64>,
    /// Sockets at the start; `None` when no scan was made.
    pub scan_start: Option<&'a Scan>,
    /// Sockets, and TCP memory beside them, when most of it was taken within the window; `None` when the node never came under
    /// pressure in between.
    pub peak: Option<(&'a Scan, &'a TcpMemory)>,
    /// Sockets at the end.
    pub scan_end: Option<&'a Scan>,
    /// TCP memory at the start.
    pub memory_start: &'a TcpMemory,
    /// TCP memory at the end.
    pub memory_end: &'a TcpMemory,
    /// Our counts against the kernel's.
    pub rows: &'a [Row],
    /// Rows of these counts that were at rest and are not among them.
    pub at_rest: AtRest,
    /// Who lives in a network namespace besides the owners of the sockets that were scanned.
    pub netns_owners: &'a BTreeMap<u32, BTreeSet<Owner>>,
    /// What kernel programs lost within the window, by [`lost::NAMES`].
    pub losses: [u64; lost::COUNT as usize],
    /// Results of the self-check, by [`tracer_common::selfcheck`]; `None` when none was made.
    pub selfcheck: Option<[u64; selfcheck::COUNT as usize]>,
    /// Skipped runs of each of our programs within the window; `None` where the kernel does not tell.
    pub recursion_misses: Option<&'a [(String, u64)]>,
    /// Most events that may be missing from a count for that.
    pub possible_misses: Option<u64>,
    /// Memory cgroups to which something happened within the window; `None` where that cannot be read.
    pub memcgs: Option<&'a [Pressed]>,
    /// Why owners do not read, of those that hold or suffer most.
    pub contexts: &'a BTreeMap<Group, Context>,
    /// The maps in the kernel; `None` when nothing was loaded.
    pub maps: Option<Maps>,
    /// Most owners in each list, [`MAX_OWNERS`] at least.
    pub top: usize,
    /// In words: container runtimes that told names.
    pub runtimes: &'a [String],
    /// In words: what could not be read.
    pub gaps: &'a [String],
    /// In words: what is missing of the capture that all this comes from; `None` when it is whole, or was measured just now.
    pub damage: Option<&'a str>,
    /// What happened to single sockets, by cookie.
    pub socket_states: &'a [(u64, SocketState)],
    /// Sampled failures.
    pub events: &'a [EventRecord],
    /// Changes of the node's state.
    pub timeline: &'a [TimelineRecord],
    /// Numbers of orphans, each with the time from which on it was read, in the order of time.
    pub orphans: &'a [(Timestamp, u64)],
    /// The window in steps, as it was looked at within it, in the order of time.
    pub steps: &'a [Step],
    /// Wall clock of a time of `CLOCK_MONOTONIC` in nanoseconds.
    pub wall_clock: &'a dyn Fn(u64) -> Timestamp,
}
