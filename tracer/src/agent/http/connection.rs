//! What one connection is at, and until when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// How long a connection may wait for its next request: scrapers come each minute and keep theirs, which costs a full node less than a new
/// one.
const KEEP: Duration = Duration::from_secs(300);

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It owes us a handshake, or the head of a request.
    Head,
    /// We owe it an answer, or it owes us that it takes it.
    Answering,
    /// Between two requests.
    Idle,
}

/// Why it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Its time is up.
    Late,
    /// Another one gets its place.
    Displaced,
}

/// One connection.
pub(super) struct Connection {
    timeout: Duration,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    phase: Phase,
    /// Since when it is in that phase.
    since: Instant,
    /// Bytes of the answer were given away.
    wrote: bool,
    displaced: bool,
}

impl Connection {
    pub(super) fn new(timeout: Duration) -> Self {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            wrote: false,
            displaced: false,
        };
        Self {
            timeout,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
        state.wrote = false;
        drop(state);
        self.changed.notify_one();
    }

    /// It is encrypted; the time for the first head begins.
    pub(super) fn shook_hands(&self) {
        self.turn(Phase::Head);
    }

    /// Bytes came.
    pub(super) fn read(&self) {
        if self.state().phase == Phase::Idle {
            self.turn(Phase::Head);
        }
    }

    /// A whole request came.
    pub(super) fn answering(&self) {
        self.turn(Phase::Answering);
    }

    /// Bytes went.
    pub(super) fn wrote(&self) {
        self.state().wrote = true;
    }

    /// All that was to be written went.
    pub(super) fn flushed(&self) {
        let state = self.state();
        let done = state.phase == Phase::Answering && state.wrote;
        drop(state);
        if done {
            self.turn(Phase::Idle);
        }
    }

    /// Since when it waits without a whole request; `None` while it has one.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.phase != Phase::Answering).then_some(state.since)
    }

    /// Ends it for the sake of another one.
    pub(super) fn displace(&self) {
        self.state().displaced = true;
        self.changed.notify_one();
    }

    fn deadline(&self) -> Instant {
        let state = self.state();
        state.since
            + match state.phase {
                Phase::Idle => KEEP,
                Phase::Head | Phase::Answering => self.timeout,
            }
    }

    /// Until it must end.
    pub(super) async fn gone(&self) -> Gone {
        loop {
            if self.state().displaced {
                return Gone::Displaced;
            }
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return Gone::Late;
            }
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Whether it must end, and when, by a clock that stands still but for this.
    async fn ends_after(connection: &Connection, time: Duration) {
        let early = time.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(timeout(early, connection.gone()).await.is_err());
        advance(Duration::from_millis(1)).await;
        assert_eq!(connection.gone().await, Gone::Late);
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_time() {
        let silent = Connection::new(TIMEOUT);
        ends_after(&silent, TIMEOUT).await;

        let connection = Connection::new(TIMEOUT);
        advance(Duration::from_secs(9)).await;
        connection.shook_hands();
        advance(Duration::from_secs(9)).await;
        // Bytes of a head that has begun prolong nothing.
        connection.read();
        ends_after(&connection, Duration::from_secs(1)).await;

        let connection = Connection::new(TIMEOUT);
        connection.answering();
        assert_eq!(connection.waits_since(), None);
        advance(Duration::from_secs(9)).await;
        connection.wrote();
        // Nor do bytes of an answer.
        ends_after(&connection, Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_next_request_is_not_being_late() {
        let connection = Connection::new(TIMEOUT);
        connection.answering();
        // Before anything was written, an empty flush ends nothing.
        connection.flushed();
        assert_eq!(connection.waits_since(), None);
        connection.wrote();
        connection.flushed();
        assert!(connection.waits_since().is_some());
        assert!(timeout(KEEP - TIMEOUT, connection.gone()).await.is_err());
        // The next head has its time from its first byte on.
        connection.read();
        ends_after(&connection, TIMEOUT).await;

        let idle = Connection::new(TIMEOUT);
        idle.answering();
        idle.wrote();
        idle.flushed();
        ends_after(&idle, KEEP).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_while_it_is_waited_for() {
        let connection = Connection::new(TIMEOUT);
        connection.answering();
        connection.wrote();
        connection.flushed();
        let change = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            connection.read();
            Instant::now()
        };
        let (gone, since) = tokio::join!(connection.gone(), change);
        assert_eq!((gone, since.elapsed()), (Gone::Late, TIMEOUT));

        let connection = Connection::new(TIMEOUT);
        let displace = async { connection.displace() };
        assert_eq!(tokio::join!(connection.gone(), displace).0, Gone::Displaced);
    }
}
