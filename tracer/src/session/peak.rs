//! A look at sockets within the window, while TCP memory is taken: whoever dies before the end would not be found any more.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    holders::{self, Scan},
    indicators::TcpMemory,
};

/// Looks in one window. On a node in trouble each costs what a report costs.
const MAX_LOOKS: u32 = 4;
/// Between two looks.
const BETWEEN: Duration = Duration::from_secs(3);
/// More memory must be taken than at the last look, in percent of that.
const MORE: u64 = 110;

/// Sockets, and TCP memory beside them, when most of it was taken.
#[derive(Clone, Debug)]
pub struct Peak {
    /// Every TCP socket.
    pub scan: Scan,
    /// TCP memory of the node.
    pub memory: TcpMemory,
}

/// Waits for the peak.
#[derive(Debug, Default)]
pub(super) struct Climb {
    pub(super) peak: Option<Peak>,
    last: Option<Instant>,
    looks: u32,
}

impl Climb {
    /// Looks at all sockets if TCP memory is above the line where pressure begins and it is worth it; then what was seen.
    pub(super) fn look(&mut self, proc: &Path, memory: TcpMemory) -> Option<&Peak> {
        let now = Instant::now();
        if !self.is_worth_it(&memory, now) {
            return None;
        }
        self.last = Some(now);
        self.looks += 1;
        let scan = holders::scan(proc);
        Some(self.peak.insert(Peak { scan, memory }))
    }

    fn is_worth_it(&self, memory: &TcpMemory, now: Instant) -> bool {
        let (Some(pages), Some([_, line, _])) = (memory.sockstat_pages, memory.tcp_mem) else {
            return false;
        };
        let rested = self
            .last
            .is_none_or(|last| now.duration_since(last) >= BETWEEN);
        let before = self
            .peak
            .as_ref()
            .and_then(|peak| peak.memory.sockstat_pages);
        let more = before.is_none_or(|before| pages >= before.saturating_mul(MORE) / 100);
        pages > line && rested && more && self.looks < MAX_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(pages: u64) -> TcpMemory {
        TcpMemory {
            sockstat_pages: Some(pages),
            tcp_mem: Some([50, 100, 200]),
            ..TcpMemory::default()
        }
    }

    fn climbed(pages: u64, looks: u32, ago: Duration) -> (Climb, Instant) {
        let then = Instant::now();
        let climb = Climb {
            peak: Some(Peak {
                scan: Scan::default(),
                memory: memory(pages),
            }),
            last: Some(then),
            looks,
        };
        (climb, then + ago)
    }

    #[test]
    fn a_node_without_pressure_is_left_alone() {
        let climb = Climb::default();
        let now = Instant::now();
        assert!(!climb.is_worth_it(&memory(100), now));
        assert!(climb.is_worth_it(&memory(101), now));
        assert!(!climb.is_worth_it(&TcpMemory::default(), now));
    }

    #[test]
    fn the_next_look_takes_more_memory_and_some_rest() {
        let (climb, later) = climbed(150, 1, BETWEEN);
        assert!(!climb.is_worth_it(&memory(164), later));
        assert!(climb.is_worth_it(&memory(165), later));
        let (climb, soon) = climbed(150, 1, BETWEEN / 2);
        assert!(!climb.is_worth_it(&memory(165), soon));
        let (climb, later) = climbed(150, MAX_LOOKS, BETWEEN);
        assert!(!climb.is_worth_it(&memory(165), later));
    }
}
