//! From plain data to a report. Pure: the same inputs give the same report, live or replayed.

mod attribution;
mod evidence;
mod explained;
mod holders;
mod losses;
mod memory;
mod series;
mod victims;

use std::{cmp::Reverse, collections::BTreeMap};

use tracer_common::TallyKey;

use self::holders::Census;
use super::{
    Culprit, Inputs, Report, SCHEMA, Victim,
    inputs::{MAX_GAPS, MAX_MOMENTS},
};
use crate::{
    aggregate::{Group, Harm, harm},
    diagnose::{Accused, Case, Finding, Sufferer, Tallied, blemish, diagnose, limit, sufferer},
    report::{MemcgPressure, Moment, Owner, Plan, Reconciliation, Selfcheck, TcpMemory},
};

/// Makes a report.
#[must_use]
pub fn build(inputs: &Inputs<'_>) -> Report {
    let mut gaps: Vec<String> = inputs.gaps.to_vec();
    gaps.extend(inputs.damage.map(|damage| format!("capture: {damage}")));
    let harms = if inputs.traced {
        harm::by_group(inputs.deltas, inputs.owner_of_key)
    } else {
        BTreeMap::new()
    };
    let census = Census::take(inputs, &mut gaps);
    let tcp_memory = memory::tcp_memory(inputs, &harms, census.as_ref());
    let mut victims = if inputs.traced {
        victims::by_probes(inputs, &harms)
    } else {
        victims::by_counters(inputs)
    };
    sufferer::sort(&mut victims);
    let tallied = Tallied::sum(harms.values());
    let findings = findings(inputs, &tallied, &victims, &tcp_memory);
    let evidence = evidence::sampled(inputs, &mut gaps);
    let memcg_pressure = memcg_pressure(inputs, &mut gaps);
    let scope = holders::memcg_scope(inputs, memcg_pressure.as_deref().unwrap_or_default());
    let within = census
        .as_ref()
        .map(|census| census.within(inputs, &scope))
        .unwrap_or_default();
    let reconciliation: Vec<Reconciliation> = inputs.rows.iter().map(Into::into).collect();
    let timeline = inputs.traced.then(|| timeline(inputs, &mut gaps));
    let series = series::series(inputs, &harms);
    losses::unknown_limits(inputs, &harms, &mut gaps);
    let mut losses = losses::losses(inputs, &harms);
    losses::gone(inputs, &mut gaps);
    let selfcheck = inputs.selfcheck.map(Selfcheck::from);
    let mut blemishes = blemish::sentences(&reconciliation, inputs.at_rest, &losses, inputs.traced);
    blemishes.extend(selfcheck.as_ref().and_then(blemish::disagreement));
    blemishes.extend(inputs.damage.map(blemish::damage));
    let scope_words = scope.words();
    let (verdict, mut accused) = diagnose(&Case {
        node: inputs.node,
        window_ns: inputs.window.duration_ns,
        traced: inputs.traced,
        watched: inputs.traced
            || inputs.at_rest.agreed > 0
            || inputs.rows.iter().any(|row| row.kernel.is_some()),
        findings: &findings,
        forced: tallied.forced_admissions(),
        victims: &victims,
        accounts: census.as_ref().map(|census| census.accounts.as_slice()),
        freed: census.as_ref().is_some_and(|census| census.freed),
        contexts: inputs.contexts,
        within: &within,
        scope: scope_words.as_deref(),
        memory: &tcp_memory,
        memcgs: memcg_pressure.as_deref().unwrap_or_default(),
        evidence: &evidence,
        scan: inputs.scan_end.or(inputs.scan_start),
        blind: &inputs.plan.notes,
        blemishes: &blemishes,
    });
    let descriptors = inputs.descriptor_of_socket;
    let accounts = census.as_ref().map(|census| census.accounts.as_slice());
    let attribution = attribution::attribution(inputs, &harms, accounts);
    let mut accounts = census.map(|census| census.accounts).unwrap_or_default();
    bound(&mut victims, "victims", inputs.top, &mut gaps);
    bound(&mut accused, "culprits", inputs.top, &mut gaps);
    bound(&mut accounts, "holders", inputs.top, &mut gaps);
    losses.gaps = bound_gaps(gaps);
    Report {
        schema: SCHEMA.to_owned(),
        tcpress: inputs.version.to_owned(),
        window: inputs.window,
        node: inputs.node.clone(),
        plan: Plan {
            maps: inputs.maps,
            ..Plan::from(inputs.plan).judged(&reconciliation)
        },
        verdict,
        incident: None,
        recovery: None,
        narrowed: None,
        tcp_memory,
        attribution,
        victims: lines(victims, |sufferer| Victim {
            context: inputs.contexts.get(&sufferer.group).cloned(),
            ..sufferer.victim
        }),
        culprits: lines(accused, |accused| culprit_line(inputs, accused)),
        holders: accounts
            .iter()
            .map(|account| holders::line(account, descriptors))
            .collect(),
        memcg_pressure,
        timeline,
        series,
        reconciliation,
        at_rest: inputs.at_rest,
        selfcheck,
        losses,
        evidence: evidence.into_iter().map(|(_, event)| event).collect(),
    }
}

