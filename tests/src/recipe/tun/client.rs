//! The client's connections: handshake, the steps, and as much of TCP as they need.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::connection::{BURST, Connection};
use super::device::Device;
use super::mptcp;
use super::segment::{SYN_OPTIONS, Segment, flag};
use super::step::Step;
use crate::sys;

/// First local port.
const FIRST_PORT: u16 = 10_000;
/// Bytes left out before the segments of `ascending`, `descending` and `repeat`.
const HOLE: u32 = 1;
/// A SYN without an answer is sent again after this time.
const SYN_AGAIN: Duration = Duration::from_millis(300);
/// How long the handshakes and `await` may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// All connections of one device.
pub struct Client {
    pub(super) device: Device,
    pub(super) address: Ipv4Addr,
    pub(super) server: SocketAddrV4,
    mptcp: bool,
    pub(super) connections: Vec<Connection>,
}

impl Client {
    /// A client without connections; `mptcp` is for those that it will open.
    #[must_use]
    pub fn new(device: Device, address: Ipv4Addr, server: SocketAddrV4, mptcp: bool) -> Self {
        Self {
            device,
            address,
            server,
            mptcp,
            connections: Vec::new(),
        }
    }

    /// Opens connections and waits until all are established.
    pub fn connect(&mut self, count: u16, isn: u32) -> Result<()> {
        for index in 0..count {
            let port = FIRST_PORT
                .checked_add(index)
                .context("too many connections")?;
            self.connections.push(Connection::new(port, isn));
        }
        let end = Instant::now() + PATIENCE + u32::from(count) * Duration::from_millis(50);
        // Few at a time: a flood of SYNs would run into the limits of the listener.
        for from in (0..self.connections.len()).step_by(64) {
            let to = (from + 64).min(self.connections.len());
            let mut again = Instant::now();
            while self.connections[from..to].iter().any(|it| !it.established) {
                if again <= Instant::now() {
                    again = Instant::now() + SYN_AGAIN;
                    for index in from..to {
                        if !self.connections[index].established {
                            self.send_flags(index, flag::SYN)?;
                        }
                    }
                }
                self.listen(again.saturating_duration_since(Instant::now()))?;
                if Instant::now() > end || sys::stopped() {
                    bail!("{} does not answer the handshake", self.server);
                }
            }
        }
        Ok(())
    }

