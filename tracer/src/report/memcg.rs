//! Memory cgroups under pressure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Owner;
use crate::indicators::memcg::Pressed;

/// Sockets that take one part in so many of a memory cgroup's limit suffer by it.
const SOCKETS_MATTER: u64 = 10;

/// A memory cgroup to which something happened within the window. From 6.1 on a full one hardly ever refuses a segment:
/// it keeps the windows of its sockets small instead, and this is where that shows. Counts are of the cgroup itself, not of
/// those below it; null where the kernel does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemcgPressure {
    /// Whose it is; a slice above several pods is nobody's alone.
    pub owner: Owner,
    /// Its id.
    pub cgroup_id: String,
    /// Charges that met `memory.max`.
    pub max_events: Option<u64>,
    /// Charges that went over `memory.high`.
    pub high_events: Option<u64>,
    /// Times that nothing could be reclaimed.
    pub oom_events: Option<u64>,
    /// Processes killed for it.
    pub oom_kills: Option<u64>,
    /// Times that a socket found itself under pressure of this cgroup (6.19 and later).
    pub sock_throttled: Option<u64>,
    /// What is charged to it and all below it.
    pub usage_bytes: Option<u64>,
    /// Its limit; null when it has none.
    pub max_bytes: Option<u64>,
    /// Socket memory in it.
    pub sock_bytes: Option<u64>,
    /// Sockets in it whose receive window was held at four segments or fewer when the window closed; null where the kernel did
    /// not tell.
    pub windows_clamped: Option<u64>,
}

impl MemcgPressure {
    /// A cgroup with its owner.
    #[must_use]
    pub fn new(pressed: &Pressed, owner: Owner) -> Self {
        let events = pressed.events;
        Self {
            owner,
            cgroup_id: pressed.id.to_string(),
            max_events: events.max,
            high_events: events.high,
            oom_events: events.oom,
            oom_kills: events.oom_kill,
            sock_throttled: events.sock_throttled,
            usage_bytes: pressed.usage_bytes,
            max_bytes: pressed.max_bytes,
            sock_bytes: pressed.sock_bytes,
            windows_clamped: pressed.windows_clamped,
        }
    }

    /// Whether more is charged to it than its limit, as nothing but softirq does.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let both = self.usage_bytes.zip(self.max_bytes);
        both.is_some_and(|(usage, max)| usage > max)
    }

    /// Whether it is full and its sockets matter to that: the kernel keeps their windows small, or what they received was charged
    /// over the limit, as it is in softirq, or they are among what could not be reclaimed when it was full. One that is full of other
    /// things, as caches make it all the time, does not matter to TCP.
    #[must_use]
    pub fn keeps_sockets_small(&self) -> bool {
        let full = self.max_events > Some(0) || self.sock_throttled > Some(0);
        let many = self
            .sock_bytes
            .zip(self.max_bytes)
            .is_some_and(|(sockets, max)| sockets >= max / SOCKETS_MATTER);
        let stuck = self.is_over() || self.oom_events > Some(0);
        full && match self.windows_clamped {
            Some(clamped) => clamped > 0 || (many && stuck),
            None => many,
        }
    }
}
