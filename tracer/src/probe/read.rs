//! Reads the maps.

use std::time::Duration;

use aya::{
    Pod,
    maps::{Array, HashMap, MapError},
};
use tracer_common::{
    Frame, SocketState, TallyKey, TallyValue, Verdict, lost, selfcheck, tally::OVERFLOW_ID,
};

use super::Tracer;
use crate::aggregate::Tallies;

/// No call of the functions that are probed takes as long, even where a task that runs one is put aside.
const LONGEST_CALL: Duration = Duration::from_secs(2);

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
        Ok(Reading {
            tallies: self.tallies()?,
            in_flight: self.in_flight()?,
        })
    }

    /// Reads the counts alone, whatever is being counted meanwhile.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn tallies(&self) -> Result<Tallies, MapError> {
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
        Ok(tallies)
    }

    /// Takes the counts of an owner out of the map, if they are still those that were read last; whether it did. A count that is added meanwhile
    /// would be lost, so this is for owners that are gone.
    pub fn forget(&mut self, key: &TallyKey, last: &TallyValue) -> bool {
        let Some(map) = self.ebpf.map_mut("TALLIES") else {
            return false;
        };
        let Ok(mut map) = HashMap::<_, TallyKey, TallyValue>::try_from(map) else {
            return false;
        };
        map.get(key, 0).is_ok_and(|now| now == *last) && map.remove(key).is_ok()
    }

    /// Takes the state of a socket out of the map, if it is still the one that was read last; whether it did. This is for sockets that are no
    /// more: only one that the kernel has since made at the same address, and that has no cookie, could come to have it.
    pub fn forget_socket(&mut self, key: u64, last: &SocketState) -> bool {
        let Some(map) = self.ebpf.map_mut("SOCKETS") else {
            return false;
        };
        let Ok(mut map) = HashMap::<_, u64, SocketState>::try_from(map) else {
            return false;
        };
        map.get(&key, 0)
            .is_ok_and(|now| (now.last_ns, now.closed_ns) == (last.last_ns, last.closed_ns))
            && map.remove(&key).is_ok()
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
        self.cells("LOST")
    }

    /// Reads the results of the self-check, by [`tracer_common::selfcheck`].
    ///
    /// # Errors
    /// When the kernel refuses to have the map read.
    pub fn selfcheck(&self) -> Result<[u64; selfcheck::COUNT as usize], MapError> {
        self.cells("SELFCHECK")
    }

    fn cells<const N: usize>(&self, map: &'static str) -> Result<[u64; N], MapError> {
        let map: Array<_, u64> = Array::try_from(self.map(map)?)?;
        let mut cells = [0; N];
        for (cell, count) in (0..).zip(&mut cells) {
            *count = map.get(&cell, 0)?;
        }
        Ok(cells)
    }

    /// Calls in the middle of being counted. The programs keep four words of them (`FRAMES_OPEN`,
    /// `VERDICTS_WAITING`, `DROPS_WAITING`, `PRESSURE_CALLS_OPEN`, in the linker's order); only when one is
    /// not 0 is it worth to look at the calls themselves.
    fn in_flight(&self) -> Result<u64, MapError> {
        let words: Array<_, [u64; 4]> = Array::try_from(self.map(".bss")?)?;
        if words.get(&0, 0)? == [0; 4] {
            return Ok(0);
        }
        let now = clock();
        Ok(self.young(now, "FRAMES", |frame: &Frame| frame.opened_ns)?
            + self.young(now, "PENDING", |verdict: &Verdict| verdict.failed_ns)?
            + self.young(now, "ZERO_WINDOW", |began: &u64| *began)?
            + self.young(now, "PRESSURE_CALLS", |began: &u64| *began)?)
    }

    /// Entries of a map that are not left over from a call whose end no program saw.
    fn young<V: Pod>(
        &self,
        now: Duration,
        map: &'static str,
        began: impl Fn(&V) -> u64,
    ) -> Result<u64, MapError> {
        let map: HashMap<_, u64, V> = HashMap::try_from(self.map(map)?)?;
        let mut young = 0;
        for entry in &map {
            // An entry may go while the map is walked.
            let Ok((_, value)) = entry else { continue };
            if now.saturating_sub(Duration::from_nanos(began(&value))) < LONGEST_CALL {
                young += 1;
            }
        }
        Ok(young)
    }

    pub(super) fn map(&self, name: &'static str) -> Result<&aya::maps::Map, MapError> {
        self.ebpf.map(name).ok_or_else(|| MapError::InvalidName {
            name: name.to_owned(),
        })
    }
}

/// `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` reads it.
fn clock() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
