//! Why sockets hold memory: a small catalogue of states and what each says about the application.

use crate::{
    aggregate::{Holding, Movement, holding::Part},
    holders::TcpState,
    report::{Leak, state_name},
};

/// Of payload seen twice, the part that must be stuck before anybody is said not to read.
const STUCK: f64 = 0.8;

/// What a holder does wrong, or suffers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Sockets are forgotten.
    Leak(Leak),
    /// Data waits for peers that take it slowly or not at all.
    SlowPeer,
    /// The application has closed; the kernel still keeps what the peer has not taken.
    Orphans,
    /// Nothing that stands out.
    Plain,
}

/// Sockets of one owner in one state and of one habit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// State.
    pub state: TcpState,
    /// How many.
    pub sockets: u64,
    /// What they take from `tcp_mem`.
    pub held: u64,
    /// What they say.
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

    /// How its sockets are forgotten, if they are.
    #[must_use]
    pub fn leak(&self) -> Option<Leak> {
        match self.habit {
            Habit::Leak(leak) => Some(leak),
            Habit::SlowPeer | Habit::Orphans | Habit::Plain => None,
        }
    }
}

/// Every face of a holder, most bytes first. Without a second look (`movement` is `None`) nobody is said not to read.
#[must_use]
pub fn faces(holding: &Holding, movement: Option<&Movement>) -> Vec<Face> {
    let stuck = movement.and_then(Movement::stuck_part);
    let stuck = stuck.is_some_and(|part| part >= STUCK);
    let mut faces: Vec<Face> = holding
        .states
        .iter()
        .flat_map(|(state, part)| of_state(*state, part, stuck))
        .filter(|face| face.held > 0)
        .collect();
    faces.sort_by_key(|face| std::cmp::Reverse((face.held, std::cmp::Reverse(face.state))));
    faces
}

/// What one state says: of sockets that a file holds, and of those that none does.
fn of_state(state: TcpState, part: &Part, stuck: bool) -> [Face; 2] {
    let face = |sockets, held, (habit, words)| Face {
        state,
        sockets,
        held,
        habit,
        words,
    };
    let fileless = part.fileless_held.min(part.held);
    [
        face(
            part.sockets.saturating_sub(part.fileless),
            part.held - fileless,
            with_file(state, part, stuck),
        ),
        face(part.fileless, fileless, without_file(state)),
    ]
}

fn with_file(state: TcpState, part: &Part, stuck: bool) -> (Habit, &'static str) {
    let receives = part.receive >= part.send && part.receive >= part.forward;
    let sends = !receives && part.send >= part.forward;
    match state {
        TcpState::CloseWait if part.unread > 0 => (
            Habit::Leak(Leak::CloseWait),
            "a leak, the peer has closed and the application neither reads the rest nor closes the socket",
        ),
        TcpState::CloseWait => (
            Habit::Leak(Leak::CloseWait),
            "a leak, the peer has closed and the application never does",
        ),
        TcpState::Close => (
            Habit::Leak(Leak::ResetUnread),
            "a leak, the connection was reset with data unread and the application never closes the socket",
        ),
        TcpState::Established if receives && part.unread > 0 && stuck => (
            Habit::Leak(Leak::NotReading),
            "the connection is open and the application does not read",
        ),
        TcpState::FinWait2 if receives && part.unread > 0 && stuck => (
            Habit::Leak(Leak::NotReading),
            "the application has stopped sending and does not read what still comes",
        ),
        TcpState::Established if receives && part.unread > 0 => (
            Habit::Plain,
            "data waits to be read in connections that are open",
        ),
        TcpState::Established if receives => (
            Habit::Plain,
            "data is held in receive queues with nothing left to read but segments out of order",
        ),
        TcpState::Established if sends => (
            Habit::SlowPeer,
            "sent data waits for peers or a path that are slow, which is no leak",
        ),
        TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck => (
            Habit::SlowPeer,
            "the application has shut the connection down, and the peer does not take the last of the data",
        ),
        _ => (
            Habit::Plain,
            "the memory is mostly reserve, or the state tells nothing special",
        ),
    }
}

