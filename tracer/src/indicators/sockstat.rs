//! The text of `/proc/net/sockstat` and the pressure flag of `/proc/net/protocols`. Pure.
//!
//! Of `sockstat`, `inuse` and `tw` belong to the network namespace; `orphan`, `alloc` and `mem` are of
//! the whole node even when read in a namespace (`sockstat_seq_show`, `net/ipv4/proc.c`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::netstat::number;

/// The line `TCP:` of `/proc/net/sockstat`. A field that is not there or not a number is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sockstat {
    /// Sockets in the tables of this namespace.
    pub inuse: Option<u64>,
    /// Closed by their application and not gone yet; node-wide.
    pub orphan: Option<u64>,
    /// In TIME-WAIT in this namespace.
    pub tw: Option<u64>,
    /// Allocated, in a table or not; node-wide.
    pub alloc: Option<u64>,
    /// Pages of TCP memory; node-wide. Per-CPU reserves make it lag: it may even read 0.
    pub mem: Option<u64>,
}

impl Sockstat {
    /// Reads the text. Without a line `TCP:` every field is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut sockstat = Self::default();
        let Some(rest) = text.lines().find_map(|line| line.strip_prefix("TCP:")) else {
            return sockstat;
        };
        let mut words = rest.split_ascii_whitespace();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let field = match name {
                "inuse" => &mut sockstat.inuse,
                "orphan" => &mut sockstat.orphan,
                "tw" => &mut sockstat.tw,
                "alloc" => &mut sockstat.alloc,
                "mem" => &mut sockstat.mem,
                _ => continue,
            };
            *field = number(value);
        }
        sockstat
    }
}

/// Whether TCP is under memory pressure, from the text of `/proc/net/protocols` (`proto_seq_printf`,
/// `net/core/sock.c`: `yes`, `no`, or `NI` for a protocol without such a state). `None` when it does not
/// say.
///
/// ```
/// let text = "protocol  size sockets  memory press maxhdr\nTCP  2432  5  812  yes  288\n";
/// assert_eq!(tracer::indicators::sockstat::tcp_pressure(text), Some(true));
/// ```
#[must_use]
pub fn tcp_pressure(text: &str) -> Option<bool> {
    let mut lines = text.lines();
    let column = lines
        .next()?
        .split_ascii_whitespace()
        .position(|heading| heading == "press")?;
    let row = lines.find(|line| line.split_ascii_whitespace().next() == Some("TCP"))?;
    match row.split_ascii_whitespace().nth(column)? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKSTAT: &str = "\
sockets: used 19
TCP: inuse 4 orphan 1 tw 2 alloc 9 mem 207
UDP: inuse 3 mem 0
FRAG: inuse 0 memory 0
";

    #[test]
    fn reads_the_line_of_tcp() {
        assert_eq!(
            Sockstat::parse(SOCKSTAT),
            Sockstat {
                inuse: Some(4),
                orphan: Some(1),
                tw: Some(2),
                alloc: Some(9),
                mem: Some(207)
            }
        );
    }

    #[test]
    fn absent_is_not_zero() {
        assert_eq!(Sockstat::parse(""), Sockstat::default());
        assert_eq!(Sockstat::parse("UDP: inuse 3 mem 0\n"), Sockstat::default());
        // A value of the future, a negative one, and a name whose value was cut off.
        let cut = Sockstat::parse("TCP: inuse 4 shiny 5 orphan -1 mem");
        assert_eq!(
            cut,
            Sockstat {
                inuse: Some(4),
                ..Sockstat::default()
            }
        );
    }

    const PROTOCOLS: &str = "\
protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em
PACKET    1600      0      -1   NI       0   no   kernel      n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n
TCPv6     2432      1     207   no     288   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y
TCP       2288      4     207   PRESS  288   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y
";

    #[test]
    fn reads_the_pressure() {
        for (word, want) in [("yes", Some(true)), ("no", Some(false)), ("NI", None)] {
            assert_eq!(
                tcp_pressure(&PROTOCOLS.replace("PRESS", word)),
                want,
                "{word}"
            );
        }
    }

    #[test]
    fn pressure_unknown() {
        assert_eq!(tcp_pressure(""), None);
        assert_eq!(tcp_pressure("protocol size\nTCP 1\n"), None);
        assert_eq!(tcp_pressure("protocol size press\nTCP 1\n"), None);
        assert_eq!(tcp_pressure("protocol size press\nUDP 1 yes\n"), None);
    }
}
