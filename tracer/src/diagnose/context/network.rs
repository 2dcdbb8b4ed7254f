//! Loss on the wire, and waiting for a peer. What this node itself refused is sent again as well and makes what follows late: where
//! that can explain the figures, they do not accuse the network.

use super::{DISORDER, LOSS, MIN_RETRANSMITS, MIN_SEGMENTS, Ruled, channel, held_up, of_threads};
use crate::{
    output::size,
    report::context::{Network, NetworkSocket, Ruling, Threads, Wait},
};

/// Retransmits that one refused segment may cause: itself, and what was sent behind it before its sender knew.
const PER_REFUSAL: u64 = 10;
/// Segments out of order that one refused in order may cause: what a window holds.
const LATE_PER_REFUSAL: u64 = 100;

pub(super) fn rule(network: &Network, threads: &Threads) -> Ruled {
    let lost = beyond(network.retransmit_share, LOSS)
        && network.out_segments >= Some(MIN_SEGMENTS)
        && network.retransmitted >= Some(MIN_RETRANSMITS);
    let late =
        beyond(network.out_of_order_share, DISORDER) && network.in_segments >= Some(MIN_SEGMENTS);
    let explains = |refused: Option<u64>, each: u64, seen: Option<u64>| {
        refused.is_none_or(|refused| refused.saturating_mul(each) >= seen.unwrap_or(0))
    };
    let lost_here = explains(network.refused_on_node, PER_REFUSAL, network.retransmitted);
    let late_here = explains(
        network.refused_in_order,
        LATE_PER_REFUSAL,
        network.out_of_order,
    );
    let mut figures = shares(network);
    let sending = held_up(threads, Wait::Send);
    if sending {
        figures.push(format!(
            "{} waiting for room to send{}",
            of_threads(threads.mostly(Wait::Send), threads),
            channel(threads, Wait::Send)
        ));
    }
    let finding = if sending || (lost && !lost_here) || (late && !late_here) {
        Ruling::Confirmed
    } else if lost || late {
        figures.push("which segments refused on this node explain as well".to_owned());
        Ruling::NotKnown
    } else if network.out_segments.is_some() && network.in_segments.is_some() {
        Ruling::RuledOut
    } else {
        Ruling::NotKnown
    };
    figures.extend(
        network
            .sockets
            .iter()
            .max_by_key(|socket| socket.rtt_ns)
            .and_then(round_trip),
    );
    if network.shared == Some(true) {
        figures.push("in a network namespace that others share".to_owned());
    }
    let begin = match (finding, sending) {
        (Ruling::Confirmed, true) => "waits for its peers",
        (Ruling::Confirmed, false) => "network loses or reorders",
        (Ruling::RuledOut, _) => "not the network",
        (Ruling::NotKnown, _) => "network not known",
    };
    let figures = match figures.join(", ") {
        none if none.is_empty() => "it could not be read".to_owned(),
        some => some,
    };
    (finding, format!("{begin}: {figures}"))
}

fn beyond(share: Option<f64>, limit: f64) -> bool {
    share.is_some_and(|share| share >= limit)
}

fn shares(network: &Network) -> Vec<String> {
    let mut figures = Vec::new();
    if let (Some(again), Some(sent)) = (network.retransmitted, network.out_segments) {
        let share = network
            .retransmit_share
            .map_or_else(String::new, |share| format!(" ({})", size::percent(share)));
        figures.push(format!("{again} of {sent} segments sent again{share}"));
    }
    if let (Some(late), Some(received)) = (network.out_of_order, network.in_segments) {
        let share = network
            .out_of_order_share
            .map_or_else(String::new, |share| format!(" ({})", size::percent(share)));
        figures.push(format!("{late} of {received} received out of order{share}"));
    }
    figures
}

/// The round-trip time of its slowest socket beside the best that it has seen.
fn round_trip(socket: &NetworkSocket) -> Option<String> {
    Some(format!(
        "round trip {} (best {})",
        size::nanos(socket.rtt_ns?),
        size::nanos(socket.min_rtt_ns?)
    ))
}
