//! Reads the maps.

use aya::maps::{Array, HashMap, MapError};
use tracer_common::{SocketState, TallyKey, TallyValue, lost, tally::OVERFLOW_ID};

use super::Tracer;
use crate::aggregate::Tallies;

/// One reading of the exact counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Counts per owner, those of the overflow buckets included.
    pub tallies: Tallies,
    /// Calls in the middle of being counted at this very moment.
    pub in_flight: u64,
}

impl Tracer {
    /// Reads all counts.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn read(&self) -> Result<Reading, MapError> {
        let mut tallies = Tallies::new();
        for name in ["TALLIES", "OVERFLOW"] {
            let map: HashMap<_, TallyKey, TallyValue> = HashMap::try_from(self.map(name)?)?;
            for entry in &map {
                let (key, value) = entry?;
                tallies.insert(key, value);
            }
        }
        let last: Array<_, TallyValue> = Array::try_from(self.map("LAST_BUCKET")?)?;
        let value = last.get(&0, 0)?;
        if value != TallyValue::ZERO {
            let nobody = TallyKey {
                cgroup_id: OVERFLOW_ID,
                memcg_id: OVERFLOW_ID,
                ..TallyKey::default()
            };
            tallies.insert(nobody, value);
        }
        Ok(Reading {
            tallies,
            in_flight: self.in_flight()?,
        })
    }

    /// Reads the state of all sockets, by cookie (or by address, which is larger than any cookie).
    ///
    /// # Errors
    /// When the kernel refuses to have the map read.
    pub fn sockets(&self) -> Result<Vec<(u64, SocketState)>, MapError> {
        let map: HashMap<_, u64, SocketState> = HashMap::try_from(self.map("SOCKETS")?)?;
        map.iter().collect()
    }

    /// Reads what the programs could not keep, by [`tracer_common::lost`].
    ///
    /// # Errors
    /// When the kernel refuses to have the map read.
    pub fn lost(&self) -> Result<[u64; lost::COUNT as usize], MapError> {
        let map: Array<_, u64> = Array::try_from(self.map("LOST")?)?;
        let mut lost = [0; lost::COUNT as usize];
        for (cell, count) in (0..).zip(&mut lost) {
            *count = map.get(&cell, 0)?;
        }
        Ok(lost)
    }

    /// The two words that the programs keep outside maps of their own: open frames and verdicts that
    /// wait (`FRAMES_OPEN`, `VERDICTS_WAITING`). Their order is the linker's; only their sum matters.
    fn in_flight(&self) -> Result<u64, MapError> {
        let words: Array<_, [u64; 2]> = Array::try_from(self.map(".bss")?)?;
        let [one, other] = words.get(&0, 0)?;
        Ok(one.wrapping_add(other))
    }

    pub(super) fn map(&self, name: &'static str) -> Result<&aya::maps::Map, MapError> {
        self.ebpf.map(name).ok_or_else(|| MapError::InvalidName {
            name: name.to_owned(),
        })
    }
}