/// No file: nobody has accepted the connection, or its application has closed it.
fn without_file(state: TcpState) -> (Habit, &'static str) {
    match state {
        TcpState::CloseWait => (
            Habit::Leak(Leak::NotAccepted),
            "the peer connected, sent and closed, and the application never accepted the connection",
        ),
        TcpState::Established => (
            Habit::Leak(Leak::NotAccepted),
            "the connection waits to be accepted and nobody takes what it has received",
        ),
        TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing | TcpState::LastAck => (
            Habit::Orphans,
            "the application has closed, and the peer does not take the last of the data",
        ),
        _ => (
            Habit::Plain,
            "the memory is mostly reserve, or the state tells nothing special",
        ),
    }
}

/// Bytes of all faces that a test takes.
#[must_use]
pub fn held(faces: &[Face], take: impl Fn(&Face) -> bool) -> u64 {
    faces
        .iter()
        .filter(|face| take(face))
        .map(|face| face.held)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK_ALL: Movement = Movement {
        stuck: 10,
        moving: 0,
        fresh: 0,
    };

    fn habit(state: TcpState, part: Part, movement: Option<&Movement>) -> Option<Habit> {
        let holding = Holding {
            states: [(state, part)].into(),
            ..Holding::default()
        };
        let faces = faces(&holding, movement);
        assert!(faces.len() < 2, "{faces:?}");
        faces.first().map(|face| face.habit)
    }

    fn part(receive: u64, send: u64, unread: u64, fileless: bool) -> Part {
        let held = receive.saturating_add(send);
        Part {
            sockets: 1,
            held,
            receive,
            send,
            unread,
            fileless: u64::from(fileless),
            fileless_held: if fileless { held } else { 0 },
            ..Part::default()
        }
    }

    #[test]
    fn each_state_has_its_face() {
        use Leak::{CloseWait as Closed, NotAccepted, NotReading, ResetUnread};
        use TcpState::{Close, CloseWait, Established, FinWait1, FinWait2};
        for (state, part, want) in [
            (CloseWait, part(10, 0, 5, false), Habit::Leak(Closed)),
            (CloseWait, part(10, 0, 5, true), Habit::Leak(NotAccepted)),
            (Close, part(10, 0, 5, false), Habit::Leak(ResetUnread)),
            (Established, part(10, 0, 5, false), Habit::Leak(NotReading)),
            (Established, part(10, 0, 0, false), Habit::Plain),
            (Established, part(10, 0, 5, true), Habit::Leak(NotAccepted)),
            (Established, part(1, 10, 0, false), Habit::SlowPeer),
            (FinWait1, part(0, 10, 0, true), Habit::Orphans),
            (FinWait2, part(10, 0, 5, false), Habit::Leak(NotReading)),
            (FinWait2, part(10, 0, 5, true), Habit::Orphans),
        ] {
            assert_eq!(
                habit(state, part, Some(&STUCK_ALL)),
                Some(want),
                "{state:?} {part:?}"
            );
        }
        let nothing = habit(Established, Part::default(), Some(&STUCK_ALL));
        assert_eq!(nothing, None, "nothing held, nothing said");
    }

    #[test]
    fn who_was_not_seen_to_be_stuck_is_not_said_to_leak() {
        let open = part(10, 0, 5, false);
        let state = TcpState::Established;
        assert_eq!(habit(state, open, None), Some(Habit::Plain));
        for (stuck, moving, want) in [
            (79, 21, Habit::Plain),
            (80, 20, Habit::Leak(Leak::NotReading)),
        ] {
            let movement = Movement {
                stuck,
                moving,
                fresh: 0,
            };
            assert_eq!(habit(state, open, Some(&movement)), Some(want));
        }
        // A leak that needs no second look.
        assert_eq!(
            habit(TcpState::CloseWait, open, None),
            Some(Habit::Leak(Leak::CloseWait))
        );
    }

    #[test]
    fn one_state_may_have_two_faces() {
        let mixed = Part {
            sockets: 5,
            held: 100,
            receive: 100,
            unread: 50,
            fileless: 2,
            fileless_held: 30,
            ..Part::default()
        };
        let holding = Holding {
            states: [(TcpState::CloseWait, mixed)].into(),
            ..Holding::default()
        };
        let faces = faces(&holding, None);
        let seen: Vec<_> = faces
            .iter()
            .map(|face| (face.sockets, face.held, face.leak()))
            .collect();
        assert_eq!(
            seen,
            [
                (3, 70, Some(Leak::CloseWait)),
                (2, 30, Some(Leak::NotAccepted))
            ]
        );
        assert_eq!(
            held(&faces, |face| face.leak() == Some(Leak::NotAccepted)),
            30
        );
    }
}
