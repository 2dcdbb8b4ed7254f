//! Afterwards: what is gone has left nothing behind, and everything was counted.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::SCRAPES;
use super::load::own_memory;
use super::staying::{Names, Staying, of_pod};
use crate::agent::{Agent, Page, Seen};
use crate::check::Checks;
use crate::churn::Truth;
use crate::owners_map::owners;

/// How long the agent may take for what it does by itself: entries of the dead are kept for ten minutes.
const AT_REST: Duration = Duration::from_secs(1200);

pub(super) const MIB: f64 = (1 << 20) as f64;
pub(super) const RESIDENT: &str = "tcpress_agent_resident_bytes";
pub(super) const FILES: &str = "tcpress_agent_open_files";
pub(super) const SERIES: &str = "tcpress_series";

/// Open descriptors of the agent, by what they are.
pub(super) fn descriptors(agent: &Agent) -> BTreeMap<String, usize> {
    let folder = fs::read_dir(format!("/proc/{}/fd", agent.pid()));
    let links = folder.into_iter().flatten().flatten();
    let mut kinds = BTreeMap::new();
    for link in links.filter_map(|it| fs::read_link(it.path()).ok()) {
        let kind = link
            .to_string_lossy()
            .replace(|it: char| it.is_ascii_digit(), "");
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// Entries of a map of ours.
pub(super) fn entries(page: &Page, map: &str) -> f64 {
    page.sum("tcpress_map_entries", &[("map", map)])
}

/// Waits until what is gone has left nothing: no series, no entry of a map, no descriptor. Returns the page that shows it.
pub(super) fn rest(
    agent: &Agent,
    seen: &mut Seen,
    base: &Page,
    staying: &Staying<'_>,
    checks: &mut Checks,
) -> Result<Page> {
    let refused = staying.refused()?;
    let end = Instant::now() + AT_REST;
    let mut round = 0_u32;
    loop {
        let page = agent.page()?;
        seen.take(&page);
        let counted = refused
            .iter()
            .all(|(names, count)| of_pod(&page, names) == *count);
        // Who lives may have begun to count meanwhile.
        let mut left = owners()?;
        left.retain(|owner| owner.gone);
        let sockets = entries(&page, "SOCKETS") <= entries(base, "SOCKETS");
        let files = page.sum(FILES, &[]) <= base.sum(FILES, &[]);
        let strange = page.pods_beyond(base);
        if counted && left.is_empty() && sockets && files && strange.is_empty() {
            return Ok(page);
        }
        if Instant::now() > end {
            checks.that(counted, || "not all that stay were counted".to_owned());
            checks.that(left.is_empty(), || {
                format!("entries of owners are left who are gone: {left:#?}")
            });
            checks.that(sockets, || "entries of sockets are left".to_owned());
            checks.that(files, || "descriptors are left".to_owned());
            checks.equal("series of the gone", strange, Vec::new());
            return Ok(page);
        }
        if round.is_multiple_of(20) {
            tell(agent, &page);
        }
        round += 1;
        std::thread::sleep(SCRAPES);
    }
}

/// How the agent is at the moment.
pub(super) fn tell(agent: &Agent, page: &Page) {
    let own = own_memory(agent).unwrap_or(f64::NAN);
    eprintln!(
        "lab: {:.2} MiB own and {:.2} MiB resident, {} descriptors, {} entries of TALLIES and {} of SOCKETS, {} series, {} incidents",
        own / MIB,
        page.sum(RESIDENT, &[]) / MIB,
        page.sum(FILES, &[]),
        entries(page, "TALLIES"),
        entries(page, "SOCKETS"),
        page.sum(SERIES, &[]),
        page.sum("tcpress_incidents_total", &[]),
    );
}

/// Each pod's refusals are the kernel's, also those of the gone, whose series went after all of it was scraped.
pub(super) fn check_counts(
    checks: &mut Checks,
    seen: &Seen,
    last: &Page,
    staying: &Staying<'_>,
    truths: &[Truth],
) -> Result<()> {
    let mut want: BTreeMap<Names, u64> = staying.refused()?.into_iter().collect();
    for truth in truths {
        let names = (
            truth.identity.namespace.clone(),
            truth.identity.name.clone(),
        );
        *want.entry(names).or_default() += truth.refusals;
    }
    checks.above_zero("pods that came and went", truths.len() as u64);
    for (names, count) in &want {
        let labels = [("namespace", names.0.as_str()), ("pod", &names.1)];
        let told = seen.sum("tcpress_refusals_total", &labels) as u64;
        checks.equal(&format!("refusals of {names:?}"), told, *count);
    }
    let all: u64 = want.values().sum();
    checks.equal(
        "all refusals",
        seen.sum("tcpress_refusals_total", &[]) as u64,
        all,
    );
    let amiss = |name: &str| -> Vec<String> {
        let series = last.of(name).into_iter();
        // Evidence is bounded on purpose.
        let amiss = series
            .filter(|(series, value)| *value != 0.0 && !series.contains("suppressed_evidence"));
        amiss
            .map(|(series, value)| format!("{series} {value}"))
            .collect()
    };
    checks.equal("residuals", amiss("tcpress_residual"), Vec::new());
    checks.equal("losses", amiss("tcpress_lost_total"), Vec::new());
    Ok(())
}
