//! Counters of fixed number as a list in a document: zeros at its end are left out, and a list that is longer than what it is read
//! into is refused.

use core::fmt;

use serde::{
    Deserializer, Serializer,
    de::{Error, SeqAccess, Visitor},
};

/// Writes the counters up to the last that is not 0.
///
/// # Errors
/// When the document cannot be written.
pub fn serialize<S: Serializer, const N: usize>(
    counters: &[u64; N],
    to: S,
) -> Result<S::Ok, S::Error> {
    let used = counters.iter().rposition(|count| *count != 0);
    to.collect_seq(&counters[..used.map_or(0, |last| last + 1)])
}

/// Reads a list; what it lacks is 0.
///
/// # Errors
/// When it is no list of numbers, or has more than there are counters.
pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    from: D,
) -> Result<[u64; N], D::Error> {
    from.deserialize_seq(Counters)
}

struct Counters<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Counters<N> {
    type Value = [u64; N];

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "a list of {N} numbers at most")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<[u64; N], A::Error> {
        let mut counters = [0; N];
        let mut length = 0;
        while let Some(count) = list.next_element()? {
            let cell = counters.get_mut(length);
            *cell.ok_or_else(|| A::Error::invalid_length(length + 1, &self))? = count;
            length += 1;
        }
        Ok(counters)
    }
}
