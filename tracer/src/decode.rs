//! From bytes of a ring buffer to records. Pure, and without `unsafe`: a short or foreign record is an
//! error, never a guess.

use thiserror::Error;
use tracer_common::{ABI_VERSION, CgroupRecord, EventRecord, TimelineRecord, event, tally};
use zerocopy::FromBytes as _;

/// Why a record is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// It is shorter than what it should hold.
    #[error("record of {found} bytes where {wanted} were expected")]
    Truncated {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        wanted: usize,
    },
    /// It was written by another version.
    #[error("record of version {0}, this is version {ABI_VERSION}")]
    Version(u32),
    /// A kind of timeline record that this version does not know.
    #[error("record of the unknown kind {0}")]
    Kind(u32),
    /// A queue or limit that this version does not know.
    #[error("record with the unknown queue {queue} or limit {limit}")]
    Verdict {
        /// Number of the queue.
        queue: u32,
        /// Number of the limit.
        limit: u32,
    },
}

/// Decodes one record of evidence.
///
/// # Errors
/// When it is cut off, of another version, or names a queue or limit that does not exist.
pub fn event(bytes: &[u8]) -> Result<EventRecord, DecodeError> {
    let truncated = DecodeError::Truncated {
        found: bytes.len(),
        wanted: size_of::<EventRecord>(),
    };
    let (record, _) = EventRecord::read_from_prefix(bytes).map_err(|_| truncated)?;
    if record.abi != ABI_VERSION {
        return Err(DecodeError::Version(record.abi));
    }
    if (record.size as usize) < size_of::<EventRecord>() {
        return Err(truncated);
    }
    if record.queue as usize >= tally::queue::COUNT || record.limit as usize >= tally::limit::COUNT
    {
        return Err(DecodeError::Verdict {
            queue: record.queue,
            limit: record.limit,
        });
    }
    Ok(record)
}

/// Decodes one record of the timeline.
///
/// # Errors
/// When it is cut off, of another version, or of a kind that does not exist.
pub fn timeline(bytes: &[u8]) -> Result<TimelineRecord, DecodeError> {
    let truncated = DecodeError::Truncated {
        found: bytes.len(),
        wanted: size_of::<TimelineRecord>(),
    };
    let (record, _) = TimelineRecord::read_from_prefix(bytes).map_err(|_| truncated)?;
    if record.abi != ABI_VERSION {
        return Err(DecodeError::Version(record.abi));
    }
    if (record.size as usize) < size_of::<TimelineRecord>() {
        return Err(truncated);
    }
    if record.kind >= event::timeline::COUNT {
        return Err(DecodeError::Kind(record.kind));
    }
    Ok(record)
}

/// Birth of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Id of the cgroup.
    pub id: u64,
    /// Hierarchy; 0 is the default (v2) one.
    pub hierarchy: u32,
    /// Path from the root of the hierarchy.
    pub path: String,
}

/// Decodes the birth of a cgroup.
///
/// # Errors
/// When the record is cut off or its path is longer than the record.
pub fn birth(bytes: &[u8]) -> Result<Birth, DecodeError> {
    let truncated = DecodeError::Truncated {
        found: bytes.len(),
        wanted: size_of::<CgroupRecord>(),
    };
    let (record, _) = CgroupRecord::read_from_prefix(bytes).map_err(|_| truncated)?;
    let path = record
        .path
        .get(..record.path_len as usize)
        .ok_or(truncated)?;
    Ok(Birth {
        id: record.id,
        hierarchy: record.hierarchy,
        path: String::from_utf8_lossy(path).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tracer_common::{Compared, TallyKey, Tuple, event::CGROUP_PATH_MAX};
    use zerocopy::IntoBytes as _;

    use super::*;

    fn record() -> EventRecord {
        EventRecord {
            abi: ABI_VERSION,
            size: size_of::<EventRecord>() as u32,
            at_ns: 1,
            stall_ns: 2,
            cookie: 3,
            owner: TallyKey::default(),
            tuple: Tuple::default(),
            queue: tally::queue::OFO as u32,
            limit: tally::limit::TCP_MEM_HARD as u32,
            rmem_alloc: 4,
            rcvbuf: 5,
            skb_len: 6,
            skb_truesize: 7,
            unread: 8,
            collapsed: 9,
            ofo_pruned: 10,
            pruned: 1,
            ofo_empty: 0,
            ofo_bytes: 11,
            compared: Compared::NOTHING,
        }
    }

    #[test]
    fn a_whole_record_comes_back_as_it_was() {
        assert_eq!(event(record().as_bytes()), Ok(record()));
    }

    #[test]
    fn every_shorter_prefix_is_refused() {
        let whole = record();
        for len in 0..size_of::<EventRecord>() {
            assert_eq!(
                event(&whole.as_bytes()[..len]),
                Err(DecodeError::Truncated {
                    found: len,
                    wanted: size_of::<EventRecord>()
                })
            );
        }
    }

    #[test]
    fn foreign_versions_and_verdicts_are_refused() {
        let newer = EventRecord {
            abi: ABI_VERSION + 1,
            ..record()
        };
        assert_eq!(
            event(newer.as_bytes()),
            Err(DecodeError::Version(ABI_VERSION + 1))
        );
        let queue = EventRecord {
            queue: 99,
            ..record()
        };
        assert!(matches!(
            event(queue.as_bytes()),
            Err(DecodeError::Verdict { queue: 99, .. })
        ));
        let limit = EventRecord {
            limit: u32::MAX,
            ..record()
        };
        assert!(matches!(
            event(limit.as_bytes()),
            Err(DecodeError::Verdict { .. })
        ));
        let short = EventRecord {
            size: 8,
            ..record()
        };
        assert!(matches!(
            event(short.as_bytes()),
            Err(DecodeError::Truncated { .. })
        ));
    }

    #[test]
    fn a_record_of_the_timeline_is_checked_like_any_other() {
        let record = TimelineRecord {
            abi: ABI_VERSION,
            size: size_of::<TimelineRecord>() as u32,
            at_ns: 1,
            cookie: 2,
            owner: TallyKey::default(),
            kind: event::timeline::PRESSURE_LEFT,
            milliseconds: 3,
        };
        let bytes = record.as_bytes();
        assert_eq!(timeline(bytes), Ok(record));
        for len in 0..bytes.len() {
            assert!(timeline(&bytes[..len]).is_err(), "{len} bytes are enough");
        }
        let kind = TimelineRecord { kind: 3, ..record };
        assert_eq!(timeline(kind.as_bytes()), Err(DecodeError::Kind(3)));
        let newer = TimelineRecord { abi: 99, ..record };
        assert_eq!(timeline(newer.as_bytes()), Err(DecodeError::Version(99)));
    }

    #[test]
    fn a_birth_keeps_its_path_and_a_lying_length_is_refused() {
        let mut record = CgroupRecord {
            id: 77,
            hierarchy: 0,
            path_len: 4,
            path: [0; CGROUP_PATH_MAX],
        };
        record.path[..4].copy_from_slice(b"/a\xffb");
        let birth_of = birth(record.as_bytes()).unwrap();
        assert_eq!((birth_of.id, birth_of.path.as_str()), (77, "/a\u{fffd}b"));
        record.path_len = CGROUP_PATH_MAX as u32 + 1;
        assert!(birth(record.as_bytes()).is_err());
    }
}
