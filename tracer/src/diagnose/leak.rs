//! Why sockets hold memory: a small catalogue of states and what each says about the application.

use crate::{
    aggregate::{Holding, holding::Part},
    holders::TcpState,
    report::state_name,
};

/// What a holder does wrong, or suffers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Sockets are never closed.
    Leak,
    /// Connections are open, but nobody reads.
    NotReading,
    /// Connections wait to be accepted.
    NotAccepting,
    /// Data waits for peers that take it slowly or not at all.
    SlowPeer,
    /// The application has closed; the kernel still keeps what the peer has not taken.
    Orphans,
    /// Nothing that stands out.
    Plain,
}

/// The state that dominates what an owner holds, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// Which.
    pub state: TcpState,
    /// Sockets in it, and what they hold.
    pub part: Part,
    /// What it says.
    pub habit: Habit,
    /// The same in words, after "… in STATE: ".
    pub words: &'static str,
}

impl Face {
    /// Name of the state.
    #[must_use]
    pub fn state_name(&self) -> String {
        state_name(self.state).into_owned()
    }
}

/// The face of a holder; `None` when it holds nothing.
#[must_use]
pub fn face(holding: &Holding) -> Option<Face> {
    let (state, part) = holding
        .states
        .iter()
        .filter(|(_, part)| part.held > 0)
        .max_by_key(|(state, part)| (part.held, std::cmp::Reverse(**state)))?;
    let (habit, words) = explain(*state, part);
    Some(Face {
        state: *state,
        part: *part,
        habit,
        words,
    })
}

/// What a state says, given where the memory lies.
fn explain(state: TcpState, part: &Part) -> (Habit, &'static str) {
    let receives = part.receive >= part.send && part.receive >= part.forward;
    let sends = !receives && part.send >= part.forward;
    // No file: nobody has accepted it, or its application has closed it.
    let fileless = part.fileless_held.saturating_mul(2) > part.held;
    match state {
        TcpState::CloseWait if fileless => (
            Habit::NotAccepting,
            "the peer connected, sent and closed, and the application never accepted the connection",
        ),
        TcpState::CloseWait if part.unread > 0 => (
            Habit::Leak,
            "a leak, the peer has closed and the application neither reads the rest nor closes the socket",
        ),
        TcpState::CloseWait => (
            Habit::Leak,
            "a leak, the peer has closed and the application never does",
        ),
        TcpState::Close if !fileless => (
            Habit::Leak,
            "a leak, the connection is dead and the application never closes the socket",
        ),
        TcpState::Established if receives && fileless => (
            Habit::NotAccepting,
            "the connection waits to be accepted and nobody takes what it has received",
        ),
        TcpState::Established if receives && part.unread > 0 => (
            Habit::NotReading,
            "the connection is open and the application does not read",
        ),
        TcpState::Established if receives => (
            Habit::Plain,
            "data is held in receive queues with nothing left to read but segments out of order",
        ),
        TcpState::FinWait2 if receives => (
            Habit::NotReading,
            "the application has stopped sending and does not read what still comes",
        ),
        TcpState::Established if sends => (
            Habit::SlowPeer,
            "sent data waits for peers or a path that are slow, which is no leak",
        ),
        TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck => (
            Habit::Orphans,
            "the application has closed, and the peer does not take the last of the data",
        ),
        TcpState::FinWait2 if fileless => (
            Habit::Orphans,
            "the application has closed, and the peer has not",
        ),
        TcpState::Listen => (
            Habit::NotAccepting,
            "the listener itself holds memory: connections wait to be accepted",
        ),
        _ => (
            Habit::Plain,
            "the memory is mostly reserve, or the state tells nothing special",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(state: TcpState, part: Part) -> Option<Face> {
        face(&Holding {
            states: [(state, part)].into(),
            ..Holding::default()
        })
    }

    fn part(receive: u64, send: u64, unread: u64, fileless: bool) -> Part {
        let held = receive + send;
        let fileless_held = if fileless { held } else { 0 };
        Part {
            sockets: 1,
            held,
            receive,
            send,
            unread,
            fileless_held,
            ..Part::default()
        }
    }

    #[test]
    fn each_state_has_its_face() {
        use TcpState::{Close, CloseWait, Established, FinWait1, FinWait2};
        for (state, part, habit) in [
            (CloseWait, part(10, 0, 5, false), Habit::Leak),
            (CloseWait, part(10, 0, 5, true), Habit::NotAccepting),
            (Close, part(10, 0, 5, false), Habit::Leak),
            (Established, part(10, 0, 5, false), Habit::NotReading),
            (Established, part(10, 0, 0, false), Habit::Plain),
            (Established, part(10, 0, 5, true), Habit::NotAccepting),
            (Established, part(1, 10, 0, false), Habit::SlowPeer),
            (FinWait1, part(0, 10, 0, true), Habit::Orphans),
            (FinWait2, part(10, 0, 5, false), Habit::NotReading),
        ] {
            assert_eq!(
                one(state, part).map(|face| face.habit),
                Some(habit),
                "{state:?} {part:?}"
            );
        }
        assert_eq!(
            one(Established, Part::default()),
            None,
            "nothing held, nothing said"
        );
    }
}
