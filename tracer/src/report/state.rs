//! Names of TCP states.

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
