//! The SNMP counters of every network namespace at one time.

use std::{fs, io::ErrorKind, path::Path};

use super::{
    enter,
    netns::{self, Netns, Place, Visit},
    netstat::Netstat,
};

/// Counters of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsReading {
    /// Which one.
    pub netns: Netns,
    /// Its cookie; `None` before Linux 5.14 and where the namespace could not be entered.
    pub cookie: Option<u64>,
    /// `/proc/net/netstat` and `/proc/net/snmp` of it.
    pub netstat: Netstat,
}

/// Counters of many network namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// One for each namespace that could be read, in the order of the listing.
    pub readings: Vec<NetnsReading>,
    /// In words: what could not be read, and why.
    pub gaps: Vec<String>,
}

/// Reads every network namespace that a procfs shows.
///
/// ```no_run
/// use tracer::indicators::{Counter, readings};
///
/// for reading in readings::read_all(std::path::Path::new("/proc")).readings {
///     println!("{}: {:?}", reading.netns.inum, reading.netstat.counter(Counter::TCPOFODrop));
/// }
/// ```
#[must_use]
pub fn read_all(proc: &Path) -> Readings {
    let listing = netns::list(proc);
    let mut readings = read(proc, &listing.namespaces);
    readings.gaps.splice(0..0, listing.gaps);
    readings
}

/// Reads the given namespaces (again); for one, a thread, two system calls to enter and two files. A
/// namespace that is gone is simply not among the answers.
#[must_use]
pub fn read(proc: &Path, namespaces: &[Netns]) -> Readings {
    let Visit { results, mut gaps } = netns::visit(proc, namespaces, read_here);
    let mut readings = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(reading) => {
                let inum = reading.netns.inum;
                let errors = reading.netstat.errors().iter();
                gaps.extend(errors.map(|error| format!("counters of netns {inum}: {error}")));
                readings.push(reading);
            }
            Err(None) => {}
            Err(Some(gap)) => gaps.push(gap),
        }
    }
    Readings { readings, gaps }
}

/// Reads the namespace that a closure of [`netns::visit`] is at: for a caller that does something before and
/// after each one, as close as can be.
///
/// # Errors
/// A gap in words, or nothing where the process that showed the namespace just ended.
pub fn read_here(netns: &Netns, place: &Place) -> Result<NetnsReading, Option<String>> {
    let text = |name: &str| {
        let path = place.net.join(name);
        fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| {
                let gone = !place.inside && error.kind() == ErrorKind::NotFound;
                (!gone).then(|| format!("netns {}: {}: {error}", netns.inum, path.display()))
            })
    };
    let mut netstat = Netstat::parse(&text("netstat")?);
    netstat.add(&text("snmp")?);
    let cookie = if place.inside { enter::cookie() } else { None };
    Ok(NetnsReading {
        netns: netns.clone(),
        cookie,
        netstat,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::Fixture, indicators::Counter};

    #[test]
    fn reads_the_own_namespace() {
        let readings = read_all(Path::new("/proc"));
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let inum = netns::link_inum(own.to_str().unwrap()).unwrap();
        let found = readings
            .readings
            .iter()
            .find(|reading| reading.netns.inum == inum)
            .unwrap();
        assert!(found.netstat.counter(Counter::PruneCalled).is_some());
        assert!(found.netstat.get("Tcp", "InSegs").is_some());
        let again = read(Path::new("/proc"), std::slice::from_ref(&found.netns));
        assert_eq!(again.readings[0].netns.inum, inum);
        assert_eq!(again.readings[0].cookie, found.cookie);
    }

    #[test]
    fn through_a_process_where_entering_is_denied() {
        let proc = Fixture::new();
        proc.link("7/ns/net", "net:[4026532281]")
            .file(
                "7/net/netstat",
                "TcpExt: PruneCalled\nTcpExt: 3\nTcpExt: A B\nTcpExt: 1\n",
            )
            .file("7/net/snmp", "Tcp: InSegs\nTcp: 9\n");
        let netns = Netns {
            inum: 4_026_532_281,
            name: None,
            pid: Some(7),
            paths: Vec::new(),
        };
        let place = Place {
            net: proc.path().join("7/net"),
            inside: false,
        };
        let reading = read_here(&netns, &place).unwrap();
        assert_eq!(reading.cookie, None);
        assert_eq!(reading.netstat.counter(Counter::PruneCalled), Some(3));
        assert_eq!(reading.netstat.get("Tcp", "InSegs"), Some(9));
        assert_eq!(reading.netstat.errors().len(), 1);

        let ended = Place {
            net: proc.path().join("8/net"),
            inside: false,
        };
        assert_eq!(read_here(&netns, &ended).unwrap_err(), None);
        let missing = Place {
            net: proc.path().join("8/net"),
            inside: true,
        };
        let gap = read_here(&netns, &missing).unwrap_err().unwrap();
        assert!(gap.starts_with("netns 4026532281: "), "{gap}");
    }
}
