//! The step `feed`: bytes of the stream, reliably.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::Client;
use crate::sys;

/// Payload of a segment.
const FEED_SIZE: u32 = 1400;
/// How long it goes on without any byte being acknowledged.
const FEED_PATIENCE: Duration = Duration::from_millis(1500);

impl Client {
    /// Go-back-N within the server's window, in turns.
    pub(super) fn feed(&mut self, bytes: u32) -> Result<u64> {
        let goals: Vec<u32> = self.connections.iter().map(|it| it.next + bytes).collect();
        let mut sent = 0;
        let mut progress = (self.acknowledged(), Instant::now());
        while !sys::stopped() && progress.1.elapsed() < FEED_PATIENCE {
            let before = sent;
            for (index, &goal) in goals.iter().enumerate() {
                for _ in 0..self.connections[index].burst {
                    let connection = &self.connections[index];
                    let limit = goal.min(connection.acknowledged.saturating_add(connection.window));
                    let size = limit.saturating_sub(connection.next).min(FEED_SIZE);
                    if size == 0 || connection.reset {
                        break;
                    }
                    let at = connection.next;
                    self.send_data(index, at, size)?;
                    self.connections[index].next = at + size;
                    sent += 1;
                }
                self.listen(Duration::ZERO)?;
            }
            if self.acknowledged() > progress.0 {
                progress = (self.acknowledged(), Instant::now());
            }
            let mut open = self
                .connections
                .iter()
                .zip(&goals)
                .filter(|(it, _)| !it.reset);
            if open.all(|(it, goal)| it.acknowledged >= *goal) {
                break;
            }
            if sent == before {
                self.listen(Duration::from_millis(100))?;
                for connection in &mut self.connections {
                    // What was not acknowledged by now was refused: go back to it.
                    if connection.next > connection.acknowledged {
                        connection.next = connection.acknowledged;
                        connection.burst = 1;
                    }
                }
            }
        }
        Ok(sent)
    }
}
