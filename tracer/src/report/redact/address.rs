//! Pseudonyms of addresses, from ranges that are nobody's: 198.18.0.0/15 (RFC 2544, for benchmarks) and 2001:db8::/32 (RFC 3849, for
//! documentation). Ports stay, and so do the addresses that every host has.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Addresses of 198.18.0.0/15.
const MANY: u32 = 1 << 17;
/// Longest text of an address (`INET6_ADDRSTRLEN` less its end).
const LONGEST: usize = 45;

/// Every address with its pseudonym.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: HashMap<IpAddr, IpAddr>,
    v4: u32,
    v6: u32,
}

impl Addresses {
    /// The address at the beginning of a text: how long it is, and what takes its place.
    pub(super) fn at(&mut self, before: Option<char>, text: &str) -> Option<(usize, String)> {
        let digit = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        if before.is_some_and(|c| c.is_alphanumeric() || "_.:".contains(c)) {
            return None;
        }
        let run = text
            .find(|c| !digit(c))
            .unwrap_or(text.len())
            .min(LONGEST + 6);
        // A port, or the end of a sentence, may follow: the longest that is an address.
        (2..=run).rev().find_map(|taken| {
            let after = text[taken..].chars().next();
            let address: IpAddr = text.get(..taken)?.parse().ok()?;
            let ends = match address {
                // 10.0.0.1.5 is none, and 10.0.0.12 is not 10.0.0.1.
                IpAddr::V4(_) => !after.is_some_and(|c| c.is_alphanumeric()),
                IpAddr::V6(_) => !after.is_some_and(|c| c.is_alphanumeric() || c == '.'),
            };
            ends.then(|| (taken, self.pseudonym(address).to_string()))
        })
    }

    fn pseudonym(&mut self, address: IpAddr) -> IpAddr {
        if is_everybodys(address) {
            return address;
        }
        if let Some(pseudonym) = self.known.get(&address) {
            return *pseudonym;
        }
        let pseudonym = match address {
            IpAddr::V4(_) if self.v4 + 1 < MANY => {
                self.v4 += 1;
                let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
                IpAddr::V4(Ipv4Addr::from(first + self.v4))
            }
            // More than there are of the one are of the other.
            _ => {
                self.v6 += 1;
                let first = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0));
                IpAddr::V6(Ipv6Addr::from(first + u128::from(self.v6)))
            }
        };
        self.known.insert(address, pseudonym);
        pseudonym
    }
}

/// Whether every host has it, so that it tells nothing.
fn is_everybodys(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(usize, String)> {
        Addresses::default().at(None, text)
    }

    #[test]
    fn addresses_in_text() {
        let v4 = "198.18.0.1".to_owned();
        let v6 = "2001:db8::1".to_owned();
        for (text, taken, instead) in [
            ("10.0.0.1", 8, &v4),
            ("10.0.0.1:8080", 8, &v4),
            ("10.0.0.1.", 8, &v4),
            ("10.0.0.1, and", 8, &v4),
            ("fe80::1%eth0", 7, &v6),
            ("fe80::1]:80", 7, &v6),
            ("fd00:1:2:3:4:5:6:7", 18, &v6),
        ] {
            assert_eq!(at(text), Some((taken, instead.clone())), "{text}");
        }
        for text in [
            "15:09:26",
            "1.7.24",
            "6.12.118+deb13",
            "3.5 MiB",
            "12:",
            "::",
            "de:ad",
            "10.0.0.1a",
        ] {
            let found = at(text).filter(|(taken, instead)| text[..*taken] != **instead);
            assert_eq!(found, None, "{text}");
        }
        assert_eq!(at("127.0.0.1:80").unwrap().1, "127.0.0.1");
        assert_eq!(at("::1").unwrap().1, "::1");
    }

    #[test]
    fn one_address_has_one_pseudonym() {
        let mut addresses = Addresses::default();
        let first = addresses.at(None, "10.0.0.1").unwrap();
        let second = addresses.at(None, "10.0.0.2").unwrap();
        assert_ne!(first, second);
        assert_eq!(addresses.at(Some('['), "10.0.0.1").unwrap(), first);
        assert_eq!(addresses.at(Some('1'), "0.0.0.1"), None, "within a word");
    }
}
