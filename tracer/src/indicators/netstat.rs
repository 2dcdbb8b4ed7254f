//! The text of `/proc/net/netstat` and `/proc/net/snmp`: pairs of a line of names and a line of values.
//!
//! Pure. The kernel writes both files in one form (`net/ipv4/proc.c`): `TcpExt: A B` and below it
//! `TcpExt: 1 2`. Which names there are depends on the kernel, so none is asked for and none surprises.
//!
//! ```
//! use tracer::indicators::{Counter, Netstat};
//!
//! let netstat = Netstat::parse("TcpExt: PruneCalled TCPOFODrop\nTcpExt: 5 7\n");
//! assert_eq!(netstat.get("TcpExt", "PruneCalled"), Some(5));
//! assert_eq!(netstat.counter(Counter::TCPOFODrop), Some(7));
//! assert_eq!(netstat.counter(Counter::TCPRcvQDrop), None);
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::reconcile::Counter;

/// A pair of lines that could not be read; the others still are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetstatError {
    /// Names and values cannot be matched.
    #[error("line {line}: {group} has {names} names but {values} values")]
    Mismatch {
        /// Number of the line of values, from 1.
        line: usize,
        /// Prefix of the line.
        group: String,
        /// How many names there are.
        names: usize,
        /// How many values there are.
        values: usize,
    },
    /// A line whose partner is missing.
    #[error("line {line}: {group} has no line of values")]
    Unpaired {
        /// Number of the line of names, from 1.
        line: usize,
        /// Prefix of the line.
        group: String,
    },
    /// A line without `GROUP:` in front.
    #[error("line {line}: no group in front")]
    NoGroup {
        /// Number of the line, from 1.
        line: usize,
    },
}

/// Counters of one network namespace, as the kernel names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Netstat {
    lines: Vec<Values>,
    errors: Vec<NetstatError>,
}

/// A line of values with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    of: Arc<Names>,
    /// `None` where a value is no number of 64 bits, or negative (`Tcp: MaxConn` is -1).
    values: Box<[Option<u64>]>,
}

/// A line of names.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    group: String,
    /// The line without its group.
    header: String,
    names: Vec<String>,
}

/// Lines of names that are shared at most: a kernel has some ten, and of `IcmpMsg` as many as there are sets of types that came.
const MAX_SHARED: usize = 64;

/// All namespaces of a kernel have the same lines of names, of some 180 in all: there is one of each.
static SHARED: Shared = Shared(Mutex::new(Vec::new()));

/// Lines of names that are shared.
struct Shared(Mutex<Vec<Arc<Names>>>);

impl Shared {
    fn names(&self, group: &str, header: &str) -> Arc<Names> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all
            .iter()
            .find(|it| it.group == group && it.header == header);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let names = header.split_ascii_whitespace().map(str::to_owned);
        let names = Arc::new(Names {
            group: group.to_owned(),
            header: header.to_owned(),
            names: names.collect(),
        });
        if all.len() < MAX_SHARED {
            all.push(Arc::clone(&names));
        }
        names
    }
}

impl Netstat {
    /// Reads the text of one file. What cannot be read is in [`Self::errors`]; the rest is kept.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut netstat = Self::default();
        netstat.add(text);
        netstat
    }

    /// Reads the text of another file of the same namespace into the same table.
    pub fn add(&mut self, text: &str) {
        let mut names: Option<(usize, &str, &str)> = None;
        for (index, text_line) in text.lines().enumerate() {
            let line = index + 1;
            if text_line.trim().is_empty() {
                continue;
            }
            let Some((group, rest)) = text_line.split_once(':') else {
                self.errors.push(NetstatError::NoGroup { line });
                continue;
            };
            match names.take() {
                Some((_, of, header)) if of == group => self.pair(line, group, header, rest),
                Some((at, of, _)) => {
                    self.errors.push(NetstatError::Unpaired {
                        line: at,
                        group: of.to_owned(),
                    });
                    names = Some((line, group, rest));
                }
                None => names = Some((line, group, rest)),
            }
        }
        if let Some((line, group, _)) = names {
            self.errors.push(NetstatError::Unpaired {
                line,
                group: group.to_owned(),
            });
        }
    }

    fn pair(&mut self, line: usize, group: &str, header: &str, values: &str) {
        let of = SHARED.names(group, header);
        let values: Box<[_]> = values.split_ascii_whitespace().map(number).collect();
        if of.names.len() != values.len() {
            self.errors.push(NetstatError::Mismatch {
                line,
                group: group.to_owned(),
                names: of.names.len(),
                values: values.len(),
            });
            return;
        }
        self.lines.push(Values { of, values });
    }

    /// The value of a field, as in `get("TcpExt", "PruneCalled")`. `None` when the kernel does not
    /// have it, or its value is not a number from 0 to 2^64 - 1: never 0 in its place.
    #[must_use]
    pub fn get(&self, group: &str, name: &str) -> Option<u64> {
        let mut of_group = self.fields().filter(|(of, _, _)| *of == group);
        of_group.find(|(_, field, _)| *field == name)?.2
    }

    /// The value of a counter that is reconciled.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> Option<u64> {
        self.get("TcpExt", counter.name())
    }

    /// Every field with its group and value, in the kernel's order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, Option<u64>)> {
        self.lines.iter().flat_map(|Values { of, values }| {
            let named = of.names.iter().zip(values);
            named.map(|(name, value)| (of.group.as_str(), name.as_str(), *value))
        })
    }

    /// Lines that could not be read.
    #[must_use]
    pub fn errors(&self) -> &[NetstatError] {
        &self.errors
    }
}

