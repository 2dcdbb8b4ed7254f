//! Pods that come and go within one window, many of them: each refusal is told of the pod that it was of.

use std::path::Path;

use anyhow::Result;

use super::flood::{self, SETTLE, Watch, slow_reader};
use super::{Outcome, number};
use crate::check::Checks;
use crate::churn::{self, Batch, Identity, LabPods, Truth};
use crate::cri::{Manner, Runtime};
use crate::network::Network;
use crate::pod::Pod;
use crate::tcpress;

/// Where the lab's runtime listens.
const SOCKET: &str = "/run/lab/cri.sock";
/// Pods, where `TCPRESS_CHURN` does not say how many; 300 are the full size.
const PODS: u64 = 16;
/// Segments of each pod that are refused.
const SEGMENTS: u64 = 100;
/// Segments of the pod that is there all the time, for each pod that comes and goes.
const OF_THE_STAYING: u64 = 10;
/// Pods that are there at the same time, besides that one.
const WORKERS: usize = 4;

/// Pods of the lab alone.
pub(super) fn churn() -> Result<Outcome> {
    let pods = number("TCPRESS_CHURN", PODS)?;
    play(pods.try_into()?, &[], "")?;
    Ok(Outcome::Pass)
}

/// At least 99.9 % of all refusals carry the right pod, none a wrong one, and the rest is counted as unknown, though most pods are gone
/// when the report is made: cgroup, namespace, process and log folder, and forgotten by their runtime. `others` are pods beside those
/// of the lab, and `options` what tcpress needs to know of them.
pub(crate) fn play(pods: usize, others: &[Batch<'_>], options: &str) -> Result<()> {
    let others_pods: usize = others.iter().map(|batch| batch.pods).sum();
    let all = pods + others_pods;
    // Nothing needs to go from one pod to the other, and a node has a network of its own.
    let network = Network::none();
    let runtime = Runtime::start(Path::new(SOCKET), Manner::Honest)?;
    let staying = Pod::new(&network, "storm", "stays")?;
    let reader = slow_reader(&staying)?;
    let report = tcpress::call(&format!(
        "report -o json --selfcheck --duration 6000s --top 100000 --cri-socket {SOCKET} {options}"
    ))
    .tracing()?;
    let watch = Watch::new(&staying)?;
    let storm = OF_THE_STAYING * u64::try_from(all)?;
    let client = flood::storm(&staying, 1, storm)?;
    let maker = LabPods::new(&runtime);
    let own = Batch {
        maker: &maker,
        pods,
    };
    let batches: Vec<Batch<'_>> = others.iter().copied().chain([own]).collect();
    let mut truths = churn::churn(&batches, WORKERS, SEGMENTS)?;
    client.done(SETTLE * 100)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    truths.push(Truth {
        identity: Identity {
            namespace: staying.namespace.clone(),
            name: staying.name.clone(),
            uid: staying.uid.clone(),
        },
        refusals: kernel.refusals(),
    });
    let report = report.report()?;
    drop((client, reader));
    let judgement = churn::judge(&report, &truths);
    eprintln!(
        "lab: {all} pods came and went, {others_pods} of them not the lab's own: {judgement:?}; asked {} times; {}; {}",
        runtime.calls("ListPodSandbox"),
        report.at("/attribution"),
        report.at("/losses"),
    );
    let mut checks = Checks::new();
    checks.that(judgement.total >= SEGMENTS * u64::try_from(all)?, || {
        format!("only {} segments were refused", judgement.total)
    });
    checks.equal("refusals told of somebody else", judgement.wrong, 0);
    checks.that(judgement.right * 1000 >= judgement.total * 999, || {
        format!(
            "{} of {} carry the right pod",
            judgement.right, judgement.total
        )
    });
    if !report.misses_openly(&mut checks) {
        let told = judgement.right + judgement.unknown;
        checks.equal(
            "refusals told of their pod or as unknown",
            told,
            judgement.total,
        );
    }
    let counted = ["/attribution/unknown_refusals", "/losses/unattributed"];
    let counted: u64 = counted.iter().filter_map(|at| report.at(at).as_u64()).sum();
    checks.equal("refusals counted as unknown", counted, judgement.unknown);
    checks.that(judgement.faults.is_empty(), || judgement.faults.join("; "));
    report.check_rows(&mut checks, "the staying pod", &staying.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()
}
