//! Bytes built by hand after the kernel's headers.

use super::*;

/// Sockets of a datagram, and what else it said.
#[derive(Debug, PartialEq)]
struct Said {
    sockets: Vec<Socket>,
    decoded: Decoded,
}

fn decode(datagram: &[u8], netns_inum: u32, sequence: u32) -> Result<Said, DiagError> {
    let mut sockets = Vec::new();
    let decoded = super::decode(datagram, netns_inum, sequence, |socket| {
        sockets.push(socket);
    })?;
    Ok(Said { sockets, decoded })
}

const SEQUENCE: u32 = 77;
const NETNS: u32 = 4_026_531_840;

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(16 + body.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `inet_diag_msg`.
fn diag_msg(family: u8, state: u8, source: &[u8], destination: &[u8]) -> Vec<u8> {
    let mut bytes = vec![family, state, 0, 0];
    bytes.extend(6379_u16.to_be_bytes());
    bytes.extend(40_001_u16.to_be_bytes());
    for address in [source, destination] {
        let mut field = address.to_vec();
        field.resize(16, 0);
        bytes.extend(field);
    }
    // Interface, both halves of the cookie, expires, rqueue, wqueue, uid, inode.
    for word in [0_u32, 0x55, 0x1, 0, 30_001, 12, 1000, 987] {
        bytes.extend(word.to_ne_bytes());
    }
    assert_eq!(bytes.len(), 72);
    bytes
}

fn skmeminfo(values: &[i32]) -> Vec<u8> {
    attribute(
        7,
        &values
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect::<Vec<_>>(),
    )
}

fn v4() -> Vec<u8> {
    diag_msg(2, 8, &[10, 0, 0, 1], &[10, 0, 0, 2])
}

const MEMINFO: [i32; 9] = [100_000, 131_072, 1, 87_040, 4096, 2304, 64, 512, 3];

#[test]
fn request_bytes() {
    let bytes = request(10, 0x0102_0304);
    assert_eq!(bytes.len(), 72);
    assert_eq!(bytes[0..4], 72_u32.to_ne_bytes());
    assert_eq!(bytes[4..6], 20_u16.to_ne_bytes());
    assert_eq!(bytes[6..8], 0x301_u16.to_ne_bytes());
    assert_eq!(bytes[8..12], 0x0102_0304_u32.to_ne_bytes());
    // Family, protocol TCP, extension bit 6, padding.
    assert_eq!(bytes[16..20], [10, 6, 0x40, 0]);
    let states = u32::from_ne_bytes(bytes[20..24].try_into().unwrap());
    for state in 1..=13 {
        assert_ne!(states & 1 << state, 0, "{state}");
    }
    assert!(bytes[24..].iter().all(|&byte| byte == 0));
}

#[test]
fn request_bytes_for_both_families() {
    let bytes = request_both(9);
    assert_eq!(bytes.len(), 76);
    assert_eq!(bytes[0..4], 76_u32.to_ne_bytes());
    assert_eq!(bytes[4..6], 18_u16.to_ne_bytes());
    // Family, two prefix lengths, extension bit 6; then inet_diag_sockid, states, tables.
    assert_eq!(bytes[16..20], [0, 0, 0, 0x40]);
    assert_eq!(bytes[68..72], 0x3ffe_u32.to_ne_bytes());
    assert!(
        bytes[20..68]
            .iter()
            .chain(&bytes[72..])
            .all(|&byte| byte == 0)
    );
    // The answers carry the type of the request.
    let decoded = decode(&message(18, 2, SEQUENCE, &v4()), NETNS, SEQUENCE).unwrap();
    assert_eq!(decoded.sockets.len(), 1);
}

#[test]
fn a_socket_with_memory_and_cgroup() {
    let mut body = v4();
    body.extend(attribute(9, &[3]));
    body.extend(skmeminfo(&MEMINFO));
    body.extend(attribute(21, &0x1_0000_1234_u64.to_ne_bytes()));
    let decoded = decode(&message(20, 2, SEQUENCE, &body), NETNS, SEQUENCE).unwrap();
    let want = Socket {
        netns_inum: NETNS,
        local: "10.0.0.1:6379".parse().unwrap(),
        remote: "10.0.0.2:40001".parse().unwrap(),
        state: TcpState::CloseWait,
        inode: 987,
        cookie: 0x1_0000_0055,
        cgroup_id: Some(0x1_0000_1234),
        memory: Some(SocketMemory {
            rmem_alloc: 100_000,
            rcvbuf: 131_072,
            forward_alloc: 4096,
            wmem_queued: 2304,
        }),
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: 30_001,
        unsent: 12,
    };
    assert_eq!(
        decoded,
        Said {
            sockets: vec![want],
            decoded: Decoded::default(),
        }
    );
}

#[test]
fn a_window_of_four_segments_is_clamped() {
    let bytes = request_windows(9);
    assert_eq!(bytes[16..20], [0, 0, 0, 2]);
    assert_eq!(bytes[68..72], 0x32_u32.to_ne_bytes());
    // `tcp_info`: rcv_ssthresh is its 15th word after eight bytes, advmss its 20th (`include/uapi/linux/tcp.h`).
    let info = |ssthresh: u32, segment: u32| {
        let mut info = vec![0; 104];
        info[8 + 14 * 4..][..4].copy_from_slice(&ssthresh.to_ne_bytes());
        info[8 + 19 * 4..][..4].copy_from_slice(&segment.to_ne_bytes());
        info
    };
    let clamped = |info: &[u8]| {
        let mut body = v4();
        body.extend(attribute(2, info));
        let decoded = decode(&message(18, 2, SEQUENCE, &body), NETNS, SEQUENCE).unwrap();
        decoded.sockets[0].clamped
    };
    assert_eq!(clamped(&info(5840, 1460)), Some(true));
    assert_eq!(clamped(&info(5841, 1460)), Some(false));
    assert_eq!(clamped(&info(5840, 1460)[..80]), None, "cut off");
}

#[test]
fn a_mapped_address_stays_v6() {
    let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
    let body = diag_msg(10, 1, &mapped, &mapped);
    let decoded = decode(&message(20, 2, SEQUENCE, &body), NETNS, SEQUENCE).unwrap();
    assert_eq!(
        decoded.sockets[0].local,
        "[::ffff:10.0.0.1]:6379".parse().unwrap()
    );
    assert_eq!(decoded.sockets[0].state, TcpState::Established);
}

#[test]
fn no_memory_is_none() {
    // TIME-WAIT, and a memory attribute that is cut off.
    let mut old = v4();
    old.extend(skmeminfo(&MEMINFO[..5]));
    let mut bytes = message(
        20,
        2,
        SEQUENCE,
        &diag_msg(2, 6, &[1, 1, 1, 1], &[2, 2, 2, 2]),
    );
    bytes.extend(message(20, 2, SEQUENCE, &old));
    let sockets = decode(&bytes, NETNS, SEQUENCE).unwrap().sockets;
    assert_eq!(sockets.len(), 2);
    assert_eq!(sockets[0].state, TcpState::TimeWait);
    assert!(
        sockets
            .iter()
            .all(|socket| socket.memory.is_none() && socket.cgroup_id.is_none())
    );
}

#[test]
fn below_zero_is_nothing_held() {
    let mut body = v4();
    body.extend(skmeminfo(&[-768, 1, -1, 1, -4096, -1, -1, -1, 5]));
    let decoded = decode(&message(20, 2, SEQUENCE, &body), NETNS, SEQUENCE).unwrap();
    assert_eq!(decoded.sockets[0].memory.unwrap().held(), 0);
}

#[test]
fn every_state() {
    let names = [
        (1, TcpState::Established),
        (2, TcpState::SynSent),
        (3, TcpState::SynRecv),
        (4, TcpState::FinWait1),
        (5, TcpState::FinWait2),
        (6, TcpState::TimeWait),
        (7, TcpState::Close),
        (8, TcpState::CloseWait),
        (9, TcpState::LastAck),
        (10, TcpState::Listen),
        (11, TcpState::Closing),
        (12, TcpState::SynRecv),
        (13, TcpState::Close),
        (99, TcpState::Other(99)),
    ];
    for (number, want) in names {
        assert_eq!(TcpState::from_number(number), want);
    }
}

#[test]
fn ends() {
    let end = |kind, flags, errno: i32| {
        decode(
            &message(kind, flags, SEQUENCE, &errno.to_ne_bytes()),
            NETNS,
            SEQUENCE,
        )
        .unwrap()
        .decoded
    };
    let done = Decoded {
        done: true,
        ..Decoded::default()
    };
    assert_eq!(end(3, 2, 0), done);
    assert_eq!(
        end(3, 2, -2),
        Decoded {
            errno: Some(2),
            ..done
        }
    );
    assert_eq!(
        end(2, 0, -1),
        Decoded {
            errno: Some(1),
            ..done
        }
    );
    assert_eq!(end(2, 0, i32::MIN).errno, Some(i32::MAX));
    assert_eq!(
        end(3, 2 | 0x10, 0),
        Decoded {
            interrupted: true,
            ..done
        }
    );
    assert!(end(4, 0, 0).interrupted);
    // No body at all.
    assert_eq!(
        decode(&message(3, 2, SEQUENCE, &[]), NETNS, SEQUENCE)
            .unwrap()
            .decoded,
        done
    );
}

#[test]
fn answers_to_others_are_passed_over() {
    let mut bytes = message(20, 2, SEQUENCE - 1, &v4());
    bytes.extend(message(3, 2, SEQUENCE - 1, &(-2_i32).to_ne_bytes()));
    bytes.extend(message(1, 0, SEQUENCE, &[]));
    let nothing = Said {
        sockets: Vec::new(),
        decoded: Decoded::default(),
    };
    assert_eq!(decode(&bytes, NETNS, SEQUENCE), Ok(nothing));
}

#[test]
fn every_truncation_is_an_error_or_less() {
    let mut body = v4();
    body.extend(skmeminfo(&MEMINFO));
    body.extend(attribute(21, &7_u64.to_ne_bytes()));
    let whole = message(20, 2, SEQUENCE, &body);
    for length in 1..whole.len() {
        let answer = decode(&whole[..length], NETNS, SEQUENCE);
        assert_eq!(answer, Err(DiagError::Truncated { at: 0, len: length }));
    }
    // The message itself is shorter than it should be.
    for length in 0..body.len() {
        let answer = decode(&message(20, 2, SEQUENCE, &body[..length]), NETNS, SEQUENCE);
        assert_eq!(answer.is_ok(), length >= 72, "{length}");
    }
}

#[test]
fn lying_lengths() {
    for length in [0_u32, 1, 15, 17, 1 << 31, u32::MAX] {
        let mut bytes = message(20, 2, SEQUENCE, &v4());
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        let error = decode(&bytes, NETNS, SEQUENCE);
        assert!(
            matches!(error, Err(DiagError::Truncated { .. })),
            "{length}: {error:?}"
        );
    }
    // An attribute of length 0 must not hold up the loop; one too long is left out.
    for length in [0_u16, 3, 200, u16::MAX] {
        let mut body = v4();
        body.extend(length.to_ne_bytes());
        body.extend([7, 0, 0, 0]);
        let decoded = decode(&message(20, 2, SEQUENCE, &body), NETNS, SEQUENCE).unwrap();
        assert_eq!(decoded.sockets[0].memory, None, "{length}");
    }
    let body = diag_msg(1, 1, &[], &[]);
    let answer = decode(&message(20, 2, SEQUENCE, &body), NETNS, SEQUENCE);
    assert_eq!(answer, Err(DiagError::Family(1)));
}
