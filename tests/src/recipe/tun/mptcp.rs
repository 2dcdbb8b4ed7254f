//! The handshake of Multipath TCP (RFC 8684, section 3.1), as far as it takes to open a connection. What follows carries no data
//! sequence, so the other side falls back to TCP within a connection that it has taken for one of Multipath TCP.

use super::segment::{SYN_OPTIONS, Segment};

const KIND: u8 = 30;
/// Subtype `MP_CAPABLE`, version 1.
const CAPABLE: u8 = 0x01;
/// HMAC-SHA256, no checksums.
const FLAGS: u8 = 0x01;
const OUR_KEY: [u8; 8] = *b"tcpress!";

/// Options of the first segment.
pub(super) fn syn() -> Vec<u8> {
    [&SYN_OPTIONS[..], &[KIND, 4, CAPABLE, FLAGS]].concat()
}

/// Options of the third segment, which gives both keys; None where the other side does not speak Multipath TCP.
pub(super) fn confirm(answer: &Segment) -> Option<Vec<u8>> {
    match answer.option(KIND)? {
        [subtype, _, key @ ..] if *subtype == CAPABLE && key.len() == 8 => {
            Some([&[KIND, 20, CAPABLE, FLAGS][..], &OUR_KEY, key].concat())
        }
        _ => None,
    }
}
