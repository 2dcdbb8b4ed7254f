//! Changes of the node's state: memory pressure, connections ended for want of memory, orphans.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::{TimelineRecord, event::timeline};

use super::Owner;

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Whose socket was at hand; for pressure not who holds the memory. Orphans are counted node-wide here, and by owner among the
    /// holders.
    #[serde(default)]
    pub owner: Owner,
    /// Inode number of its network namespace.
    #[serde(default)]
    pub netns: String,
    /// Cookie of the socket; null when the kernel has not given it one.
    #[serde(default)]
    pub cookie: Option<String>,
    /// How long the pressure that ended had lasted, in milliseconds, as the kernel counts
    /// (`TCPMemoryPressuresChrono`, in ticks of its clock); null for other events.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Sockets that no process holds any more, node-wide, from this moment on, as read once a second; null for other events.
    #[serde(default)]
    pub orphans: Option<u64>,
}

/// What happened.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The node came under TCP memory pressure (`TCPMemoryPressures`).
    PressureEntered,
    /// The pressure ended. One that lasted no tick of the kernel's clock ends without this.
    PressureLeft,
    /// A connection was ended for want of memory, or as one orphan too many (`TCPAbortOnMemory`).
    AbortOnMemory,
    /// The number of orphans changed.
    Orphans,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// From the number that kernel programs use ([`timeline`]).
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            timeline::PRESSURE_ENTERED => Self::PressureEntered,
            timeline::PRESSURE_LEFT => Self::PressureLeft,
            timeline::ABORT_ON_MEMORY => Self::AbortOnMemory,
            _ => Self::Unknown,
        }
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PressureEntered => "memory pressure entered",
            Self::PressureLeft => "memory pressure left",
            Self::AbortOnMemory => "connection ended for want of memory",
            Self::Orphans => "orphans",
            Self::Unknown => "unknown",
        }
    }
}

impl Moment {
    /// A record in words; `owner` is that of `record.owner`, `at` the wall clock of `record.at_ns`.
    #[must_use]
    pub fn new(record: &TimelineRecord, owner: Owner, at: Timestamp) -> Self {
        Self {
            at,
            event: Event::from_number(record.kind),
            owner,
            netns: record.owner.netns_inum.to_string(),
            cookie: (record.cookie != 0).then(|| record.cookie.to_string()),
            duration_ms: (record.kind == timeline::PRESSURE_LEFT)
                .then_some(u64::from(record.milliseconds)),
            orphans: None,
        }
    }

    /// From now on there are that many orphans.
    #[must_use]
    pub fn orphans(at: Timestamp, orphans: u64) -> Self {
        Self {
            at,
            event: Event::Orphans,
            owner: Owner::default(),
            netns: String::new(),
            cookie: None,
            duration_ms: None,
            orphans: Some(orphans),
        }
    }
}
