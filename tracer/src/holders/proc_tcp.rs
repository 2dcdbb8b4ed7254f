//! The text of `/proc/net/tcp` and `tcp6`: sockets without their memory, where `sock_diag` is not to be had.
//!
//! Pure. Follows `get_tcp4_sock` (`net/ipv4/tcp_ipv4.c`) and `get_tcp6_sock`: addresses are hexadecimal
//! words in the byte order of the machine, ports plain hexadecimal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::socket::{Socket, TcpState};

/// Sockets of the text, and how many lines could not be understood.
#[must_use]
pub fn parse(text: &str, netns_inum: u32) -> (Vec<Socket>, usize) {
    let mut sockets = Vec::new();
    let mut bad = 0;
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        match socket(line, netns_inum) {
            Some(socket) => sockets.push(socket),
            None => bad += 1,
        }
    }
    (sockets, bad)
}

/// `SL: LOCAL REMOTE STATE TX:RX TIMER:WHEN RETRANSMITS UID TIMEOUT INODE …`
fn socket(line: &str, netns_inum: u32) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let local = address(words.next()?)?;
    let remote = address(words.next()?)?;
    let state = TcpState::from_number(u8::from_str_radix(words.next()?, 16).ok()?);
    let (unsent, unread) = words.next()?.split_once(':')?;
    // Sockets in TIME-WAIT and request sockets have an inode of 0 as well.
    let inode = words.nth(4)?.parse().ok()?;
    Some(Socket {
        netns_inum,
        local,
        remote,
        state,
        inode,
        cookie: 0,
        cgroup_id: None,
        memory: None,
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: u32::from_str_radix(unread, 16).ok()?,
        unsent: u32::from_str_radix(unsent, 16).ok()?,
    })
}

fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = words.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match words.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0; 16];
            for (index, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders::TcpState;

    const HEADING: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_lines() {
        let text = format!(
            "{HEADING}   0: 0100007F:18EB 0200000A:9C41 08 0000000C:00007531 00:00000000 00000000  1000        0 987 1 0 20 4\n"
        );
        let want = Socket {
            netns_inum: 5,
            local: "127.0.0.1:6379".parse().unwrap(),
            remote: "10.0.0.2:40001".parse().unwrap(),
            state: TcpState::CloseWait,
            inode: 987,
            cookie: 0,
            cgroup_id: None,
            memory: None,
            clamped: None,
            idle_ms: None,
            listed: true,
            unread: 30_001,
            unsent: 12,
        };
        assert_eq!(parse(&text, 5), (vec![want], 0));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_lines_of_tcp6() {
        let text = format!(
            "{HEADING}   0: 00000000000000000000000001000000:0016 0000000000000000FFFF00000100007F:0001 0A 00000000:00000000 00:00000000 00000000 0 0 4 1\n"
        );
        let (sockets, bad) = parse(&text, 5);
        assert_eq!(bad, 0);
        assert_eq!(sockets[0].local, "[::1]:22".parse().unwrap());
        assert_eq!(sockets[0].remote, "[::ffff:127.0.0.1]:1".parse().unwrap());
        assert_eq!(sockets[0].state, TcpState::Listen);
    }

    #[test]
    fn rubbish_is_counted() {
        let lines = [
            "0: 0100007F:18EB",
            "0: 0100007F 0200000A:9C41 08 0:0 0:0 0 0 0 1",
            "0: é100007:18EB 0200000A:9C41 08 0:0 0:0 0 0 0 1",
            "0: 0100007F:18EB 0200000A:9C41 108 0:0 0:0 0 0 0 1",
            "0: 0100007F:18EB 0200000A:9C41 08 0:0 0:0 0 0 0 -1",
            "0: 0100007F:18EB 0200000A:9C41 08 0:1FFFFFFFF 0:0 0 0 0 1",
        ];
        for line in lines {
            assert_eq!(
                parse(&format!("{HEADING}{line}\n\n"), 5),
                (vec![], 1),
                "{line}"
            );
        }
        assert_eq!(parse("", 5), (vec![], 0));
    }

    #[test]
    fn this_machine() {
        let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
        assert_eq!(parse(&text, 5).1, 0);
    }
}
