//! Who holds TCP memory, in sockets of which state.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    Figure, colour, length, none,
    svg::{Scale, Svg, ticks},
};
use crate::{
    output::{
        html::{
            escape::{name, plain, sentence},
            table::Table,
        },
        size,
    },
    report::Report,
};

const ID: &str = "holders";
const TITLE: &str = "Who holds TCP memory, by state of sockets";
const WIDTH: f64 = 960.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = WIDTH - 90.0;
const TOP: f64 = 12.0;
/// Height of a bar with its gap.
const ROW: f64 = 30.0;
/// Most holders that are drawn.
const MOST: usize = 12;

/// The figure; in words why there is none.
pub(in crate::output::html) fn figure(report: &Report) -> String {
    let holders = &report.holders;
    if holders.is_empty() {
        return none(ID, TITLE, "No sockets were read, or none holds TCP memory.");
    }
    let shown = &holders[..holders.len().min(MOST)];
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for state in shown.iter().flat_map(|holder| &holder.states) {
        let sum = states.entry(&state.state).or_default();
        *sum = sum.saturating_add(state.held_bytes);
    }
    let mut states: Vec<(&str, u64)> = states.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    states.sort_by_key(|(_, bytes)| Reverse(*bytes));
    let class = |state: &str| {
        let place = states.iter().position(|(known, _)| *known == state);
        colour(place.unwrap_or(usize::MAX))
    };
    let bottom = TOP + ROW * length(shown.len() as u64);
    let mut svg = Svg::new(WIDTH, bottom + 28.0);
    let most = shown
        .iter()
        .map(|holder| holder.held_bytes)
        .max()
        .unwrap_or(0);
    let x = Scale {
        from: 0.0,
        to: length(most).max(1.0),
        start: LEFT,
        end: RIGHT,
    };
    // Even parts of the largest, because round numbers of bytes are none of KiB.
    for part in ticks(1.0) {
        let at = x.at(part * length(most));
        svg.line((at, TOP), (at, bottom), "grid", "");
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a label"
        )]
        let bytes = (part * length(most)) as u64;
        svg.text((at, bottom + 18.0), "middle", &size::bytes(bytes));
    }
    let mut table = Table::new(
        "TCP memory held, by owner and state",
        &["Owner", "State", "Held#", "Sockets#", "Growth#", "Unread#"],
    );
    for (at, holder) in shown.iter().enumerate() {
        let y = TOP + ROW * length(at as u64);
        svg.text(
            (LEFT - 8.0, y + 19.0),
            "end",
            &plain(&holder.owner.name, 34),
        );
        let mut from = 0_u64;
        for state in &holder.states {
            let to = from.saturating_add(state.held_bytes);
            let words = format!(
                "{}: {} in {} {}",
                holder.owner.name,
                size::bytes(state.held_bytes),
                size::count(state.sockets, "socket"),
                state.state
            );
            let (start, end) = (x.at(length(from)), x.at(length(to)));
            if state.held_bytes > 0 {
                svg.rect(
                    (start, y + 4.0),
                    ((end - start).max(0.5), ROW - 8.0),
                    &format!("bar {}", class(&state.state)),
                    &words,
                );
            }
            from = to;
            table.row(vec![
                name(&holder.owner.name),
                plain(&state.state, 40),
                size::bytes(state.held_bytes),
                state.sockets.to_string(),
                state
                    .growth_bytes
                    .map_or_else(|| "–".to_owned(), size::change),
                size::bytes(state.unread_bytes),
            ]);
        }
        svg.text(
            (x.at(length(from)) + 6.0, y + 19.0),
            "start",
            &sentence(&size::bytes(holder.held_bytes)),
        );
    }
    let legend = states
        .iter()
        .map(|(state, _)| (class(state), (*state).to_owned()));
    Figure {
        id: ID,
        title: TITLE,
        about: "Memory that sockets take from tcp_mem: receive queues, send queues and reserves. To hold memory is a fact, not an accusation.",
        svg,
        legend: legend.collect(),
        tables: vec![table],
    }
    .html()
}