/// The lines of a list. A report may be kept for as long as an incident lasts: it takes no more than they do, where they would be put into the
/// memory of the list that they were made of.
fn lines<T, Line>(list: Vec<T>, line: impl Fn(T) -> Line) -> Vec<Line> {
    let mut lines: Vec<Line> = list.into_iter().map(line).collect();
    lines.shrink_to_fit();
    lines
}

fn culprit_line(inputs: &Inputs<'_>, accused: Accused) -> Culprit {
    Culprit {
        context: inputs.contexts.get(&accused.account.group).cloned(),
        holder: holders::line(&accused.account, inputs.descriptor_of_socket),
        why: accused.why,
    }
}

/// Memory cgroups under pressure with their owners.
fn memcg_pressure(inputs: &Inputs<'_>, gaps: &mut Vec<String>) -> Option<Vec<MemcgPressure>> {
    let mut pressed: Vec<MemcgPressure> = inputs
        .memcgs?
        .iter()
        .map(|pressed| {
            let key = TallyKey {
                cgroup_id: pressed.id,
                memcg_id: pressed.id,
                ..TallyKey::default()
            };
            let owner = harm::owner_of(&key, inputs.owner_of_key);
            MemcgPressure::new(pressed, Owner::from(&owner))
        })
        .collect();
    pressed.sort_by_key(|memcg| Reverse((memcg.max_events, memcg.sock_throttled)));
    bound(
        &mut pressed,
        "memory cgroups under pressure",
        inputs.top,
        gaps,
    );
    Some(pressed)
}

/// The first moments, in the order of time.
fn timeline(inputs: &Inputs<'_>, gaps: &mut Vec<String>) -> Vec<Moment> {
    let recorded = inputs.timeline.iter().map(|record| {
        let owner = harm::owner_of(&record.owner, inputs.owner_of_key);
        let at = (inputs.wall_clock)(record.at_ns);
        Moment::new(record, Owner::from(&owner), at)
    });
    let orphans = inputs.orphans.iter();
    let orphans = orphans.map(|&(at, orphans)| Moment::orphans(at, orphans));
    let mut moments: Vec<Moment> = recorded.chain(orphans).collect();
    moments.sort_by_key(|moment| moment.at);
    if moments.len() > MAX_MOMENTS {
        gaps.push(format!(
            "timeline: the first {MAX_MOMENTS} of {} moments are listed",
            moments.len()
        ));
        moments.truncate(MAX_MOMENTS);
    }
    moments
}

/// The limits that struck, the dominating one first.
fn findings(
    inputs: &Inputs<'_>,
    tallied: &Tallied,
    victims: &[Sufferer],
    memory: &TcpMemory,
) -> Vec<Finding> {
    if inputs.traced {
        return tallied.findings();
    }
    let sum = |of: &dyn Fn(&Sufferer) -> u64| victims.iter().map(of).fold(0, u64::saturating_add);
    limit::by_counters(sum(&|v| v.all().0), sum(&|v| v.all().1), memory)
        .into_iter()
        .collect()
}

/// Cuts a list to what a report may hold, and says so.
fn bound<T>(list: &mut Vec<T>, name: &str, most: usize, gaps: &mut Vec<String>) {
    if list.len() > most {
        gaps.push(format!(
            "{name}: the first {most} of {} are listed",
            list.len()
        ));
        list.truncate(most);
    }
}

/// Cuts gaps to what a report may hold; the last line says how many there were.
fn bound_gaps(mut gaps: Vec<String>) -> Vec<String> {
    if gaps.len() > MAX_GAPS {
        let more = gaps.len() - MAX_GAPS;
        gaps.truncate(MAX_GAPS);
        gaps.push(format!("and {more} more gaps that are not listed"));
    }
    gaps
}

/// Harm by group, as several rooms of this folder need it.
type Harms = BTreeMap<Group, Harm>;
