//! Why a receive buffer was full: what is known of the application that should have read.

use super::{case::ofo_and_rcv, culprit::Account, sufferer::Sufferer};
use crate::{
    aggregate::Group,
    holders::Scan,
    output::size,
    report::{Context, Evidence, Limit, context::Reader},
};

/// Below this part of the receive buffer, what nobody has read does not explain that the buffer is full.
const UNREAD_EXPLAINS: f64 = 0.125;
/// Of payload seen twice, the part that moves where a reader keeps up; see [`crate::aggregate::Movement::stuck_part`].
const KEEPS_UP: f64 = 0.7;

/// The receive buffers of one victim that refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// Its size, in bytes.
    pub rcvbuf: Option<u64>,
    /// Payload that nobody had read, in bytes.
    pub unread: Option<u64>,
    /// Memory of segments out of order, in bytes.
    pub ofo: Option<u64>,
}

impl Buffer {
    /// From the middle one of the evidence of this victim's receive buffers by unread payload, else from what its worst socket
    /// holds in a scan.
    #[must_use]
    pub fn of(victim: &Sufferer, evidence: &[(Group, Evidence)], scan: Option<&Scan>) -> Self {
        let mut events: Vec<&Evidence> = evidence
            .iter()
            .filter(|(group, event)| *group == victim.group && event.limit == Limit::Rcvbuf)
            .map(|(_, event)| event)
            .collect();
        events.sort_by_key(|event| event.unread_bytes);
        if let Some(event) = events.get(events.len() / 2) {
            return Self {
                rcvbuf: event.rcvbuf_bytes,
                unread: event.unread_bytes,
                ofo: event.ofo_bytes,
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
                    ofo: None,
                };
            }
        }
        Self::default()
    }

    /// Whether unread payload is enough to explain a full buffer; `None` where it is not known.
    #[must_use]
    pub fn is_unread(&self) -> Option<bool> {
        let part = super::culprit::ratio(self.unread?, self.rcvbuf?);
        Some(part >= UNREAD_EXPLAINS)
    }

    /// Its figures in words; empty where none is known.
    #[must_use]
    pub fn figures(&self) -> String {
        let figures = [
            self.rcvbuf
                .map(|it| format!("receive buffer {}", size::bytes(it))),
            self.unread.map(|it| format!("{} unread", size::bytes(it))),
            self.ofo
                .filter(|it| *it > 0)
                .map(|it| format!("{} out of order", size::bytes(it))),
        ];
        figures.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What filled a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Segments that wait for others which were lost or overtaken.
    OutOfOrder,
    /// Overhead of small segments, or more than the buffer was made for: its reader keeps up.
    TooSmall,
    /// What its application did not read, and why.
    Unread(Reader),
}

/// Of a receive buffer, the part that segments out of order must take to explain that it is full.
const OFO_EXPLAINS: f64 = 0.5;

/// What filled the receive buffers of a victim. Segments out of order speak first, because a reader can do nothing about
/// them; then what the reader was seen doing; then whether what arrives is read at all.
#[must_use]
pub fn filling(
    victim: &Sufferer,
    buffer: &Buffer,
    account: Option<&Account>,
    context: Option<&Context>,
) -> Filling {
    let (ofo, rcv) = ofo_and_rcv(&victim.victim.refusals);
    let thrown_out = victim.victim.ofo_prunes.unwrap_or(0);
    let mostly_ofo = ofo > rcv || (ofo == 0 && rcv == 0 && thrown_out > 0);
    let unread = buffer.is_unread();
    let by_size = buffer.ofo.zip(buffer.rcvbuf);
    let by_size = by_size.is_some_and(|(ofo, of)| super::culprit::ratio(ofo, of) >= OFO_EXPLAINS);
    // A full buffer with nothing to read holds nothing else.
    if by_size || buffer.unread == Some(0) || (mostly_ofo && unread != Some(true)) {
        return Filling::OutOfOrder;
    }
    if unread == Some(false) {
        return Filling::TooSmall;
    }
    match context.map(|context| (context.reader, context.left_unread_bytes)) {
        Some((None, Some(0))) => return Filling::TooSmall,
        Some((Some(reader), _)) if reader != Reader::Unknown => return Filling::Unread(reader),
        _ => {}
    }
    let movement = account.and_then(|account| account.movement);
    let stuck = movement.and_then(|movement| movement.stuck_part());
    match stuck {
        Some(part) if part <= 1.0 - KEEPS_UP => Filling::TooSmall,
        _ => Filling::Unread(Reader::Unknown),
    }
}
