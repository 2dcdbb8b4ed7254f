//! Orders of the lists of a report.

use std::cmp::Reverse;

use crate::report::{Holder, Victim};

/// By what owners are sorted: most first, what is not known last. A list whose owners have no such figure stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Segments refused (victims).
    Refused,
    /// Calls of the prune path (victims).
    Prunes,
    /// Time that prunes kept the CPU (victims).
    Stall,
    /// TCP memory held (holders).
    Held,
    /// Growth of it within the window (holders).
    Growth,
    /// Sockets (holders).
    Sockets,
    /// Payload that nobody has read (holders).
    Unread,
    /// Name of the owner, from A to Z (both).
    Name,
}

impl Sort {
    pub(super) fn victims(self, victims: &mut [Victim]) {
        match self {
            Self::Refused => victims.sort_by_key(|it| Reverse(it.refused())),
            Self::Prunes => victims.sort_by_key(|it| Reverse(it.prunes)),
            Self::Stall => victims.sort_by_key(|it| Reverse(it.stall_ns)),
            Self::Name => victims.sort_by(|a, b| a.owner.name.cmp(&b.owner.name)),
            Self::Held | Self::Growth | Self::Sockets | Self::Unread => {}
        }
    }

    pub(super) fn holders(self, holders: &mut [Holder]) {
        match self {
            Self::Held => holders.sort_by_key(|it| Reverse(it.held_bytes)),
            Self::Growth => holders.sort_by_key(|it| Reverse(it.growth_bytes)),
            Self::Sockets => holders.sort_by_key(|it| Reverse(it.sockets)),
            Self::Unread => holders.sort_by_key(|it| Reverse(it.unread_bytes)),
            Self::Name => holders.sort_by(|a, b| a.owner.name.cmp(&b.owner.name)),
            Self::Refused | Self::Prunes | Self::Stall => {}
        }
    }
}
