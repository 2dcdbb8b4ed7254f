//! The step `await`: the server has said something, and what comes next is not kept waiting there.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::{Client, PATIENCE};
use super::segment::flag;
use crate::sys;

/// A question without an answer is asked again after this time: the kernel answers two a second at most
/// (`net.ipv4.tcp_invalid_ratelimit`).
const AGAIN: Duration = Duration::from_millis(600);

impl Client {
    /// Waits until the server has sent something on each connection.
    pub(super) fn wait_for_data(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.connections.iter().any(|it| it.received == 0) {
            self.listen(Duration::from_millis(2))?;
            if Instant::now() > end || sys::stopped() {
                bail!("no data came from {}", self.server);
            }
        }
        Ok(())
    }

    /// Waits until nobody holds the server's sockets. Whoever sends does while the segment is on its way already: what comes
    /// meanwhile goes to the socket's backlog, and of a flood what that has no room for is thrown away before anything is asked of
    /// the receive buffer. Each connection is asked by a segment of before its end (as a keepalive is), which the kernel answers
    /// when it takes it out of the backlog, or at once where there is none.
    pub(super) fn wait_for_locks(&mut self) -> Result<()> {
        self.listen(Duration::ZERO)?;
        let before: Vec<u32> = self.connections.iter().map(|it| it.answers).collect();
        let end = Instant::now() + PATIENCE;
        let mut again = Instant::now();
        loop {
            let held = |client: &Self, index: usize| {
                let connection = &client.connections[index];
                connection.answers == before[index] && !connection.reset
            };
            let all = 0..before.len();
            let held: Vec<usize> = all.filter(|index| held(self, *index)).collect();
            if held.is_empty() {
                return Ok(());
            }
            if Instant::now() > end || sys::stopped() {
                bail!("{} sockets of {} do not answer", held.len(), self.server);
            }
            if again <= Instant::now() {
                again = Instant::now() + AGAIN;
                for index in held {
                    self.ask(index)?;
                }
            }
            self.listen(Duration::from_millis(2))?;
        }
    }

    /// A segment without payload from before what the server has acknowledged.
    fn ask(&mut self, index: usize) -> Result<()> {
        let connection = &self.connections[index];
        let before = connection.sequence(connection.acknowledged).wrapping_sub(1);
        let question = self.segment(index, before, flag::ACK, Vec::new(), Vec::new());
        self.device.send(&question.packet())
    }
}
