//! `/etc/hosts` and `/etc/resolv.conf`. Lines that make no sense are passed over, as the C library does.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Most name servers that are asked, as in the C library (`MAXNS`).
const MAX_SERVERS: usize = 3;
/// Where a name server listens.
const PORT: u16 = 53;

/// Names of `/etc/hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(IpAddr, Vec<String>)>);

impl Hosts {
    /// Reads the text of the file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split('#').next()?.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            Some((address, words.map(str::to_ascii_lowercase).collect()))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Addresses of a name, in the order of the file.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let name = name.to_ascii_lowercase();
        let of_name = |(_, names): &&(IpAddr, Vec<String>)| names.contains(&name);
        self.0.iter().filter(of_name).map(|(it, _)| *it).collect()
    }
}

/// Name servers of `/etc/resolv.conf`, and how to ask them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Where they listen, in the order of the file.
    pub addresses: Vec<SocketAddr>,
    /// Domains in which a short name is looked for.
    pub search: Vec<String>,
    /// A name with so many dots is looked for as it is first.
    pub ndots: usize,
    /// Time for one question.
    pub timeout: Duration,
    /// Whether to ask by TCP alone.
    pub use_tcp: bool,
}

impl Default for Servers {
    /// Of an empty file.
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            use_tcp: false,
        }
    }
}

impl Servers {
    /// Reads the text of the file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut servers = Self::default();
        let mut addresses = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => addresses.extend(words.next().and_then(server)),
                // The last of these lines counts.
                Some("search" | "domain") => {
                    servers.search = words.map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|option| servers.option(option)),
                _ => {}
            }
        }
        addresses.truncate(MAX_SERVERS);
        if !addresses.is_empty() {
            servers.addresses = addresses;
        }
        servers
    }

    fn option(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match (name, value.parse::<u8>()) {
            // The bounds are the C library's.
            ("ndots", Ok(dots)) => self.ndots = usize::from(dots.min(15)),
            ("timeout", Ok(seconds)) => {
                self.timeout = Duration::from_secs(u64::from(seconds.clamp(1, 30)));
            }
            ("use-vc", _) => self.use_tcp = true,
            _ => {}
        }
    }

    /// The names to ask for, one after the other: a name as it is and in each domain, which first depends on its dots. With a dot at
    /// its end it is whole.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let whole = format!("{name}.");
        let within = self.search.iter().map(|domain| {
            let domain = domain.trim_matches('.');
            format!("{name}.{domain}.").replace("..", ".")
        });
        let mut names: Vec<String> = within.filter(|within| *within != whole).collect();
        let dots = name.matches('.').count();
        let at = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(at, whole);
        names
    }
}

/// A name server's address; that of a link (`fe80::1%eth0`) cannot be asked.
fn server(word: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(word.parse().ok()?, PORT))
}
