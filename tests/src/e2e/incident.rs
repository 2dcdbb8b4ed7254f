//! The incident: a pod that never closes what its clients have closed fills the node's TCP memory. Redis and its client, who have
//! nothing to do with it, suffer, and recover when that pod is stopped.

use std::time::Duration;

use anyhow::{Context, Result};

use super::leaks::{End, Leak, WHOLE, leaky, look};
use super::node::{Node, Work};
use super::pod::Spec;
use super::scenario::Played;
use super::truth::{Counted, Truth};
use crate::check::Checks;
use crate::recipe::tcp_mem::TcpMem;

/// How long Redis's client is watched before, during and after.
pub(super) const PHASE: Duration = Duration::from_secs(10);
/// How many times fewer requests are answered at least.
const FEWER: u64 = 5;

/// Timeouts that TCP itself counted at both ends of Redis's connections.
pub(super) fn retransmission_timeouts(ends: [&dyn Counted; 2]) -> Result<u64> {
    let [server, client] = ends.map(|pod| pod.counters()?.get("TCPTimeouts"));
    Ok(server? + client?)
}

pub(super) fn incident(node: &Node) -> Result<Played> {
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    let healthy = node.work(PHASE)?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(0, leaky.endpoint(8080), WHOLE, End::Close)?;
    let (mut suffering, mut timeouts) = (Work::default(), 0);
    let (report, victims) = look(node, &[&leaky], || {
        leak.go_on()?;
        let ends: [&dyn Counted; 2] = [&node.redis, &node.frontend];
        let before = retransmission_timeouts(ends)?;
        suffering = node.work(PHASE)?;
        timeouts = retransmission_timeouts(ends)? - before;
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(leaky.full_name());

    leaky
        .remove()
        .context("the leaking pod cannot be stopped")?;
    // Requests that are under way run into their time limit first.
    std::thread::sleep(Duration::from_secs(2));
    let recovered = node.work(PHASE)?;
    Ok(Played {
        truth,
        report,
        faults: suffered_and_recovered(healthy, suffering, timeouts, recovered),
    })
}

/// Redis suffers, and recovers without anything done to it.
pub(super) fn suffered_and_recovered(
    healthy: Work,
    suffering: Work,
    timeouts: u64,
    recovered: Work,
) -> Checks {
    eprintln!(
        "lab: requests of {} s: before {healthy:?}, during {suffering:?} and {timeouts} timeouts of TCP, after {recovered:?}",
        PHASE.as_secs()
    );
    let mut checks = Checks::new();
    let enough =
        |before: Work, after: Work| before.answers > 0 && before.answers >= FEWER * after.answers;
    checks.that(enough(healthy, suffering), || {
        format!("Redis's client does not suffer: {healthy:?}, then {suffering:?}")
    });
    checks.above_zero(
        "requests that ran into their time limit",
        suffering.timeouts,
    );
    checks.above_zero("TCPTimeouts of Redis and its client", timeouts);
    checks.that(enough(recovered, suffering), || {
        format!("Redis's client does not recover: {suffering:?}, then {recovered:?}")
    });
    // On a busy machine some do without any leak.
    checks.that(recovered.timeouts <= healthy.timeouts, || {
        format!("requests still run into their time limit: {recovered:?}, before {healthy:?}")
    });
    checks
}
