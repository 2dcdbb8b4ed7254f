//! How much of a capture is kept singly, by what it is for.

use crate::holders::part::MAX_TOP;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Owners that hold most, each apart; whoever suffered goes before.
    pub holders: usize,
    /// Who holds less, in bytes, is not kept apart.
    pub least_held: u64,
    /// Sockets of each of them, each by itself.
    pub sockets: usize,
    /// Sockets to which something happened.
    pub socket_states: usize,
    /// Sampled failures.
    pub events: usize,
    /// Changes of the node's state, and as many readings of orphans.
    pub moments: usize,
    /// Neighbouring steps become one up to this length, in nanoseconds.
    pub step_ns: u64,
}

impl Keep {
    /// For the last minutes, second by second.
    pub const SECONDS: Self = Self {
        holders: 40,
        least_held: 64 << 10,
        sockets: MAX_TOP,
        socket_states: 150,
        events: 100,
        moments: 200,
        step_ns: 1_000_000_000,
    };
    /// For one incident, however long it lasts.
    pub const INCIDENT: Self = Self {
        socket_states: 600,
        events: 400,
        moments: 1000,
        ..Self::SECONDS
    };
    /// For days, minute by minute.
    pub const MINUTES: Self = Self {
        holders: 20,
        least_held: 512 << 10,
        sockets: 3,
        socket_states: 60,
        events: 40,
        moments: 50,
        step_ns: 60_000_000_000,
    };
    /// Where not even that has room.
    pub const LEAST: Self = Self {
        holders: 5,
        least_held: 1 << 20,
        sockets: 0,
        socket_states: 0,
        events: 4,
        moments: 10,
        step_ns: 60_000_000_000,
    };
}
