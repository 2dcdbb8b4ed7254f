//! What the kernel's counters of an owner's network namespaces tell of the wire. Pure.

use std::collections::BTreeSet;

use super::share;
use crate::{
    indicators::{Counter, Netstat, rows::Snapshot},
    report::context::Network,
};

/// The rise of the counters of some network namespaces between two readings; figures are `None` where a namespace lacks one of
/// them. One that was born in between began at 0.
#[must_use]
pub fn since(start: &Snapshot, end: &Snapshot, netns: &BTreeSet<u32>) -> Network {
    let rise = |wanted: &dyn Fn(u32) -> bool, group: &str, name: &str| {
        let mut sum = None;
        for (inum, now) in end.iter().filter(|(inum, _)| wanted(**inum)) {
            let of = |netstat: &Netstat| netstat.get(group, name);
            let before = match start.get(inum) {
                Some(before) => of(&before.netstat)?,
                None => 0,
            };
            let rise = of(&now.netstat)?.saturating_sub(before);
            sum = Some(u64::saturating_add(sum.unwrap_or(0), rise));
        }
        sum
    };
    let own = |group: &str, name: &str| rise(&|inum| netns.contains(&inum), group, name);
    let everywhere = |counter: Counter| rise(&|_| true, "TcpExt", counter.name());
    let (in_segments, out_segments) = (own("Tcp", "InSegs"), own("Tcp", "OutSegs"));
    // What opens a connection is sent again where nobody answers, which is no loss.
    let retransmitted = own("Tcp", "RetransSegs")
        .zip(own("TcpExt", "TCPSynRetrans"))
        .map(|(all, opening)| all.saturating_sub(opening));
    let out_of_order = own("TcpExt", "TCPOFOQueue");
    let part = |part: Option<u64>, whole: Option<u64>| share(part?, whole?);
    Network {
        retransmit_share: part(retransmitted, out_segments),
        out_of_order_share: part(out_of_order, in_segments),
        in_segments,
        out_segments,
        retransmitted,
        timeouts: own("TcpExt", "TCPTimeouts"),
        lost_retransmits: own("TcpExt", "TCPLostRetransmit"),
        fast_retransmits: own("TcpExt", "TCPFastRetrans"),
        out_of_order,
        refused_in_order: own("TcpExt", Counter::TCPRcvQDrop.name()),
        refused_on_node: everywhere(Counter::TCPRcvQDrop)
            .zip(everywhere(Counter::TCPOFODrop))
            .map(|(rcv, ofo)| rcv.saturating_add(ofo)),
        ..Network::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicators::rows::KernelCounts;

    fn counts(retransmitted: u64, opening: u64, late: u64, refused: u64) -> KernelCounts {
        let mut netstat = Netstat::parse(&format!(
            "TcpExt: TCPSynRetrans TCPOFOQueue TCPRcvQDrop TCPOFODrop TCPTimeouts\n\
             TcpExt: {opening} {late} {refused} {refused} 9\n"
        ));
        netstat.add(&format!(
            "Tcp: InSegs OutSegs RetransSegs\nTcp: 1000 {} {retransmitted}\n",
            retransmitted * 10
        ));
        KernelCounts {
            netstat,
            ..KernelCounts::default()
        }
    }

    #[test]
    fn own_namespaces_are_summed_and_refusals_are_of_the_node() {
        let start = Snapshot::from([(1, counts(10, 4, 0, 1)), (2, counts(0, 0, 0, 0))]);
        let end = Snapshot::from([
            (1, counts(60, 14, 50, 3)),
            (2, counts(0, 0, 0, 100)),
            (3, counts(5, 0, 7, 0)),
        ]);
        let network = since(&start, &end, &BTreeSet::from([1, 3]));
        // 50 in the first, of which 10 open connections, and 5 in the one that is new.
        assert_eq!(network.retransmitted, Some(50 - 10 + 5));
        assert_eq!(network.out_segments, Some(500 + 50));
        assert_eq!(network.retransmit_share, Some(0.081_818));
        assert_eq!(network.in_segments, Some(1000));
        assert_eq!(
            (network.out_of_order, network.out_of_order_share),
            (Some(57), Some(0.057))
        );
        assert_eq!(
            (network.refused_in_order, network.refused_on_node),
            (Some(2), Some(204))
        );
        assert_eq!(network.timeouts, Some(9));
        assert_eq!(
            network.lost_retransmits, None,
            "this kernel does not count it"
        );
    }

    #[test]
    fn a_namespace_that_is_gone_tells_nothing() {
        let start = Snapshot::from([(1, counts(10, 4, 0, 1))]);
        let network = since(&start, &Snapshot::new(), &BTreeSet::from([1]));
        assert_eq!(network, Network::default());
    }
}
