//! Facts that outlive what they are about: of the dead too, of whom there is room for [`DEAD_MAX`]. Counts come late, and a pod that was
//! removed before the report must keep its name; but a node that makes pods for months must not fill our memory.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// The dead that are kept at most: those of the last ten minutes, also where three die in a second.
pub const DEAD_MAX: usize = 2048;

/// Values by key, at most a fixed number of them. Where there is no room, the longest dead go first; the living never do.
#[derive(Clone, Debug)]
pub struct Kept<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The dead in the order of their deaths, by the number that their entry carries.
    dead: BTreeMap<u64, K>,
    deaths: u64,
    max: usize,
    refused: u64,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    died: Option<u64>,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    /// An empty table that keeps at most so many.
    #[must_use]
    pub fn with_max(max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            dead: BTreeMap::new(),
            deaths: 0,
            max,
            refused: 0,
        }
    }

    /// Takes a value of something that lives; `false` when all that is kept lives, and there is no room for one more.
    pub fn learn(&mut self, key: K, value: V) -> bool {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.value = value;
            if let Some(died) = entry.died.take() {
                self.dead.remove(&died);
            }
            return true;
        }
        if self.entries.len() >= self.max {
            if self.dead.is_empty() {
                self.refused += 1;
                return false;
            }
            self.bury_one();
        }
        self.entries.insert(key, Entry { value, died: None });
        true
    }

    /// Gives the room of the longest dead away.
    fn bury_one(&mut self) {
        let longest = self.dead.pop_first();
        longest.and_then(|(_, key)| self.entries.remove(&key));
    }

    /// Notes that something is gone. Its value stays until the room is needed, or so many have died after it.
    pub fn forget<Q: ?Sized + Eq + Hash>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let Some((key, _)) = self.entries.get_key_value(key) else {
            return;
        };
        let key = key.clone();
        if let Some(entry) = self.entries.get_mut(key.borrow())
            && entry.died.is_none()
        {
            entry.died = Some(self.deaths);
            self.dead.insert(self.deaths, key);
            self.deaths += 1;
            if self.dead.len() > DEAD_MAX {
                self.bury_one();
            }
        }
    }

    /// Notes that whatever does not fulfil this is gone.
    pub fn retain(&mut self, mut lives: impl FnMut(&K) -> bool) {
        let gone: Vec<K> = self
            .entries
            .keys()
            .filter(|&key| !lives(key))
            .cloned()
            .collect();
        gone.iter().for_each(|key| self.forget(key));
    }

    /// The value of something, dead or alive.
    #[must_use]
    pub fn get<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        Some(&self.entries.get(key)?.value)
    }

    /// Everything that is kept, dead or alive, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// What lives, in no order.
    pub fn living(&self) -> impl Iterator<Item = (&K, &V)> {
        let living = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.died.is_none());
        living.map(|(key, entry)| (key, &entry.value))
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many found no room.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_stay_until_their_room_is_needed() {
        let mut kept: Kept<String, u32> = Kept::with_max(2);
        assert!(kept.learn("a".into(), 1));
        assert!(kept.learn("b".into(), 2));
        assert!(!kept.learn("c".into(), 3), "the living do not give way");
        assert_eq!((kept.get("c"), kept.refused(), kept.len()), (None, 1, 2));
        kept.forget("b");
        kept.forget("b");
        kept.forget("nobody");
        assert_eq!(kept.living().collect::<Vec<_>>(), [(&"a".to_owned(), &1)]);
        assert_eq!(kept.get("b"), Some(&2));
        assert!(kept.learn("c".into(), 3));
        assert_eq!((kept.get("b"), kept.get("c")), (None, Some(&3)));
    }

    #[test]
    fn the_longest_dead_goes_first_and_who_comes_back_lives() {
        let mut kept: Kept<u32, ()> = Kept::with_max(3);
        assert!((1..=3).all(|key| kept.learn(key, ())));
        kept.retain(|key| *key == 2);
        kept.learn(1, ());
        kept.forget(&1);
        // 3 died before 1 did for the second time.
        assert!(kept.learn(4, ()));
        assert!(kept.get(&3).is_none() && kept.get(&1).is_some());
        assert!(kept.learn(5, ()));
        assert!(kept.get(&1).is_none());
        assert!(!kept.learn(6, ()));
    }

    #[test]
    fn of_the_dead_those_who_died_last_are_kept_though_there_is_room() {
        let mut kept: Kept<usize, ()> = Kept::with_max(10 * DEAD_MAX);
        kept.learn(0, ());
        for key in 1..=DEAD_MAX + 5 {
            kept.learn(key, ());
            kept.forget(&key);
        }
        assert_eq!((kept.len(), kept.living().count()), (DEAD_MAX + 1, 1));
        assert!(kept.get(&5).is_none() && kept.get(&6).is_some());
        assert_eq!(kept.refused(), 0);
    }

    #[test]
    fn dying_again_and_again_takes_no_memory() {
        let mut kept: Kept<u32, ()> = Kept::with_max(1);
        for _ in 0..1000 {
            kept.learn(7, ());
            kept.forget(&7);
        }
        assert_eq!((kept.len(), kept.dead.len()), (1, 1));
    }
}
