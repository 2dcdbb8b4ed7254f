//! Trampolines and kprobes at the same time, over the same flood.

use anyhow::Result;

use super::Outcome;
use super::flood::{Watch, flood, slow_reader};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::tcpress;

/// Both count what the kernel counts, to the last refusal.
pub(super) fn flavours() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let trampolines = tcpress::report("")?;
    let kprobes = tcpress::report("--probe-flavour kprobe")?;
    let watch = Watch::new(&slow)?;
    let _client = flood(
        &slow,
        3,
        "repeat:30x100 ascending:40x1+1 descending:40x1+1 retry:10x100 in-order:5x500",
    )?;
    let kernel = watch.grown()?;
    let mut checks = Checks::new();
    checks.above_zero("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"));
    for report in [trampolines.report()?, kprobes.report()?] {
        report.check_refusals(&mut checks, &slow, &kernel);
        report.check_limit(&mut checks, &slow, "rcvbuf", kernel.refusals());
        report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
        report.check_at_rest(&mut checks);
        checks.equal(
            "calls that did not pair up",
            report.at("/losses/unpaired"),
            &0.into(),
        );
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}