/// Digits only: `str::parse` alone would let a plus sign through.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortened from `/proc/net/netstat` and `/proc/net/snmp` of a 6.1 kernel.
    const NETSTAT: &str = "\
TcpExt: SyncookiesSent PruneCalled RcvPruned OfoPruned TCPRcvCollapsed TCPOFODrop TCPRcvQDrop
TcpExt: 0 1642 3 4 193 1579 63
IpExt: InNoRoutes InOctets
IpExt: 0 18446744073709551615
";
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm MaxConn InSegs
Tcp: 1 -1 4711
";

    #[test]
    fn reads_pairs() {
        let netstat = Netstat::parse(NETSTAT);
        assert_eq!(netstat.errors(), []);
        let want = [1579, 63, 1642, 3, 4, 193];
        for (counter, want) in Counter::ALL.into_iter().zip(want) {
            assert_eq!(netstat.counter(counter), Some(want), "{}", counter.name());
        }
        assert_eq!(netstat.get("IpExt", "InOctets"), Some(u64::MAX));
        assert_eq!(netstat.get("IpExt", "PruneCalled"), None);
        assert_eq!(netstat.get("TcpExt", "NotYetInvented"), None);
    }

    #[test]
    fn two_files_share_a_table_and_negative_is_absent() {
        let mut netstat = Netstat::parse(NETSTAT);
        netstat.add(SNMP);
        assert_eq!(netstat.get("Tcp", "InSegs"), Some(4711));
        assert_eq!(netstat.get("Tcp", "MaxConn"), None);
        assert_eq!(netstat.get("TcpExt", "PruneCalled"), Some(1642));
        assert_eq!(netstat.fields().count(), 7 + 2 + 2 + 3);
        assert_eq!(
            netstat.fields().next(),
            Some(("TcpExt", "SyncookiesSent", Some(0)))
        );
    }

    #[test]
    fn equal_lines_of_names_are_one() {
        let shared = Shared(Mutex::new(Vec::new()));
        let one = shared.names("TcpExt", " A B");
        assert!(Arc::ptr_eq(&one, &shared.names("TcpExt", " A B")));
        for (group, header) in [("IpExt", " A B"), ("TcpExt", " A B C")] {
            let other = shared.names(group, header);
            assert_eq!(
                (other.group.as_str(), other.header.as_str()),
                (group, header)
            );
        }
        // However many there are.
        for number in 0..2 * MAX_SHARED {
            let names = shared.names("IcmpMsg", &format!(" InType{number} OutType3"));
            assert_eq!(names.names, [format!("InType{number}"), "OutType3".into()]);
        }
        assert_eq!(shared.0.lock().unwrap().len(), MAX_SHARED);
        assert!(Arc::ptr_eq(&one, &shared.names("TcpExt", " A B")));
    }

    #[test]
    fn bad_values_are_absent() {
        let netstat =
            Netstat::parse("TcpExt: A B C D E\nTcpExt: 18446744073709551616 x +1 -0 0x10\n");
        for name in ["A", "B", "C", "D", "E"] {
            assert_eq!(netstat.get("TcpExt", name), None, "{name}");
        }
        assert_eq!(netstat.errors(), []);
    }

    #[test]
    fn a_mismatch_costs_its_own_line_only() {
        let netstat = Netstat::parse("TcpExt: A B\nTcpExt: 1\nIpExt: C\nIpExt: 2\n");
        assert_eq!(
            netstat.errors(),
            [NetstatError::Mismatch {
                line: 2,
                group: "TcpExt".into(),
                names: 2,
                values: 1
            }]
        );
        assert_eq!(netstat.get("TcpExt", "A"), None);
        assert_eq!(netstat.get("IpExt", "C"), Some(2));
    }

    #[test]
    fn a_missing_partner_is_named() {
        let netstat = Netstat::parse("TcpExt: A\nIpExt: C\nIpExt: 2\nnonsense\nMPTcpExt: D");
        assert_eq!(
            netstat.errors(),
            [
                NetstatError::Unpaired {
                    line: 1,
                    group: "TcpExt".into()
                },
                NetstatError::NoGroup { line: 4 },
                NetstatError::Unpaired {
                    line: 5,
                    group: "MPTcpExt".into()
                },
            ]
        );
        assert_eq!(netstat.get("IpExt", "C"), Some(2));
    }

    #[test]
    fn empty_is_empty() {
        assert_eq!(Netstat::parse(""), Netstat::default());
    }

    #[test]
    fn this_machine() {
        let text = std::fs::read_to_string("/proc/net/netstat").unwrap();
        let netstat = Netstat::parse(&text);
        assert_eq!(netstat.errors(), []);
        for counter in Counter::ALL {
            assert!(netstat.counter(counter).is_some(), "{}", counter.name());
        }
    }
}
