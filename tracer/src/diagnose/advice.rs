//! What is safe to advise, each with its effect, its cost and its undo. Nothing here can make a sick node
//! sicker: no limit is ever to be set below present use, and no limit is to be raised as a cure.

use super::{Accused, Finding, culprit, leak::Habit, limit, words};
use crate::{
    output::size,
    report::{Advice, Limit, TcpMemory},
};

/// Advice for a limit that refused; empty when nothing is safe.
#[must_use]
pub fn advice(finding: Option<&Finding>, accused: &[Accused], memory: &TcpMemory) -> Vec<Advice> {
    match finding.map(|finding| finding.limit) {
        Some(Limit::TcpMem) => {
            let mut list = Vec::new();
            // Where most memory is in no listed socket, draining the largest listed one is no cure.
            if culprit::stands_out(accused) && words::unlisted(memory).is_none() {
                list.extend(accused.first().and_then(drain));
            }
            list.extend(limit::used(memory).map(keep_tcp_mem));
            list
        }
        Some(Limit::Rcvbuf) => vec![look_at_reader()],
        Some(Limit::Memcg) => vec![keep_memory_max()],
        Some(Limit::Unknown) | None => Vec::new(),
    }
}

/// Draining helps where the application will not let go by itself.
fn drain(accused: &Accused) -> Option<Advice> {
    matches!(
        accused.habit,
        Habit::Leak | Habit::NotReading | Habit::NotAccepting
    )
    .then(|| {
        let who = words::name(&accused.account.owner);
        Advice {
            action: format!("Save this report, then drain or restart {who}."),
            effect: format!(
                "Frees up to {} of TCP memory at once.",
                size::bytes(accused.account.held())
            ),
            cost: format!("Open connections of {who} end, and the evidence within it is lost."),
            undo: "Let it run again; the cause is then still in it.".to_owned(),
        }
    })
}

fn keep_tcp_mem(used: u64) -> Advice {
    Advice {
        action: format!(
            "Keep net.ipv4.tcp_mem above present use ({}).",
            size::bytes(used)
        ),
        effect: "A lower limit would refuse segments of every workload on the node.".to_owned(),
        cost: "None.".to_owned(),
        undo: "None needed.".to_owned(),
    }
}

fn look_at_reader() -> Advice {
    Advice {
        action: "See why the application does not keep up (CPU, locks, IO, a hang).".to_owned(),
        effect: "A reader that keeps up needs no larger buffer.".to_owned(),
        cost: "None.".to_owned(),
        undo: "None needed.".to_owned(),
    }
}

fn keep_memory_max() -> Advice {
    Advice {
        action: "Keep memory.max of the cgroup above its memory.current.".to_owned(),
        effect: "A lower limit would refuse more, and may end its processes.".to_owned(),
        cost: "None.".to_owned(),
        undo: "None needed.".to_owned(),
    }
}
