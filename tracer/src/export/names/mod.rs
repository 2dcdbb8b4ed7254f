//! Names to addresses, in pure Rust: the binary is static, and the C library's `getaddrinfo` would load libraries that need not
//! be there. `/etc/hosts` and `/etc/resolv.conf` are honoured as hosts(5) and resolv.conf(5) have it; `nsswitch.conf` is not.

mod dns;
mod files;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

pub use files::{Hosts, Servers};

use super::Failure;

/// How names are looked up.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    /// Names that are known without asking.
    pub hosts: Hosts,
    /// Whom to ask.
    pub servers: Servers,
}

impl Resolver {
    /// As this system does. A file that is absent says nothing.
    #[must_use]
    pub fn system() -> Self {
        let read = |path: &str| {
            let bytes = fs::read(Path::new(path)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self {
            hosts: Hosts::parse(&read("/etc/hosts")),
            servers: Servers::parse(&read("/etc/resolv.conf")),
        }
    }

    /// The addresses of a host, in the order in which to try them.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        let known = self.hosts.addresses(bare);
        if !known.is_empty() {
            return Ok(known);
        }
        // RFC 6761, 6.3: whoever asks for it means this machine.
        let lower = bare.to_ascii_lowercase();
        if lower == "localhost" || lower.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        dns::lookup(&self.servers, name).await
    }
}

#[cfg(test)]
mod tests;
