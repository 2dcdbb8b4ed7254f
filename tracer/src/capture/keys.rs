//! Keys of owners, wherever a capture has one.

use tracer_common::TallyKey;

use super::Capture;

impl Capture {
    /// Keys of all that is counted, and of all that is kept singly.
    pub(super) fn keys(&self) -> impl Iterator<Item = &TallyKey> {
        let refused = self.steps.iter().flat_map(|step| &step.refused);
        (self.tallies.iter().map(|delta| &delta.key))
            .chain(refused.map(|(key, _)| key))
            .chain(self.socket_states.iter().map(|(_, state)| &state.owner))
            .chain(self.events.iter().map(|event| &event.owner))
            .chain(self.timeline.iter().map(|moment| &moment.owner))
    }

    /// The same, to be changed.
    pub(super) fn keys_mut(&mut self) -> impl Iterator<Item = &mut TallyKey> {
        let refused = self.steps.iter_mut().flat_map(|step| &mut step.refused);
        let states = self.socket_states.iter_mut();
        (self.tallies.iter_mut().map(|delta| &mut delta.key))
            .chain(refused.map(|(key, _)| key))
            .chain(states.map(|(_, state)| &mut state.owner))
            .chain(self.events.iter_mut().map(|event| &mut event.owner))
            .chain(self.timeline.iter_mut().map(|moment| &mut moment.owner))
    }
}
