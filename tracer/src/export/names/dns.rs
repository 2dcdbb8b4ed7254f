//! Questions to name servers: for both families at once, by UDP, and by TCP where an answer was cut.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use domain::{
    base::{
        Name,
        iana::{Rcode, Rtype},
    },
    resolv::{
        lookup::host::FoundHosts,
        stub::{
            Answer, StubResolver,
            conf::{ResolvConf, ServerConf, Transport},
        },
    },
};

use super::{Failure, Servers};

/// Asks for each candidate of a name until one has addresses.
pub(super) async fn lookup(servers: &Servers, name: &str) -> Result<Vec<IpAddr>, Failure> {
    let resolver = resolver(servers);
    let mut trouble = None;
    for candidate in servers.candidates(name) {
        // Not every combination of a name and a domain is a name.
        let Ok(question) = Name::<Vec<u8>>::from_chars(candidate.chars()) else {
            continue;
        };
        let (four, six) = tokio::join!(
            resolver.query((&question, Rtype::A)),
            resolver.query((&question, Rtype::AAAA)),
        );
        let (four, six) = (answered(four), answered(six));
        for answer in [&four, &six] {
            trouble = trouble.or(answer.as_ref().err().map(ToString::to_string));
        }
        let Ok(found) = FoundHosts::<StubResolver>::new(six, four) else {
            continue;
        };
        let addresses: Vec<IpAddr> = found.iter().collect();
        if !addresses.is_empty() {
            return Ok(interleaved(&addresses));
        }
    }
    let asked = servers.addresses.iter().map(SocketAddr::to_string);
    let asked = asked.collect::<Vec<_>>().join(", ");
    Err(match trouble {
        Some(why) => Failure::passing(format!("cannot look up {name}: {why} (asked {asked})")),
        None => Failure::setup(format!("{name} has no address (asked {asked})")),
    })
}

fn resolver(servers: &Servers) -> StubResolver {
    let mut conf = ResolvConf::new();
    let transport = match servers.use_tcp {
        true => Transport::Tcp,
        false => Transport::UdpTcp,
    };
    let addresses = servers.addresses.iter();
    conf.servers = addresses
        .map(|address| ServerConf::new(*address, transport))
        .collect();
    conf.options.timeout = servers.timeout;
    conf.finalize();
    StubResolver::from_conf(conf)
}

/// An answer that says something: that there are records, or that there are none.
fn answered(answer: io::Result<Answer>) -> io::Result<Answer> {
    let answer = answer?;
    match answer.header().rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer),
        code => Err(io::Error::other(format!("the name server says {code}"))),
    }
}

/// Both families in turn, so that one that leads nowhere does not hold up the other.
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (mut six, mut four) = (
        addresses.iter().filter(|it| it.is_ipv6()),
        addresses.iter().filter(|it| it.is_ipv4()),
    );
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(six.next());
        order.extend(four.next());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let all = ["::1", "::2", "::3", "10.0.0.1"].map(|it| it.parse().unwrap());
        let order: Vec<String> = interleaved(&all).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["::1", "10.0.0.1", "::2", "::3"]);
    }
}
