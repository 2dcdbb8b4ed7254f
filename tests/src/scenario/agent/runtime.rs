//! The agent while its container runtime goes and comes back.

use std::path::Path;

use anyhow::Result;

use super::{SOON, folder};
use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::cri::{Manner, Runtime, RuntimePod};
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, another, slow_reader};

/// Where the runtime listens.
const SOCKET: &str = "/run/lab/cri.sock";
/// Bursts of refusals within which a newcomer must have its name.
const TRIES: usize = 10;
/// Of the container in each pod.
const CONTAINER: &str = "app";

/// Refusals of whoever has these labels.
fn refused(page: &Page, labels: [(&str, &str); 4]) -> u64 {
    page.sum("tcpress_refusals_total", &labels) as u64
}

/// Labels of a pod by its names.
fn named<'a>(name: &'a str, container: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("namespace", "shop"),
        ("pod", name),
        ("container", container),
        ("name", ""),
    ]
}

/// Without a runtime every count goes on: under the names that are known already, and under the UID of a pod that nobody has named, never
/// under another's name. When it is back, whoever came meanwhile is named, and so is whoever comes.
pub(in crate::scenario) fn agent_runtime() -> Result<Outcome> {
    let network = Network::new()?;
    let mut runtime = Runtime::start(Path::new(SOCKET), Manner::Honest)?;
    let pod = |name: &str| Pod::new(&network, "shop", name);
    let before = pod("before")?;
    runtime.add(RuntimePod::of(&before));
    let reader = slow_reader(&before)?;
    let watch = Watch::new(&before)?;
    let folder = folder("lab-agent-runtime")?;
    let agent = Agent::start_with(
        &folder,
        // The runtime alone knows names.
        &format!("--pod-logs /nonexistent --cri-socket {SOCKET}"),
        &["scan.interval=2s", "scan.interval_under_pressure=1s"],
    )?;
    let mut clients = vec![another(&before, 1, 20)?];
    let kernel = watch.grown()?.refusals();
    agent.page_with("a pod with its names", SOON, |page| {
        refused(page, named("before", CONTAINER)) == kernel
    })?;

    runtime.end();
    let meanwhile = pod("meanwhile")?;
    runtime.add(RuntimePod::of(&meanwhile));
    let meanwhile_reader = slow_reader(&meanwhile)?;
    let watch_meanwhile = Watch::new(&meanwhile)?;
    clients.push(another(&before, 2, 30)?);
    clients.push(another(&meanwhile, 1, 40)?);
    let (kernel, unnamed) = (
        watch.grown()?.refusals(),
        watch_meanwhile.grown()?.refusals(),
    );
    let by_uid = [
        ("namespace", ""),
        ("pod", ""),
        ("container", ""),
        ("name", meanwhile.uid.as_str()),
    ];
    let page = agent.page_with("counts without a runtime", SOON, |page| {
        refused(page, named("before", CONTAINER)) == kernel && refused(page, by_uid) == unnamed
    })?;
    let mut checks = Checks::new();
    let all = |page: &Page| page.sum("tcpress_refusals_total", &[]) as u64;
    checks.equal("all refusals", all(&page), kernel + unnamed);
    agent.said(SOON, |line| {
        line.contains("names of containers may lack") && line.contains(SOCKET)
    })?;

    runtime.restart()?;
    agent.said(SOON, |line| line.contains("tell all names again"))?;
    let after = pod("after")?;
    runtime.add(RuntimePod::of(&after));
    let after_reader = slow_reader(&after)?;
    let watch_after = Watch::new(&after)?;
    clients.push(another(&meanwhile, 2, 50)?);
    let late = watch_meanwhile.grown()?.refusals();
    agent.page_with("a name for who came meanwhile", SOON, |page| {
        refused(page, named("meanwhile", CONTAINER)) == late - unnamed
    })?;
    // The runtime is asked when a pod is born, so its first counts may come before its name.
    let (mut last, mut new) = (page.clone(), 0);
    for number in 1..=TRIES {
        clients.push(another(&after, number, 10)?);
        new = watch_after.grown()?.refusals();
        last = agent.page_with("all refusals of the newcomer", SOON, |page| {
            all(page) == kernel + late + new
        })?;
        if refused(&last, named("after", CONTAINER)) > 0 {
            break;
        }
    }
    checks.that(refused(&last, named("after", CONTAINER)) > 0, || {
        "who came afterwards has no name".to_owned()
    });
    checks.equal("what was counted by UID", refused(&last, by_uid), unnamed);
    checks.equal("all refusals at the end", all(&last), kernel + late + new);
    checks.equal("counters that fell", last.fallen_since(&page), Vec::new());
    let misses = last.sum("tcpress_attribution_misses_total", &[]);
    checks.equal("counts of nobody", misses, 0.0);
    // Sockets that are gone leave nothing in the programs' tables, and their pods need not be gone long for that.
    drop((clients, reader, meanwhile_reader, after_reader));
    agent.page_with("no state of any socket", SOON, |page| {
        page.sum("tcpress_map_entries", &[("map", "SOCKETS")]) == 0.0
    })?;
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
