//! The places for connections, few, and who gets one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Connection;

/// All connections that are open.
#[derive(Default)]
pub(super) struct Places(Mutex<Vec<Arc<Connection>>>);

/// What became of a connection that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission {
    /// It has a place.
    pub(super) admitted: bool,
    /// There was none left: another one had to leave, or this one.
    pub(super) hit: bool,
}

impl Places {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection. Where all are taken, whoever has waited longest without a whole request leaves: so neither silent
    /// nor slow ones, however many, keep a scraper out. Where each has a request, the new one goes.
    pub(super) fn take(&self, connection: &Arc<Connection>, most: usize) -> Admission {
        let mut all = self.all();
        let hit = all.len() >= most;
        // More than one, if the number of places was lowered.
        while all.len() >= most {
            let waits = |it: &(usize, &Arc<Connection>)| Some((it.1.waits_since()?, it.0));
            let oldest = all.iter().enumerate().filter_map(|it| waits(&it)).min();
            let Some((_, at)) = oldest else {
                return Admission {
                    admitted: false,
                    hit,
                };
            };
            all.remove(at).displace();
        }
        all.push(Arc::clone(connection));
        Admission {
            admitted: true,
            hit,
        }
    }

    pub(super) fn leave(&self, connection: &Arc<Connection>) {
        self.all().retain(|it| !Arc::ptr_eq(it, connection));
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.all().len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::{super::connection::Gone, *};

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_longest_leaves() {
        let places = Places::default();
        let mut all = Vec::new();
        for _ in 0..3 {
            let connection = Arc::new(Connection::new(Duration::from_secs(60)));
            let admission = places.take(&connection, 3);
            assert_eq!((admission.admitted, admission.hit), (true, false));
            all.push(connection);
            advance(Duration::from_secs(1)).await;
        }
        // The first one came first and has a request; so the second one has waited longest.
        all[0].answering();
        let new = Arc::new(Connection::new(Duration::from_secs(60)));
        let admission = places.take(&new, 3);
        assert_eq!((admission.admitted, admission.hit), (true, true));
        assert_eq!(all[1].gone().await, Gone::Displaced);
        for stays in [&all[0], &all[2], &new] {
            let soon = Duration::from_millis(1);
            assert!(timeout(soon, stays.gone()).await.is_err());
        }
        assert_eq!(places.taken(), 3);
    }
}
