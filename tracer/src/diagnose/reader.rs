//! Why a receive buffer was full: what is known of the application that should have read.

use super::sufferer::Sufferer;
use crate::{
    aggregate::Group,
    holders::Scan,
    output::size,
    report::{Evidence, Limit},
};

/// One socket whose receive buffer refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    /// Its receive buffer, in bytes.
    pub rcvbuf: Option<u64>,
    /// Payload that nobody had read, in bytes.
    pub unread: Option<u64>,
}

impl Reader {
    /// From the newest evidence of this victim's receive buffers, else from what its worst socket holds
    /// in a scan.
    #[must_use]
    pub fn of(victim: &Sufferer, evidence: &[(Group, Evidence)], scan: Option<&Scan>) -> Self {
        let event = evidence
            .iter()
            .rev()
            .find(|(group, event)| *group == victim.group && event.limit == Limit::Rcvbuf);
        if let Some((_, event)) = event {
            return Self {
                rcvbuf: event.rcvbuf_bytes,
                unread: event.unread_bytes,
            };
        }
        let cookies = victim
            .victim
            .sockets
            .iter()
            .filter(|socket| socket.limit == Limit::Rcvbuf)
            .filter_map(|socket| socket.cookie.as_deref()?.parse::<u64>().ok());
        for cookie in cookies {
            let found = scan.and_then(|scan| scan.sockets.iter().find(|s| s.cookie == cookie));
            if let Some(socket) = found {
                return Self {
                    rcvbuf: socket.memory.map(|memory| u64::from(memory.rcvbuf)),
                    unread: Some(u64::from(socket.unread)),
                };
            }
        }
        Self::default()
    }

    /// Why, in words. A reader that had nothing to read is not called slow.
    #[must_use]
    pub fn words(&self) -> String {
        let mut figures = Vec::new();
        if let Some(rcvbuf) = self.rcvbuf {
            figures.push(format!("receive buffer {}", size::bytes(rcvbuf)));
        }
        if let Some(unread) = self.unread {
            figures.push(format!("{} unread", size::bytes(unread)));
        }
        let figures = match figures.join(", ") {
            none if none.is_empty() => none,
            some => format!(" ({some})"),
        };
        if self.unread == Some(0) {
            format!(
                "its buffer is filled by segments out of order or by the overhead of small ones, not by a slow reader{figures}"
            )
        } else {
            format!("its application does not read fast enough{figures}")
        }
    }
}
