//! Who holds TCP memory, and who of them is accused.

use serde::{Deserialize, Serialize};

use super::{Context, Owner};

/// TCP memory that one owner holds. Sizes are bytes of `truesize` unless named otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// By TCP state, most bytes first.
    pub states: Vec<StateSum>,
}

/// Sockets of one owner in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateSum {
    /// TCP state, for example `CLOSE-WAIT`.
    pub state: String,
    /// How many.
    pub sockets: u64,
    /// What they take from `tcp_mem`.
    pub held_bytes: u64,
}

/// A holder that explains the limit that refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
