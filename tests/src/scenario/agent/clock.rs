//! The wall clock is set while the agent records.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{SHORT, SOON, folder, labels, residuals};
use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, another, begin, slow_reader};
use crate::tcpress;

/// By how much it is set, forward and back again.
const STEP: Duration = Duration::from_secs(7200);
/// Refusals before the clock is set, beside it, in the other time, and after it was set back.
const BEFORE: u32 = 100;
const BESIDE: u32 = 400;
const ELSEWHERE: u32 = 70;
const AFTER: u32 = 50;

/// The clock is set two hours forward in the middle of a flood, and later back: every count stays the kernel's, on the page and in the
/// recording, whose times are those that the clock said, and whose lengths are those that went by.
pub(in crate::scenario) fn agent_clock() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let folder = folder("lab-agent-clock")?;
    let agent = Agent::start(&folder, &SHORT)?;
    let begun = Instant::now();
    let watch = Watch::new(&slow)?;
    let mut checks = Checks::new();
    let refused = |page: &Page| page.sum("tcpress_refusals_total", &labels(&slow, &[])) as u64;
    let all_told = |so_far: u32| {
        let so_far = u64::from(so_far);
        agent.page_with(&format!("{so_far} refusals"), SOON, |page| {
            refused(page) == so_far
        })
    };

    let before = another(&slow, 1, BEFORE)?;
    all_told(BEFORE)?;
    let half = BESIDE / 2;
    let client = begin(
        &slow,
        1,
        &format!("repeat:{half}x1 pause:3000 repeat:{half}x1"),
    )?;
    client.step("repeat", SOON)?;
    crate::sys::step_clock(STEP, true)?;
    client.done(SOON)?;
    all_told(BEFORE + BESIDE)?;
    agent.said(SOON, |line| line.contains("the incident is over"))?;
    let elsewhere = another(&slow, 2, ELSEWHERE)?;
    all_told(BEFORE + BESIDE + ELSEWHERE)?;
    crate::sys::step_clock(STEP, false)?;
    let after = another(&slow, 3, AFTER)?;
    let kernel = watch.grown()?;
    checks.equal(
        "refusals of the kernel",
        kernel.refusals(),
        u64::from(BEFORE + BESIDE + ELSEWHERE + AFTER),
    );
    let page = all_told(BEFORE + BESIDE + ELSEWHERE + AFTER)?;
    checks.equal("residuals", residuals(&page), Vec::new());

    // What it leaves on disk.
    drop((before, client, elsewhere, after));
    agent.stop()?;
    let most = begun.elapsed();
    let history = folder.join("history").display().to_string();
    let recorded = |span: &str| -> Result<_> {
        let call = format!("report -o json {span} --history {history}");
        tcpress::parse(&tcpress::call(&call).run()?)
    };
    let of_report = |report: &crate::report::Report| -> u64 {
        ["rcv", "ofo"]
            .map(|queue| report.of_victim(&slow, &format!("/refusals/{queue}")))
            .iter()
            .sum()
    };
    let later = jiff::Timestamp::now() + STEP + SOON;
    let all = recorded(&format!("--since -1h --until {later}"))?;
    checks.equal(
        "refusals in the recording",
        of_report(&all),
        kernel.refusals(),
    );
    let length = all.at("/window/duration_ns").as_u64();
    checks.that(
        length.is_some_and(|it| it > 0 && u128::from(it) <= most.as_nanos()),
        || format!("{length:?} ns are recorded of {most:?}"),
    );
    let told = all.list("/losses/gaps").iter();
    let told: Vec<&str> = told
        .filter_map(|gap| gap.as_str())
        .filter(|gap| {
            ["clock", "watched", "cannot be read"]
                .iter()
                .any(|it| gap.contains(it))
        })
        .collect();
    let set = |way| told.iter().filter(|gap| gap.contains(way)).count();
    checks.that(
        told.len() == 2
            && set("the clock was set forward by 7200") == 1
            && set("the clock was set back by 7200") == 1,
        || format!("of the clock and of time that lacks it tells {told:?}"),
    );
    // Of the clock's own time, as it is now: what came before and after, not what was in the other time alone.
    let now = of_report(&recorded("--since -1h")?);
    checks.that(
        (u64::from(BEFORE + AFTER)..=kernel.refusals()).contains(&now),
        || format!("{now} refusals in the last hour"),
    );
    let other = of_report(&recorded(&format!(
        "--since {} --until {later}",
        later - STEP / 2
    ))?);
    checks.that(
        (u64::from(ELSEWHERE)..=kernel.refusals()).contains(&other),
        || format!("{other} refusals in the other time"),
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}
