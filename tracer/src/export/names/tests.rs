//! Files by the text of their manual pages; name servers by one of the test's own.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use domain::{
    base::{
        Message, MessageBuilder, Ttl,
        iana::{Class, Rcode, Rtype},
    },
    rdata::{A, Aaaa},
};
use tokio::net::UdpSocket;

use super::*;
use crate::export::failure::Remedy;

fn addresses(all: &[&str]) -> Vec<IpAddr> {
    all.iter().map(|it| it.parse().unwrap()).collect()
}

#[test]
fn hosts_are_read_as_their_manual_page_says() {
    let hosts = Hosts::parse(
        "# comment\n127.0.0.1\tlocalhost  loop\n\n192.0.2.7 Jira.example jira # ours\n2001:db8::7 jira.example\nnonsense here\n192.0.2.9\n",
    );
    assert_eq!(
        hosts.addresses("jira.EXAMPLE"),
        addresses(&["192.0.2.7", "2001:db8::7"])
    );
    assert_eq!(hosts.addresses("loop"), addresses(&["127.0.0.1"]));
    assert!(hosts.addresses("ours").is_empty() && hosts.addresses("here").is_empty());
}

#[test]
fn servers_are_read_as_their_manual_page_says() {
    let servers = Servers::parse(
        "; comment\n# comment\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\ndomain a.example\nsearch shop.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:2 rotate use-vc edns0\nsortlist 130.155.160.0\n",
    );
    assert_eq!(
        servers,
        Servers {
            addresses: vec![
                "192.0.2.53:53".parse().unwrap(),
                "[2001:db8::53]:53".parse().unwrap()
            ],
            search: vec!["shop.svc.cluster.local".into(), "svc.cluster.local".into()],
            ndots: 5,
            timeout: Duration::from_secs(2),
            use_tcp: true,
        }
    );
    let empty = Servers::parse("nonsense\nnameserver nowhere\noptions ndots:many timeout:0\n");
    assert_eq!(empty.addresses, [SocketAddr::from(([127, 0, 0, 1], 53))]);
    assert_eq!(empty.timeout, Duration::from_secs(1));
    let four = "nameserver 192.0.2.1\n".repeat(4);
    assert_eq!(Servers::parse(&four).addresses.len(), 3);
}

#[test]
fn short_names_are_looked_for_in_domains_first() {
    let servers = Servers::parse("search a.example b.example.\noptions ndots:2\n");
    assert_eq!(
        servers.candidates("jira"),
        ["jira.a.example.", "jira.b.example.", "jira."]
    );
    assert_eq!(
        servers.candidates("x.y.z"),
        ["x.y.z.", "x.y.z.a.example.", "x.y.z.b.example."]
    );
    assert_eq!(servers.candidates("jira."), ["jira."]);
    assert_eq!(Servers::default().candidates("jira"), ["jira."]);
}

/// A name server that knows `jira.a.example` and `six.example`, is broken for `broken.example`, and denies the rest.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_octets(&buffer[..length]).unwrap();
            let question = query.sole_question().unwrap();
            let name = question.qname().to_string();
            let code = match name.as_str() {
                "jira.a.example" | "six.example" => Rcode::NOERROR,
                "broken.example" => Rcode::SERVFAIL,
                _ => Rcode::NXDOMAIN,
            };
            let mut answer = MessageBuilder::new_vec()
                .start_answer(&query, code)
                .unwrap();
            let ttl = Ttl::from_secs(60);
            let owner = question.qname();
            match (name.as_str(), question.qtype()) {
                ("jira.a.example", Rtype::A) => {
                    let data = A::from_octets(192, 0, 2, 7);
                    answer.push((owner, Class::IN, ttl, data)).unwrap();
                }
                ("six.example", Rtype::AAAA) => {
                    let data = Aaaa::new("2001:db8::7".parse().unwrap());
                    answer.push((owner, Class::IN, ttl, data)).unwrap();
                }
                _ => {}
            }
            socket.send_to(&answer.finish(), from).await.unwrap();
        }
    });
    at
}

#[tokio::test]
async fn names_are_looked_up() {
    let resolver = Resolver {
        hosts: Hosts::parse("192.0.2.1 fixed.example\n"),
        servers: Servers {
            addresses: vec![name_server().await],
            search: vec!["b.example".into(), "a.example".into()],
            ..Servers::default()
        },
    };
    let lookup = async |name: &str| resolver.lookup(name).await;
    assert_eq!(lookup("fixed.example").await, Ok(addresses(&["192.0.2.1"])));
    assert_eq!(
        lookup("fixed.example.").await,
        Ok(addresses(&["192.0.2.1"]))
    );
    assert_eq!(lookup("jira").await, Ok(addresses(&["192.0.2.7"])));
    assert_eq!(lookup("six.example").await, Ok(addresses(&["2001:db8::7"])));
    let local = addresses(&["127.0.0.1", "::1"]);
    assert_eq!(lookup("localhost").await, Ok(local.clone()));
    assert_eq!(lookup("a.LocalHost.").await, Ok(local));

    let absent = lookup("absent.example").await.unwrap_err();
    assert_eq!(absent.remedy, Remedy::Setup, "{absent}");
    assert!(absent.words.contains("absent.example"), "{absent}");
    let broken = lookup("broken.example.").await.unwrap_err();
    assert_eq!(broken.remedy, Remedy::Time, "{broken}");
    assert!(broken.words.contains("SERVFAIL"), "{broken}");
    // A name with a label that is too long is no name.
    let long = lookup(&"x".repeat(64)).await.unwrap_err();
    assert_eq!(long.remedy, Remedy::Setup, "{long}");
}
