//! Names and numbers of TCP states.

use std::borrow::Cow;

use crate::holders::TcpState;

/// Name of a state as reports spell it: that of RFC 9293, as `ss` does but in full.
#[must_use]
pub fn state_name(state: TcpState) -> Cow<'static, str> {
    Cow::Borrowed(match state {
        TcpState::Established => "ESTABLISHED",
        TcpState::SynSent => "SYN-SENT",
        TcpState::SynRecv => "SYN-RECV",
        TcpState::FinWait1 => "FIN-WAIT-1",
        TcpState::FinWait2 => "FIN-WAIT-2",
        TcpState::TimeWait => "TIME-WAIT",
        TcpState::Close => "CLOSE",
        TcpState::CloseWait => "CLOSE-WAIT",
        TcpState::LastAck => "LAST-ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
        TcpState::Other(number) => return Cow::Owned(format!("STATE-{number}")),
    })
}

/// The state of a number (`include/net/tcp_states.h`). `TCP_NEW_SYN_RECV` is shown as what it is on the wire.
#[must_use]
pub fn number_to_state(number: u16) -> TcpState {
    match number {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        5 => TcpState::FinWait2,
        6 => TcpState::TimeWait,
        7 => TcpState::Close,
        8 => TcpState::CloseWait,
        9 => TcpState::LastAck,
        10 => TcpState::Listen,
        11 => TcpState::Closing,
        other => TcpState::Other(u8::try_from(other).unwrap_or(u8::MAX)),
    }
}
