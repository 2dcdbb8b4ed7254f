//! What an owner holds.

use super::ABSENT;
use crate::{
    output::{size, text},
    report::{Holder, TopSocket},
};

/// Most states of one holder.
const MAX_STATES: usize = 3;

/// Its sockets by state, those that hold most.
pub(in crate::output) fn states(holder: &Holder) -> Vec<String> {
    some_states(holder, MAX_STATES)
}

/// Its sockets by every state.
pub(in crate::output) fn all_states(holder: &Holder) -> Vec<String> {
    some_states(holder, usize::MAX)
}

fn some_states(holder: &Holder, most: usize) -> Vec<String> {
    holder
        .states
        .iter()
        .take(most)
        .map(|state| {
            format!(
                "{} {} in {}",
                state.state,
                size::bytes(state.held_bytes),
                size::count(state.sockets, "socket")
            )
        })
        .collect()
}

/// What stands out among its sockets, a second witness, and the largest of them.
pub(in crate::output) fn sentences(holder: &Holder) -> Vec<String> {
    let mut said = Vec::new();
    for (sockets, bytes, what) in [
        (
            holder.unlisted_sockets,
            holder.unlisted_bytes,
            "in no table (not even ss lists them)",
        ),
        (
            holder.not_accepted_sockets,
            holder.not_accepted_bytes,
            "not accepted yet",
        ),
    ] {
        if sockets > 0 {
            let verb = if sockets == 1 { "holds" } else { "hold" };
            said.push(format!(
                "{} {what} {verb} {}",
                size::count(sockets, "socket"),
                size::bytes(bytes)
            ));
        }
    }
    if let Some(bytes) = holder.memory_stat_sock_bytes {
        said.push(format!("memory.stat says {}", size::bytes(bytes)));
    }
    if let Some(largest) = holder.top_sockets.first() {
        said.push(format!("largest socket {}", top_socket(largest)));
    }
    said
}

/// Ends, state, bytes, and whose descriptor.
pub(in crate::output) fn top_socket(socket: &TopSocket) -> String {
    let remote = socket.remote.as_ref();
    let mut said = format!(
        "{}{} {} {}",
        socket.local.as_deref().unwrap_or(ABSENT),
        remote.map_or_else(String::new, |remote| format!(" → {remote}")),
        socket.state,
        size::bytes(socket.held_bytes)
    );
    if let Some(ms) = socket.idle_ms {
        said.push_str(&format!(
            ", nothing received for {}",
            size::nanos(ms.saturating_mul(1_000_000))
        ));
    }
    if let (Some(pid), Some(fd)) = (socket.pid, socket.fd) {
        let command = text::name(socket.command.as_deref().unwrap_or(ABSENT));
        said.push_str(&format!(" ({command}[{pid}], descriptor {fd})"));
    }
    said
}
