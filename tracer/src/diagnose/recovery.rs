//! Whether what an earlier report found has recovered.

use super::words;
use crate::sums::SaturatingSum as _;
use crate::{
    output::size,
    report::{
        Holder, Owner, OwnerKind, Recovery, Report, Victim,
        inputs::MAX_OWNERS,
        recovery::{Figure, Item},
    },
};

/// A rate that fell to this part of what it was has recovered: some segments are always refused somewhere.
const FEW: f64 = 0.01;
/// A culprit that let go of this part of what it held has recovered.
const LET_GO: f64 = 0.5;
const NANOS_PER_SECOND: f64 = 1e9;

/// Compares a report with an earlier one.
#[must_use]
pub fn compare(before: &Report, after: &Report) -> Recovery {
    let mut items = node(before, after);
    // A sum of several is not of the same ones later: what they suffer is in the node's.
    let singly = (before.victims.iter()).filter(|it| it.owner.kind != OwnerKind::Other);
    for victim in singly {
        items.push(suffers(before, after, victim));
    }
    for culprit in &before.culprits {
        items.push(holds(after, &culprit.holder));
    }
    let states = || items.iter().map(|item| item.recovered);
    let recovered = if states().any(|it| it == Some(false)) {
        Some(false)
    } else {
        states().all(|it| it.is_some()).then_some(true)
    };
    Recovery {
        since: before.window.end,
        kind: before.verdict.kind,
        headline: before.verdict.headline.clone(),
        recovered,
        held_windows: None,
        summary: summary(recovered, &items),
        items,
    }
}

/// Figures of the node.
fn node(before: &Report, after: &Report) -> Vec<Item> {
    let mut items = Vec::new();
    let line = |report: &Report| {
        let marks = report.tcp_memory.tcp_mem_bytes?;
        Some(super::culprit::ratio(marks.pressure, marks.max))
    };
    let (was, is) = (before.tcp_memory.fill, after.tcp_memory.fill);
    // A node that was not full has nothing to recover from.
    if was.zip(line(before)).is_none_or(|(fill, line)| fill > line) {
        items.push(Item {
            figure: Figure::Fill,
            owner: None,
            before: was,
            after: is,
            recovered: is.zip(line(after)).map(|(fill, line)| fill <= line),
        });
    }
    let refused = |report: &Report| {
        rate(
            report,
            report.victims.iter().map(Victim::refused).saturating_sum(),
        )
    };
    items.push(fell(
        Figure::RefusalsPerSecond,
        None,
        refused(before),
        refused(after),
    ));
    let besides = |report: &Report| {
        let all = report.victims.iter().flat_map(|it| it.besides());
        rate(report, all.fold(0, u64::saturating_add))
    };
    if besides(before).is_none_or(|rate| rate > 0.0) {
        items.push(fell(
            Figure::OtherLossesPerSecond,
            None,
            besides(before),
            besides(after),
        ));
    }
    items
}

/// What one victim suffers now.
fn suffers(before: &Report, after: &Report, victim: &Victim) -> Item {
    let now = match after
        .victims
        .iter()
        .find(|it| same(&it.owner, &victim.owner))
    {
        Some(it) => Some(it.refused()),
        None => (after.victims.len() < MAX_OWNERS).then_some(0),
    };
    fell(
        Figure::RefusalsPerSecond,
        Some(victim.owner.clone()),
        rate(before, victim.refused()),
        now.and_then(|refused| rate(after, refused)),
    )
}

/// What one culprit holds now. Whoever is in no list that has room holds nothing.
fn holds(after: &Report, culprit: &Holder) -> Item {
    let now = match after
        .holders
        .iter()
        .find(|it| same(&it.owner, &culprit.owner))
    {
        Some(it) => Some(it.held_bytes),
        None => (after.tcp_memory.found_bytes.is_some() && after.holders.len() < MAX_OWNERS)
            .then_some(0),
    };
    let (before, after) = (float(culprit.held_bytes), now.map(float));
    Item {
        figure: Figure::HeldBytes,
        owner: Some(culprit.owner.clone()),
        before: Some(before),
        after,
        recovered: after.map(|after| after <= before * (1.0 - LET_GO)),
    }
}

/// A rate then and now. One that was 0 has nothing to recover from, but must not have risen.
fn fell(figure: Figure, owner: Option<Owner>, before: Option<f64>, after: Option<f64>) -> Item {
    Item {
        figure,
        owner,
        before,
        after,
        recovered: before.zip(after).map(|(was, is)| is <= was * FEW),
    }
}

