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
