//! Steps that send what is no data of a stream.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::client::Client;
use super::connection::Connection;
use super::segment::{SYN_OPTIONS, Segment, flag};
use crate::sys;

/// First port of the requests of `syn`.
const FIRST_SYN_PORT: u16 = 30_000;
/// An end that nobody acknowledges is sent again after this time.
const AGAIN: Duration = Duration::from_millis(200);
/// How long it goes on without any end being acknowledged: a server whose memory is full refuses ends too.
const PATIENCE: Duration = Duration::from_secs(3);

impl Client {
    /// The next segment of the stream with a wrong checksum; how many were sent.
    pub(super) fn corrupt(&mut self, index: usize, count: u32, size: u32) -> Result<u64> {
        for _ in 0..count {
            let next = self.connections[index].next;
            let mut packet = self.data(index, next, size)?.packet();
            // The sum was over this byte too.
            if let Some(last) = packet.last_mut() {
                *last ^= 0xff;
            }
            self.device.send(&packet)?;
        }
        Ok(count.into())
    }

    /// Requests for connections, each from another port; how many were sent.
    pub(super) fn requests(&mut self, count: u16) -> Result<u64> {
        for number in 0..count {
            let from = FIRST_SYN_PORT
                .checked_add(number)
                .context("too many requests")?;
            let segment = Segment {
                from: SocketAddrV4::new(self.address, from),
                to: self.server,
                sequence: 1,
                acknowledge: 0,
                flags: flag::SYN,
                window: 65_535,
                options: SYN_OPTIONS.to_vec(),
                payload: Vec::new(),
            };
            self.device.send(&segment.packet())?;
        }
        Ok(count.into())
    }

    /// Ends every stream after what the server has acknowledged of it, and waits for the acknowledgements.
    pub(super) fn close(&mut self) -> Result<()> {
        for connection in &mut self.connections {
            connection.end = Some(connection.acknowledged);
        }
        let mut progress = (0, Instant::now());
        while !sys::stopped() && progress.1.elapsed() < PATIENCE {
            let open = |it: &Connection| !it.closed && !it.reset;
            let left: Vec<usize> = (0..self.connections.len())
                .filter(|&index| open(&self.connections[index]))
                .collect();
            if left.is_empty() {
                break;
            }
            let closed = self.connections.len() - left.len();
            if closed > progress.0 {
                progress = (closed, Instant::now());
            }
            for index in left {
                self.send_flags(index, flag::FIN | flag::ACK)?;
                self.listen(Duration::ZERO)?;
            }
            let again = Instant::now() + AGAIN;
            while Instant::now() < again && self.connections.iter().any(open) {
                self.listen(again.saturating_duration_since(Instant::now()))?;
            }
        }
        Ok(())
    }

    /// Ends every connection without regard to what was sent.
    pub(super) fn reset(&mut self) -> Result<()> {
        for index in 0..self.connections.len() {
            // At the number that the server expects: it takes no other (RFC 5961).
            self.send_flags(index, flag::RST | flag::ACK)?;
            self.connections[index].reset = true;
        }
        Ok(())
    }
}
