//! Streams a ring buffer.

use aya::maps::{MapData, MapError, RingBuf};
use bytes::Bytes;
use tokio::io::{Interest, unix::AsyncFd};

use super::Tracer;

/// A ring buffer of the kernel object, taken out of it.
pub struct Ring {
    buffer: AsyncFd<RingBuf<MapData>>,
}

impl Tracer {
    /// Takes the ring buffer of evidence.
    ///
    /// # Errors
    /// When it was taken before, or cannot be mapped.
    pub fn events(&mut self) -> anyhow::Result<Ring> {
        self.ring("EVENTS")
    }

    /// Takes the ring buffer of births of cgroups.
    ///
    /// # Errors
    /// When it was taken before, or cannot be mapped.
    pub fn births(&mut self) -> anyhow::Result<Ring> {
        self.ring("CGROUPS")
    }

    /// Takes the ring buffer of the timeline.
    ///
    /// # Errors
    /// When it was taken before, or cannot be mapped.
    pub fn timeline(&mut self) -> anyhow::Result<Ring> {
        self.ring("TIMELINE")
    }

    fn ring(&mut self, name: &str) -> anyhow::Result<Ring> {
        let map = self
            .ebpf
            .take_map(name)
            .ok_or_else(|| MapError::InvalidName {
                name: name.to_owned(),
            })?;
        let buffer = RingBuf::try_from(map)?;
        // SAFETY: the descriptor belongs to the buffer, which the `AsyncFd` owns: it stays open and the
        // same for as long as it is registered.
        let buffer = unsafe { AsyncFd::register_with_interest(buffer, Interest::READABLE) }
            .map_err(std::io::Error::from)?;
        Ok(Ring { buffer })
    }
}

impl Ring {
    /// Waits for records and returns all that are there, at most `limit`.
    ///
    /// # Errors
    /// When the kernel refuses to have the buffer polled.
    pub async fn next(&mut self, limit: usize) -> std::io::Result<Vec<Bytes>> {
        loop {
            let mut guard = self.buffer.readable_mut().await?;
            let records = take(guard.get_inner_mut(), limit);
            if records.len() < limit {
                guard.clear_ready();
            }
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Returns what is there now without waiting, at most `limit`.
    pub fn drain(&mut self, limit: usize) -> Vec<Bytes> {
        take(self.buffer.get_mut(), limit)
    }
}

fn take(buffer: &mut RingBuf<MapData>, limit: usize) -> Vec<Bytes> {
    let mut records = Vec::new();
    while records.len() < limit
        && let Some(record) = buffer.next()
    {
        records.push(Bytes::copy_from_slice(&record));
    }
    records
}
