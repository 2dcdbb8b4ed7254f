//! `tcp_info` of single sockets, asked for by their ends and cookie. The kernel takes a socket's lock to tell it (`tcp_get_info`), so
//! this is for a few chosen sockets only.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    diag::{self, Attributes, u32_at},
    netlink,
    socket::Socket,
};
use crate::indicators::netns::{self, Netns};

/// What is read of it (`include/uapi/linux/tcp.h`). `None` where the kernel does not tell, or has not measured it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Shortest round-trip time seen.
    pub min_rtt: Option<Duration>,
    /// Segments sent again since the connection began.
    pub retransmitted: Option<u64>,
    /// Segments received out of order since the connection began (5.4 and later).
    pub out_of_order: Option<u64>,
    /// Time since data last arrived.
    pub last_data: Option<Duration>,
}

/// Offsets within `tcp_info`.
const LAST_DATA_RECV: usize = 52;
const RTT: usize = 68;
const TOTAL_RETRANS: usize = 100;
const MIN_RTT: usize = 148;
const RCV_OOOPACK: usize = 224;

impl TcpInfo {
    /// Reads the structure, which grows from kernel to kernel.
    #[must_use]
    pub fn parse(info: &[u8]) -> Self {
        let number = |at: usize| u32_at(info, at);
        let micros = |at: usize| {
            // 0: not measured; the kernel keeps the shortest at its largest number until it is.
            let value = number(at).filter(|value| *value != 0 && *value != u32::MAX)?;
            Some(Duration::from_micros(value.into()))
        };
        Self {
            rtt: micros(RTT),
            min_rtt: micros(MIN_RTT),
            retransmitted: number(TOTAL_RETRANS).map(u64::from),
            out_of_order: number(RCV_OOOPACK).map(u64::from),
            last_data: number(LAST_DATA_RECV).map(|ms| Duration::from_millis(ms.into())),
        }
    }

    /// From the answer to a request for one socket; `None` where it tells of none.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<Self> {
        let info = diag::one(datagram)?;
        let mut attributes = Attributes(info);
        let (_, info) = attributes.find(|(kind, _)| *kind == diag::INET_DIAG_INFO)?;
        Some(Self::parse(info))
    }
}

/// Asks for some sockets, by cookie; those that are gone, or whose namespace may not be entered, are not among the answers.
#[must_use]
pub fn ask(proc: &Path, sockets: &[&Socket], deadline: Instant) -> HashMap<u64, TcpInfo> {
    let mut by_netns: BTreeMap<u32, Vec<&Socket>> = BTreeMap::new();
    // What has no memory is no full socket, and has no such structure.
    for socket in sockets.iter().filter(|socket| socket.memory.is_some()) {
        by_netns.entry(socket.netns_inum).or_default().push(socket);
    }
    if by_netns.is_empty() {
        return HashMap::new();
    }
    let namespaces = netns::list(proc).namespaces.into_iter();
    let namespaces: Vec<Netns> = namespaces
        .filter(|netns| by_netns.contains_key(&netns.inum))
        .collect();
    let visit = netns::visit(proc, &namespaces, |netns, place| {
        let wanted = by_netns.get(&netns.inum).into_iter().flatten();
        let mut answers = Vec::new();
        for socket in wanted.filter(|_| place.inside) {
            if Instant::now() >= deadline {
                break;
            }
            let answer = netlink::exchange(&diag::request_one(socket));
            let info = answer.ok().and_then(|answer| TcpInfo::decode(&answer));
            answers.extend(info.map(|info| (socket.cookie, info)));
        }
        answers
    });
    visit.results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn the_structure_may_end_early() {
        let mut info = vec![0_u8; 240];
        let mut put =
            |at: usize, value: u32| info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        put(LAST_DATA_RECV, 1500);
        put(RTT, 2_000);
        put(MIN_RTT, u32::MAX);
        put(TOTAL_RETRANS, 7);
        put(RCV_OOOPACK, 9);
        let whole = TcpInfo::parse(&info);
        assert_eq!(whole.rtt, Some(Duration::from_millis(2)));
        assert_eq!(whole.min_rtt, None, "not measured");
        assert_eq!(
            (whole.retransmitted, whole.out_of_order),
            (Some(7), Some(9))
        );
        assert_eq!(whole.last_data, Some(Duration::from_millis(1500)));
        let older = TcpInfo::parse(&info[..RCV_OOOPACK + 3]);
        assert_eq!((older.retransmitted, older.out_of_order), (Some(7), None));
        assert_eq!(TcpInfo::parse(&[]), TcpInfo::default());
        for end in 0..64 {
            assert_eq!(TcpInfo::decode(&info[..end]), None);
        }
    }

    #[test]
    fn a_connection_of_this_test_tells_its_round_trip() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"unread").unwrap();
        let scan = crate::holders::scan(Path::new("/proc"));
        let own = |socket: &&Socket| {
            socket.local == server.local_addr().unwrap()
                && socket.remote == client.local_addr().unwrap()
        };
        let Some(socket) = scan
            .sockets
            .iter()
            .find(own)
            .filter(|socket| socket.memory.is_some())
        else {
            crate::skipped::skipped(
                module_path!(),
                format_args!("no sock_diag: {:?}", scan.gaps),
            );
            return;
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let answers = ask(Path::new("/proc"), &[socket], deadline);
        let info = answers.get(&socket.cookie).expect("it is there");
        assert!(info.rtt.is_some() && info.last_data.is_some(), "{info:?}");
        let mut gone = socket.clone();
        gone.cookie ^= 1;
        assert!(
            ask(Path::new("/proc"), &[&gone], deadline).is_empty(),
            "the cookie is checked"
        );
    }
}
