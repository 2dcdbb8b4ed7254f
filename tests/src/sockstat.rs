//! The lab's own reading of `/proc/net/sockstat`: what TCP takes of the whole node.

use std::fs;

use anyhow::{Context, Result};

/// TCP memory and sockets of the node.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Pages that are allocated, without what processors keep in reserve.
    pub pages: u64,
    /// Sockets, those that wait for their end (TIME-WAIT) left out.
    pub allocated: u64,
    /// Sockets that no process holds any more.
    pub orphans: u64,
}

impl Usage {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string("/proc/net/sockstat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("TCP: "));
        let words: Vec<&str> = line.context("no TCP in sockstat")?.split(' ').collect();
        let number = |name: &str| -> Result<u64> {
            let at = words.iter().position(|word| *word == name);
            let value = at.and_then(|at| words.get(at + 1)?.parse().ok());
            value.with_context(|| format!("no {name} in sockstat"))
        };
        Ok(Self {
            pages: number("mem")?,
            allocated: number("alloc")?,
            orphans: number("orphan")?,
        })
    }
}
