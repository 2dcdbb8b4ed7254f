//! What each socket suffered between two readings.

use std::collections::HashMap;

use tracer_common::SocketState;

/// The later reading less the earlier one, by key of the socket. Sockets to which nothing happened are left out.
#[must_use]
pub fn since(
    before: &HashMap<u64, SocketState>,
    after: Vec<(u64, SocketState)>,
) -> Vec<(u64, SocketState)> {
    after
        .into_iter()
        .map(|(key, state)| match before.get(&key) {
            Some(before) => (key, less(state, before)),
            None => (key, state),
        })
        .filter(|(_, state)| {
            let mut counts = state.verdicts.iter().chain(&state.counts);
            state.prunes > 0 || counts.any(|count| *count > 0)
        })
        .collect()
}

fn less(mut state: SocketState, before: &SocketState) -> SocketState {
    let verdicts = state.verdicts.iter_mut().zip(before.verdicts);
    for (now, before) in verdicts.chain(state.counts.iter_mut().zip(before.counts)) {
        *now = now.saturating_sub(before);
    }
    state.prunes = state.prunes.saturating_sub(before.prunes);
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(prunes: u64, refusals: u64) -> SocketState {
        let mut state = SocketState::ZERO;
        state.prunes = prunes;
        state.verdicts[0] = refusals;
        state
    }

    #[test]
    fn only_what_happened_since_is_left() {
        let before = HashMap::from([(1, state(3, 5)), (2, state(4, 4))]);
        let after = vec![(1, state(3, 7)), (2, state(4, 4)), (3, state(1, 0))];
        assert_eq!(since(&before, after), [(1, state(0, 2)), (3, state(1, 0))]);
    }
}
