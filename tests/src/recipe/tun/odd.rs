//! Steps that send what is no data of a stream.

use std::net::SocketAddrV4;

use anyhow::{Context, Result};

use super::client::Client;
use super::segment::{SYN_OPTIONS, Segment, flag};

/// First port of the requests of `syn`.
const FIRST_SYN_PORT: u16 = 30_000;

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
}
