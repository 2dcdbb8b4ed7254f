//! What raises an incident.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Segments are refused.
    Refusals,
    /// TCP memory of the node is nearly full.
    Fill,
    /// The node is under memory pressure.
    Pressure,
    /// Connections are ended for want of memory.
    OutOfMemory,
    /// Prunes keep the CPU for long.
    Stalls,
    /// Forgotten sockets of one owner grow.
    Growth,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Refusals,
        Self::Fill,
        Self::Pressure,
        Self::OutOfMemory,
        Self::Stalls,
        Self::Growth,
    ];

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refusals => "refusals",
            Self::Fill => "fill",
            Self::Pressure => "pressure",
            Self::OutOfMemory => "out_of_memory",
            Self::Stalls => "stalls",
            Self::Growth => "growth",
        }
    }
}