    /// Payload bytes that the server has acknowledged, over all connections.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.connections
            .iter()
            .map(|it| u64::from(it.acknowledged))
            .sum()
    }

    /// Does one step on every connection; how many data segments were sent.
    pub fn act(&mut self, step: &Step) -> Result<u64> {
        let all = 0..self.connections.len();
        let mut sent = 0;
        match *step {
            Step::Until(ref path) => {
                while !path.exists() && !sys::stopped() {
                    self.listen(Duration::from_millis(20))?;
                }
            }
            Step::Pause { millis } => self.pause(Duration::from_millis(millis))?,
            Step::Await => {
                self.wait_for_data()?;
                self.wait_for_locks()?;
            }
            Step::Corrupt { count, size } => {
                for index in all {
                    sent += self.corrupt(index, count, size)?;
                }
            }
            Step::Syn { count } => sent = self.requests(count)?,
            Step::Feed { bytes } => sent = self.feed(bytes)?,
            Step::Close => self.close()?,
            Step::Reset => self.reset()?,
            Step::InOrder { count, size } => {
                for index in all {
                    for _ in 0..count {
                        let at = self.connections[index].next;
                        self.send_data(index, at, size)?;
                        self.connections[index].next = at + size;
                        sent += 1;
                    }
                }
            }
            Step::Retry { count, size } | Step::Repeat { count, size } => {
                let hole = if matches!(step, Step::Repeat { .. }) {
                    HOLE
                } else {
                    0
                };
                for index in all {
                    for _ in 0..count {
                        self.send_data(index, self.connections[index].next + hole, size)?;
                        sent += 1;
                    }
                }
            }
            Step::Beyond {
                count,
                size,
                gap,
                descending,
            } => {
                for index in all {
                    for number in 0..count {
                        let number = if descending {
                            count - 1 - number
                        } else {
                            number
                        };
                        let at = self.connections[index].next + HOLE + number * (size + gap);
                        self.send_data(index, at, size)?;
                        sent += 1;
                    }
                }
            }
        }
        self.listen(Duration::ZERO)?;
        Ok(sent)
    }

    /// Waits up to `wait` for the kernel to send something, then takes all that is there.
    pub fn listen(&mut self, wait: Duration) -> Result<()> {
        let mut packet = [0; 2048];
        let mut wait = wait;
        while let Some(len) = self.device.receive(&mut packet, wait)? {
            self.take(&packet[..len])?;
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end && !sys::stopped() {
            self.listen(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn take(&mut self, packet: &[u8]) -> Result<()> {
        let Some(segment) = Segment::parse(packet) else {
            return Ok(());
        };
        let ours = segment.from == self.server && *segment.to.ip() == self.address;
        let index = usize::from(segment.to.port().wrapping_sub(FIRST_PORT));
        let Some(connection) = self.connections.get_mut(index).filter(|_| ours) else {
            return Ok(());
        };
        if segment.flags & flag::RST != 0 {
            connection.reset = true;
            return Ok(());
        }
        if segment.flags & flag::SYN != 0 {
            connection.scale = segment.window_scale();
            connection.window = u32::from(segment.window);
            connection.expected = segment.sequence.wrapping_add(1);
            connection.established = true;
            let keys = mptcp::confirm(&segment).filter(|_| self.mptcp);
            ensure!(
                keys.is_some() || !self.mptcp,
                "{} does not speak Multipath TCP",
                self.server
            );
            let sequence = self.connections[index].sequence(0);
            let options = keys.unwrap_or_default();
            let confirm = self.segment(index, sequence, flag::ACK, options, Vec::new());
            return self.device.send(&confirm.packet());
        }
        if segment.flags & flag::ACK != 0 {
            let mut at = segment.acknowledge.wrapping_sub(connection.sequence(0));
            // The end takes a number as a byte would, and is none.
            if let Some(end) = connection.end.filter(|end| at == end.wrapping_add(1)) {
                connection.closed = true;
                at = end;
            }
            // An acknowledgement from before the stream's start would be a huge offset.
            if at < u32::MAX / 2 {
                if at > connection.acknowledged {
                    connection.acknowledged = at;
                    connection.burst = BURST;
                }
                connection.window = u32::from(segment.window) << connection.scale;
            }
        }
        let fin = u32::from(segment.flags & flag::FIN);
        let len = u32::try_from(segment.payload.len())? + fin;
        if len > 0 {
            if segment.sequence == connection.expected {
                connection.expected = connection.expected.wrapping_add(len);
                connection.received = connection.received.saturating_add(len - fin);
            }
            self.send_flags(index, flag::ACK)?;
        } else {
            let connection = &mut self.connections[index];
            connection.answers = connection.answers.wrapping_add(1);
        }
        Ok(())
    }

    pub(super) fn send_flags(&mut self, index: usize, flags: u8) -> Result<()> {
        let connection = &self.connections[index];
        let syn = flags & flag::SYN != 0;
        let sequence = if syn {
            connection.isn
        } else {
            connection.sequence(connection.acknowledged)
        };
        let options = match (syn, self.mptcp) {
            (true, true) => mptcp::syn(),
            (true, false) => SYN_OPTIONS.to_vec(),
            (false, _) => Vec::new(),
        };
        let segment = self.segment(index, sequence, flags, options, Vec::new());
        self.device.send(&segment.packet())
    }

    pub(super) fn send_data(&mut self, index: usize, offset: u32, size: u32) -> Result<()> {
        let segment = self.data(index, offset, size)?;
        self.device.send(&segment.packet())
    }

    pub(super) fn data(&self, index: usize, offset: u32, size: u32) -> Result<Segment> {
        let sequence = self.connections[index].sequence(offset);
        let payload = vec![b't'; usize::try_from(size)?];
        Ok(self.segment(index, sequence, flag::ACK, Vec::new(), payload))
    }

    pub(super) fn segment(
        &self,
        index: usize,
        sequence: u32,
        flags: u8,
        options: Vec<u8>,
        payload: Vec<u8>,
    ) -> Segment {
        let connection = &self.connections[index];
        Segment {
            from: SocketAddrV4::new(self.address, connection.port),
            to: self.server,
            sequence,
            acknowledge: connection.expected,
            flags,
            window: 65_535,
            options,
            payload,
        }
    }
}
