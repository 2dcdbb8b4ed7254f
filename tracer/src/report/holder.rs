//! Who holds TCP memory, and who of them is accused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Owner};

/// TCP memory that one owner holds. Sizes are bytes of `truesize` unless named otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Holder {
    /// Who.
    pub owner: Owner,
    /// What its sockets take from `tcp_mem`: receive, send and reserved.
    pub held_bytes: u64,
    /// Its part of all that was found in sockets of this node, 0 to 1; null when nothing was found.
    pub share: Option<f64>,
    /// Change of `held_bytes` within the window; null when only one scan was made.
    pub growth_bytes: Option<i64>,
    /// Sockets, also those whose memory could not be read.
    pub sockets: u64,
    /// Of these, sockets that their application has closed and that the kernel still has to finish.
    pub orphans: u64,
    /// Receive and out-of-order queues.
    pub receive_bytes: u64,
    /// Send queues.
    pub send_bytes: u64,
    /// Reserved and not used yet.
    pub forward_bytes: u64,
    /// Payload in receive queues that nobody has read; listeners do not count.
    pub unread_bytes: u64,
    /// Of the sockets, connections that wait at a listener: their application has not accepted them.
    pub not_accepted_sockets: u64,
    /// What those take from `tcp_mem`.
    pub not_accepted_bytes: u64,
    /// Of the sockets, those that no table of the kernel lists (nor `ss`): their connection is dead, for example reset by the
    /// peer while data was unread, and they keep their queues until their application closes them. Found by their descriptors.
    pub unlisted_sockets: u64,
    /// What those take from `tcp_mem`.
    pub unlisted_bytes: u64,
    /// A second witness: socket memory by the memory controller, `sock` of `memory.stat` of the owner's cgroup. Connections that
    /// are not accepted are not in it. Null where there is no such figure.
    pub memory_stat_sock_bytes: Option<u64>,
    /// Inode numbers of its network namespaces.
    pub netns: Vec<String>,
    /// By TCP state, most bytes first.
    pub states: Vec<StateSum>,
    /// The sockets that hold most, most bytes first.
    pub top_sockets: Vec<TopSocket>,
}

/// Sockets of one owner in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateSum {
    /// TCP state, for example `CLOSE-WAIT`.
    pub state: String,
    /// How many.
    pub sockets: u64,
    /// What they take from `tcp_mem`.
    pub held_bytes: u64,
    /// Change of `held_bytes` within the window; null when only one scan was made.
    pub growth_bytes: Option<i64>,
    /// Receive and out-of-order queues.
    pub receive_bytes: u64,
    /// Send queues.
    pub send_bytes: u64,
    /// Reserved and not used yet.
    pub forward_bytes: u64,
    /// Payload in receive queues that nobody has read; 0 for listeners.
    pub unread_bytes: u64,
    /// Of the sockets, those that no table of the kernel lists.
    pub unlisted_sockets: u64,
    /// Of the sockets, connections that wait at a listener to be accepted.
    pub not_accepted_sockets: u64,
    /// Longest time since data was received, in milliseconds, of the owner's top sockets in this state. The kernel keeps no age
    /// of a socket; this is the least time for which what is unread has been unread. Null where none was asked.
    pub idle_ms: Option<u64>,
}

/// One of the sockets that hold most of an owner's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TopSocket {
    /// Local end.
    pub local: Option<String>,
    /// Remote end; null for a listener.
    pub remote: Option<String>,
    /// TCP state, for example `CLOSE-WAIT`.
    pub state: String,
    /// Inode number of its network namespace.
    pub netns: String,
    /// Whether a table of the kernel lists it.
    pub listed: bool,
    /// What it takes from `tcp_mem`.
    pub held_bytes: u64,
    /// Payload that nobody has read.
    pub unread_bytes: u64,
    /// Milliseconds since it last received data; null where that was not asked.
    pub idle_ms: Option<u64>,
    /// A process that holds it; null when no file does, or that was not looked for.
    pub pid: Option<i32>,
    /// Its command.
    pub command: Option<String>,
    /// The number of its descriptor.
    pub fd: Option<i32>,
}

/// A holder that explains the limit that refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Culprit {
    /// What it holds.
    #[serde(flatten)]
    pub holder: Holder,
    /// Why it is named, in one sentence.
    pub why: String,
    /// Why it does not read; null where nothing was read of it.
    pub context: Option<Context>,
}
