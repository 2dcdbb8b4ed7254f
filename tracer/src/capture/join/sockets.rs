//! What sockets suffered in windows in a row: a socket stands once, with all that happened to it.

use std::collections::{HashMap, hash_map::Entry};

use tracer_common::{SocketState, TallyKey, Tuple};

/// One socket. Its key alone does not tell: cookies begin anew with the machine, and where the kernel gave none the key is an address,
/// which another socket may have later.
type Identity = (u64, TallyKey, [u16; 2], [[u8; 16]; 2]);

fn identity(cookie: u64, state: &SocketState) -> Identity {
    let Tuple {
        local_port,
        remote_port,
        local,
        remote,
        ..
    } = state.tuple;
    (
        cookie,
        state.owner,
        [local_port, remote_port],
        [local, remote],
    )
}

/// Adds the sockets of the window that follows, of new ones as many as there is room for. How many of them were left out.
pub(super) fn join(
    states: &mut Vec<(u64, SocketState)>,
    later: Vec<(u64, SocketState)>,
    most: usize,
) -> u64 {
    let mut places: HashMap<Identity, usize> = HashMap::new();
    for (at, (cookie, state)) in states.iter().enumerate() {
        places.insert(identity(*cookie, state), at);
    }
    let mut left = 0;
    for (cookie, state) in later {
        match places.entry(identity(cookie, &state)) {
            Entry::Occupied(place) => add(&mut states[*place.get()].1, state),
            Entry::Vacant(place) if states.len() < most => {
                place.insert(states.len());
                states.push((cookie, state));
            }
            Entry::Vacant(_) => left += 1,
        }
    }
    left
}

/// Counts are added up; what is of one moment is that of the later.
fn add(sum: &mut SocketState, later: SocketState) {
    let before = std::mem::replace(sum, later);
    let counts = (sum.verdicts.iter_mut().zip(before.verdicts))
        .chain(sum.counts.iter_mut().zip(before.counts))
        .chain([(&mut sum.prunes, before.prunes)]);
    for (sum, more) in counts {
        *sum = sum.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(port: u16, refused: u64, last_ns: u64) -> SocketState {
        let mut state = SocketState::ZERO;
        state.tuple.local_port = port;
        state.verdicts[0] = refused;
        state.counts[1] = 2 * refused;
        state.prunes = 3 * refused;
        state.last_ns = last_ns;
        state
    }

    #[test]
    fn a_socket_stands_once_with_all_that_happened_to_it() {
        let mut states = vec![(7, state(80, 1, 10)), (8, state(80, 5, 11))];
        let mut elsewhere = state(80, 9, 30);
        elsewhere.owner.cgroup_id = 4;
        let later = vec![
            (7, state(80, 2, 20)),
            // The same key, and other sockets.
            (7, state(81, 4, 21)),
            (7, elsewhere),
        ];
        assert_eq!(join(&mut states, later, 10), 0);
        let all = [
            (7, state(80, 3, 20)),
            (8, state(80, 5, 11)),
            (7, state(81, 4, 21)),
            (7, elsewhere),
        ];
        assert_eq!(states, all);
        // Without room those that are known are added up all the same.
        let new = vec![(9, state(80, 1, 1)), (8, state(80, 1, 40))];
        assert_eq!(join(&mut states, new, 4), 1);
        assert_eq!(states.len(), 4);
        assert_eq!(states[1], (8, state(80, 6, 40)));
        let mut most = state(1, 1, 1);
        most.verdicts[0] = u64::MAX;
        let mut full = vec![(1, most)];
        join(&mut full, vec![(1, state(1, 1, 2))], 1);
        assert_eq!(full[0].1.verdicts[0], u64::MAX);
    }
}