/// A count of a window in a second; `None` of a snapshot, which counts nothing.
fn rate(report: &Report, count: u64) -> Option<f64> {
    let duration = report.window.duration_ns;
    (duration > 0).then(|| float(count) / float(duration) * NANOS_PER_SECOND)
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
const fn float(number: u64) -> f64 {
    number as f64
}

/// Whether two reports mean one owner: a pod by its UID, anything else by its name.
fn same(a: &Owner, b: &Owner) -> bool {
    match (&a.k8s_pod_uid, &b.k8s_pod_uid) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.kind == b.kind && a.name == b.name,
        _ => false,
    }
}

fn summary(recovered: Option<bool>, items: &[Item]) -> String {
    let what = match recovered {
        Some(true) => "recovered",
        Some(false) => "not recovered",
        None => "not known whether it has recovered",
    };
    // What is still ill is what a person wants to know; if nothing is, what was.
    let told = items
        .iter()
        .filter(|item| recovered == Some(true) || item.recovered != Some(true));
    let told: Vec<String> = told.map(item).collect();
    format!("{what}: {}", told.join("; "))
}

/// One figure in words: `shop/leaky: held 45.2 MiB, now 0 B`.
#[must_use]
pub fn item(item: &Item) -> String {
    let figure = |value: Option<f64>| match (item.figure, value) {
        (_, None) => "not known".to_owned(),
        (Figure::Fill, Some(fill)) => size::percent(fill),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was a count of bytes"
        )]
        (Figure::HeldBytes, Some(held)) => size::bytes(held as u64),
        (_, Some(rate)) => format!("{rate:.1}"),
    };
    let whose = item
        .owner
        .as_ref()
        .map_or_else(String::new, |owner| format!("{}: ", words::name(owner)));
    format!(
        "{whose}{} {}, now {}",
        item.figure.words(),
        figure(item.before),
        figure(item.after)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{fixture::Fixture, incident::incident};

    #[test]
    fn a_node_where_nothing_is_refused_any_more_has_recovered() {
        let before = incident().report();
        let recovery = compare(&before, &Fixture::quiet().report());
        assert_eq!(recovery.recovered, Some(true));
        assert_eq!(recovery.kind, before.verdict.kind);
        let seen: Vec<_> = recovery
            .items
            .iter()
            .map(|it| (it.figure, it.before, it.after))
            .collect();
        // 12,300 of 12,000 pages, then 1,200; 2,815 segments in 10 s, 2,000 and 815 of them by owner; the leak held
        // 47,400,000 bytes and is gone.
        assert_eq!(
            seen,
            [
                (Figure::Fill, Some(1.025), Some(0.1)),
                (Figure::RefusalsPerSecond, Some(281.5), Some(0.0)),
                (Figure::RefusalsPerSecond, Some(200.0), Some(0.0)),
                (Figure::RefusalsPerSecond, Some(81.5), Some(0.0)),
                (Figure::HeldBytes, Some(47_400_000.0), Some(0.0)),
            ]
        );
        assert!(
            recovery
                .summary
                .starts_with("recovered: fill 102.5 %, now 10.0 %"),
            "{}",
            recovery.summary
        );
    }

    #[test]
    fn a_node_that_is_as_it_was_has_not() {
        let before = incident().report();
        let recovery = compare(&before, &before);
        assert_eq!(recovery.recovered, Some(false));
        assert!(
            recovery
                .summary
                .contains("shop/leaky: held 45.2 MiB, now 45.2 MiB"),
            "{}",
            recovery.summary
        );
    }

    #[test]
    fn what_is_not_known_is_not_called_recovered() {
        let before = incident().report();
        let mut snapshot = Fixture::quiet();
        snapshot.duration_ns = 0;
        assert_eq!(compare(&before, &snapshot.report()).recovered, None);
        let mut blind = Fixture::quiet();
        (blind.start, blind.end) = (None, None);
        let recovery = compare(&before, &blind.report());
        assert_eq!(
            recovery.recovered, None,
            "who was not looked for is not gone"
        );
        // But what is known to be ill is.
        let mut ill = incident();
        (ill.start, ill.end) = (None, None);
        assert_eq!(compare(&before, &ill.report()).recovered, Some(false));
    }

    #[test]
    fn one_in_a_hundred_is_few() {
        for (refused, recovered) in [(28, true), (29, false)] {
            let mut node = Fixture::quiet();
            node.tally(crate::report::tests::fixture::WEB, |value| {
                use tracer_common::tally::{limit, queue};
                crate::report::tests::fixture::refuse(value, queue::RCV, limit::RCVBUF, refused);
            });
            // 1 % of 2,815 are 28.15.
            let recovery = compare(&incident().report(), &node.report());
            assert_eq!(recovery.recovered, Some(recovered), "{refused}");
        }
    }
}
