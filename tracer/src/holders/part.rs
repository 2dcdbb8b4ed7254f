//! Sums of sockets: how many, what they hold, and how it is spread.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::socket::{Socket, TcpState};

/// Sockets that are kept by themselves besides a sum.
pub const MAX_TOP: usize = 5;

/// Puts a socket among the largest, most bytes first, if it is one of them.
pub fn keep_largest(top: &mut Vec<Socket>, socket: &Socket) {
    let held = socket.held();
    let least = top.last().map_or(0, Socket::held);
    if held == 0 || (top.len() == MAX_TOP && held <= least) {
        return;
    }
    let at = top.partition_point(|other| other.held() >= held);
    top.truncate(MAX_TOP - 1);
    top.insert(at.min(top.len()), socket.clone());
}

/// Sockets of one state, summed. Sizes are bytes of `truesize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// How many.
    pub sockets: u64,
    /// Of `sockets`, full ones, which the kernel counts as allocated: no stand-ins.
    pub full: u64,
    /// What they take from `tcp_mem`.
    pub held: u64,
    /// Receive and out-of-order queues.
    pub receive: u64,
    /// Send queues.
    pub send: u64,
    /// Reserved and not used yet.
    pub forward: u64,
    /// Payload that nobody has read; 0 for listeners, whose number means connections.
    pub unread: u64,
    /// Of `sockets`, those that no file holds: not accepted yet, or closed by their application.
    pub fileless: u64,
    /// What those take from `tcp_mem`.
    pub fileless_held: u64,
    /// Of `fileless`, those that were closed by their application: orphans, as `/proc/net/sockstat` counts them.
    pub orphans: u64,
    /// Of `fileless`, connections that wait at a listener: their application has not accepted them.
    pub not_accepted: u64,
    /// What those take from `tcp_mem`.
    pub not_accepted_held: u64,
    /// Of `sockets`, those that no table of the kernel lists.
    pub unlisted: u64,
    /// What those take from `tcp_mem`.
    pub unlisted_held: u64,
    /// Of `sockets`, those whose memory the kernel did not tell although they have some: their payload
    /// stands for it, which is less.
    pub unmeasured: u64,
    /// Connections that wait at listeners to be accepted, as the listeners count them.
    pub waiting: u64,
    /// Longest time since data was received, in milliseconds, of the sockets that were asked.
    pub idle_ms: Option<u32>,
    /// Change of `held` since the scan before; `None` when there was none.
    pub growth: Option<i64>,
}

impl Part {
    /// Adds one socket.
    pub fn add(&mut self, socket: &Socket) {
        self.sockets = self.sockets.saturating_add(1);
        self.full = self.full.saturating_add(u64::from(!socket.is_stand_in()));
        self.idle_ms = self.idle_ms.max(socket.idle_ms);
        if socket.state == TcpState::Listen {
            self.waiting = self.waiting.saturating_add(u64::from(socket.unread));
        } else {
            self.unread = self.unread.saturating_add(u64::from(socket.unread));
        }
        match socket.memory {
            Some(memory) => {
                self.receive = self.receive.saturating_add(u64::from(memory.rmem_alloc));
                self.send = self.send.saturating_add(u64::from(memory.wmem_queued));
                self.forward = self.forward.saturating_add(u64::from(memory.forward_alloc));
            }
            None if socket.is_stand_in() => {}
            None => {
                self.unmeasured = self.unmeasured.saturating_add(1);
                if socket.state != TcpState::Listen {
                    self.receive = self.receive.saturating_add(u64::from(socket.unread));
                    self.send = self.send.saturating_add(u64::from(socket.unsent));
                }
            }
        }
        let held = socket.held();
        self.held = self.held.saturating_add(held);
        let fileless = socket.inode == 0;
        let real = fileless && !socket.is_stand_in();
        for (which, sockets, sum) in [
            (fileless, &mut self.fileless, &mut self.fileless_held),
            (
                real && waits_to_be_accepted(socket.state),
                &mut self.not_accepted,
                &mut self.not_accepted_held,
            ),
            (!socket.listed, &mut self.unlisted, &mut self.unlisted_held),
        ] {
            if which {
                *sockets = sockets.saturating_add(1);
                *sum = sum.saturating_add(held);
            }
        }
        self.orphans = self
            .orphans
            .saturating_add(u64::from(real && is_closed(socket.state)));
    }

    /// Adds another part.
    pub fn merge(&mut self, other: &Self) {
        self.sockets = self.sockets.saturating_add(other.sockets);
        self.full = self.full.saturating_add(other.full);
        self.held = self.held.saturating_add(other.held);
        self.receive = self.receive.saturating_add(other.receive);
        self.send = self.send.saturating_add(other.send);
        self.forward = self.forward.saturating_add(other.forward);
        self.unread = self.unread.saturating_add(other.unread);
        self.fileless = self.fileless.saturating_add(other.fileless);
        self.fileless_held = self.fileless_held.saturating_add(other.fileless_held);
        self.orphans = self.orphans.saturating_add(other.orphans);
        self.not_accepted = self.not_accepted.saturating_add(other.not_accepted);
        self.not_accepted_held = self
            .not_accepted_held
            .saturating_add(other.not_accepted_held);
        self.unlisted = self.unlisted.saturating_add(other.unlisted);
        self.unlisted_held = self.unlisted_held.saturating_add(other.unlisted_held);
        self.unmeasured = self.unmeasured.saturating_add(other.unmeasured);
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.idle_ms = self.idle_ms.max(other.idle_ms);
        let growth = other
            .growth
            .map(|it| it.saturating_add(self.growth.unwrap_or(0)));
        self.growth = growth.or(self.growth);
    }
}

/// States that a socket reaches only after its application has closed it, or shut it down.
const fn is_closed(state: TcpState) -> bool {
    use TcpState::{Closing, FinWait1, FinWait2, LastAck};
    matches!(state, FinWait1 | FinWait2 | Closing | LastAck)
}

/// States of a full socket without a file that nobody has closed: it is in the queue of a listener. (In SYN-RECEIVED by TCP
/// Fast Open.)
const fn waits_to_be_accepted(state: TcpState) -> bool {
    use TcpState::{CloseWait, Established, SynRecv};
    matches!(state, Established | CloseWait | SynRecv)
}
