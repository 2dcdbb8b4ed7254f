//! TCP segments over IPv4 as bytes: building with both checksums (RFC 791, RFC 9293, RFC 1071) and reading.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Flag bits of the TCP header.
pub mod flag {
    /// The sender has no more data.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// The connection is refused or gone.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// Options of our SYN: maximum segment size 1460, no-operation, window scale 7.
pub const SYN_OPTIONS: [u8; 8] = [2, 4, 0x05, 0xb4, 1, 3, 3, 7];

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it comes from.
    pub from: SocketAddrV4,
    /// Where it goes to.
    pub to: SocketAddrV4,
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Next sequence number expected from the other side.
    pub acknowledge: u32,
    /// Flag bits.
    pub flags: u8,
    /// Announced window, unscaled.
    pub window: u16,
    /// TCP options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Segment {
    /// The segment as an IPv4 packet.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let tcp_len = 20 + self.options.len() + self.payload.len();
        // Callers stay far below 64 KiB; a longer one would be cut by the kernel as malformed.
        let total = u16::try_from(20 + tcp_len).unwrap_or(u16::MAX);
        let data_offset = u8::try_from((20 + self.options.len()) / 4).unwrap_or(15) << 4;
        let mut bytes = Vec::with_capacity(20 + tcp_len);
        bytes.extend([0x45, 0]);
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(self.from.ip().octets());
        bytes.extend(self.to.ip().octets());
        let header = checksum(&[&bytes]);
        bytes[10..12].copy_from_slice(&header.to_be_bytes());

        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledge.to_be_bytes());
        bytes.extend([data_offset, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        let pseudo = pseudo_header(*self.from.ip(), *self.to.ip(), total - 20);
        let sum = checksum(&[&pseudo, &bytes[20..]]);
        bytes[36..38].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Reads a packet; None where it is not a whole IPv4 TCP segment.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
        let first = *packet.first()?;
        if first >> 4 != 4 || *packet.get(9)? != 6 {
            return None;
        }
        let tcp = usize::from(first & 0x0f) * 4;
        let end = usize::from(word(2)?);
        let data = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
        Some(Self {
            from: SocketAddrV4::new(Ipv4Addr::from_bits(long(12)?), word(tcp)?),
            to: SocketAddrV4::new(Ipv4Addr::from_bits(long(16)?), word(tcp + 2)?),
            sequence: long(tcp + 4)?,
            acknowledge: long(tcp + 8)?,
            flags: *packet.get(tcp + 13)?,
            window: word(tcp + 14)?,
            options: packet.get(tcp + 20..data)?.to_vec(),
            payload: packet.get(data..end)?.to_vec(),
        })
    }

    /// The window scale among the options, 0 where there is none.
    #[must_use]
    pub fn window_scale(&self) -> u8 {
        match self.option(3) {
            Some(&[scale]) => scale.min(14),
            _ => 0,
        }
    }

    /// The content of the first option of a kind, behind its kind and length.
    #[must_use]
    pub fn option(&self, wanted: u8) -> Option<&[u8]> {
        let mut rest = &self.options[..];
        loop {
            match rest {
                [1, tail @ ..] => rest = tail,
                [kind, len, ..] if *kind > 1 && *len >= 2 && usize::from(*len) <= rest.len() => {
                    let (option, tail) = rest.split_at(usize::from(*len));
                    if *kind == wanted {
                        return Some(&option[2..]);
                    }
                    rest = tail;
                }
                _ => return None,
            }
        }
    }
}

fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, tcp_len: u16) -> [u8; 12] {
    let (f, t, l) = (from.octets(), to.octets(), tcp_len.to_be_bytes());
    [
        f[0], f[1], f[2], f[3], t[0], t[1], t[2], t[3], 0, 6, l[0], l[1],
    ]
}

/// The Internet checksum over the parts, each but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop above leaves at most 16 bits.
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        Segment {
            from: "10.99.0.2:10000".parse().unwrap(),
            to: "10.99.0.1:80".parse().unwrap(),
            sequence: 0xffff_fff0,
            acknowledge: 7,
            flags: flag::ACK,
            window: 65_535,
            options: SYN_OPTIONS.to_vec(),
            payload: b"odd".to_vec(),
        }
    }

    #[test]
    fn what_is_built_can_be_read() {
        assert_eq!(Segment::parse(&segment().packet()), Some(segment()));
        assert_eq!(segment().window_scale(), 7);
    }

    /// RFC 1071, section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    #[test]
    fn checksum_of_the_rfc_example() {
        assert_eq!(
            checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]),
            !0xddf2
        );
    }

    /// RFC 1071: a packet with its checksum in place sums to zero.
    #[test]
    fn both_checksums_verify() {
        let packet = segment().packet();
        assert_eq!(checksum(&[&packet[..20]]), 0);
        let len = u16::try_from(packet.len() - 20).unwrap();
        let pseudo = pseudo_header(*segment().from.ip(), *segment().to.ip(), len);
        assert_eq!(checksum(&[&pseudo, &packet[20..]]), 0);
    }

    #[test]
    fn rubbish_is_no_segment() {
        let packet = segment().packet();
        for cut in 0..packet.len() {
            assert_eq!(Segment::parse(&packet[..cut]), None, "cut at {cut}");
        }
        let mut options = segment();
        options.options = vec![8, 0, 0, 0];
        assert_eq!(options.window_scale(), 0);
    }
}
