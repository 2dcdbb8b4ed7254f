//! How much has an owner: unknown is an owner like others, and its share is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is whose, in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attribution {
    /// Refusals of all owners; null when nothing was traced.
    pub refusals: Option<u64>,
    /// Of these, those whose owner nothing on the node names. (That it was lost because a table was full is `unattributed` among
    /// the losses.)
    pub unknown_refusals: Option<u64>,
    /// Bytes that the sockets of all owners hold; null when none were listed.
    pub held_bytes: Option<u64>,
    /// Of these, those of sockets whose owner nothing on the node names.
    pub unknown_held_bytes: Option<u64>,
    /// Container runtimes that told names, as `containerd 1.7.24 at /run/containerd/containerd.sock`.
    pub runtimes: Vec<String>,
}
