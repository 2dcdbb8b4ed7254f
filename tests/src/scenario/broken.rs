//! Probes broken on purpose, behind the back of the plan: a wrong count must not look right. Each break shows in a residual that is
//! not 0 or in the self-check, and the report says in words that its counts are not exact.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use tracer::{
    attribute::Sources,
    holders::{Detail, Progress},
    kernel::{
        Facts, Plan, facts,
        plan::{self, ProbeFlavour},
    },
    probe::Sizes,
    report,
    session::{Watch as Window, node, settings, survey},
};
use tracer_common::Layout;

use super::Outcome;
use super::flood::{SETTLE, Watch};
use super::loads::{PATIENCE, abandoned, full_backlog, pruned_queues, unheard};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::Report;
use crate::snmp::Delta;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const SIZES: Sizes = Sizes {
    owners: 1024,
    namespaces: 64,
    sockets: 1024,
    calls: 512,
    ring_bytes: 1 << 20,
};

/// A plan and a layout as they are right for this kernel.
struct Right {
    facts: Facts,
    layout: Layout,
}

/// One window: what tcpress says of a pod, and what the kernel counted there.
struct Seen {
    what: &'static str,
    netns: String,
    report: Report,
    kernel: Delta,
}

impl Right {
    fn gather() -> Result<Self> {
        let facts = facts::gather("/proc".as_ref(), BTF.as_ref());
        let types = facts.types.as_ref().map_err(|why| anyhow!("{why}"))?;
        let layout = types.resolved.layout;
        Ok(Self { facts, layout })
    }

    /// Opens a window after `change`, makes the load on a new pod, and gives the report with what the kernel counted of it.
    fn with(
        &self,
        network: &Network,
        what: &'static str,
        load: impl FnOnce(&Pod) -> Result<()>,
        change: impl FnOnce(&mut Plan, &mut Layout),
    ) -> Result<Seen> {
        let mut plan = plan::plan(&self.facts, ProbeFlavour::Fentry);
        let mut layout = self.layout;
        change(&mut plan, &mut layout);
        // The window waits for evidence in a reactor.
        let reactor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _entered = reactor.enter();
        let sources = Sources::default();
        let start = survey(&sources.proc, Detail::Each, &Progress::quiet());
        let node = node(&sources.proc, start.memory.page_size);
        let settings = settings(self.facts.addresses, true);
        let btf = BTF.as_ref();
        let mut window = Window::open(plan, &layout, &settings, &SIZES, btf, sources.clone())
            .context("the broken plan does not load")?;
        window.attributor = Arc::new(sources.read());
        let pod = Pod::new(network, "shop", "slow")?;
        let watch = Watch::new(&pod)?;
        load(&pod)?;
        let kernel = watch.grown()?;
        let report: report::Report = window
            .close(start, &Progress::quiet())?
            .report(&node, report::inputs::MAX_OWNERS);
        Ok(Seen {
            what,
            netns: pod.netns()?,
            report: Report::new(serde_json::to_value(report)?)?,
            kernel,
        })
    }
}

impl Seen {
    /// The kernel must have counted something of each counter.
    fn moved(&self, checks: &mut Checks, counters: &[&str]) {
        for counter in counters {
            let what = format!("{}: the kernel's {counter}", self.what);
            checks.above_zero(&what, self.kernel.get(counter));
        }
    }

    /// Each counter moved, its row must be off, and the summary must say so.
    fn exposed(&self, checks: &mut Checks, counters: &[&str]) {
        self.moved(checks, counters);
        for counter in counters {
            let row = self.report.row(&self.netns, counter);
            let residual = row.and_then(|row| row["residual"].as_i64());
            checks.that(residual.is_some_and(|residual| residual != 0), || {
                format!("{}: {counter} is wrong, yet its row is {row:?}", self.what)
            });
        }
        let summary = self.report.summary();
        checks.that(summary.contains("not exact"), || {
            format!("{}: the summary does not say so: {summary}", self.what)
        });
    }

    /// The kernel's `counter` moved; then its row must be off. Not every kernel can be made to move it.
    fn exposed_if_moved(&self, checks: &mut Checks, counter: &str) {
        if self.kernel.get(counter) > 0 {
            self.exposed(checks, &[counter]);
        }
    }

    fn right(&self, checks: &mut Checks) {
        self.report
            .check_rows(checks, self.what, &self.netns, &self.kernel);
    }
}

/// Takes the programs of some hooks away, while the plan goes on to promise their counters.
fn detach(plan: &mut Plan, hooks: &[&str]) {
    for probe in &mut plan.probes {
        if hooks.contains(&probe.hook.as_str()) {
            probe.programs.clear();
        }
    }
}

/// Moves what the receive buffer refuses, and whatever is beside it without the node's memory being short.
fn buffers(pod: &Pod) -> Result<()> {
    pruned_queues(pod)?;
    unheard(pod, 20)?;
    std::thread::sleep(SETTLE);
    Ok(())
}

/// Detached programs, wrong offsets, a lost copy.
pub(super) fn broken_probes() -> Result<Outcome> {
    const SEEN: [&str; 6] = [
        "TCPOFODrop",
        "TCPRcvQDrop",
        "PruneCalled",
        "OfoPruned",
        "TCPRcvCollapsed",
        "ListenDrops",
    ];
    let right = Right::gather()?;
    let network = Network::new()?;
    let mut checks = Checks::new();

    let seen = right.with(&network, "unbroken", buffers, |_, _| {})?;
    seen.moved(&mut checks, &SEEN);
    seen.right(&mut checks);
    seen.report.check_at_rest(&mut checks);

    let hooks = [
        "tcp_data_queue",
        "kfree_skb",
        "tcp_collapse_one",
        "tcp_prune_ofo_queue",
        "tcp_v4_conn_request",
    ];
    let seen = right.with(&network, "detached", buffers, |plan, _| {
        detach(plan, &hooks);
    })?;
    let counters = ["TCPRcvQDrop", "TCPRcvCollapsed", "OfoPruned", "ListenDrops"];
    seen.exposed(&mut checks, &counters);
    seen.exposed_if_moved(&mut checks, "TCPZeroWindowDrop");

    // Frames are opened at the entry here: without it, whatever the receive buffer refuses is not seen.
    let hook = ["tcp_try_rmem_schedule"];
    let seen = right.with(&network, "without admission", buffers, |plan, _| {
        detach(plan, &hook);
    })?;
    seen.exposed(&mut checks, &["TCPOFODrop", "PruneCalled", "RcvPruned"]);

    let hooks = ["tcp_add_backlog", "tcp_send_rcvq"];
    let seen = right.with(
        &network,
        "without backlog and repair",
        |pod| {
            full_backlog(pod)?;
            pod.recipe("repair --refusals 7")?.done(PATIENCE)?;
            Ok(())
        },
        |plan, _| detach(plan, &hooks),
    )?;
    seen.exposed(&mut checks, &["TCPBacklogDrop", "TCPRcvQDrop"]);

    let hooks = ["tcp_check_oom", "tcp_enter_memory_pressure"];
    let seen = right.with(
        &network,
        "without memory",
        |pod| abandoned(pod, 5),
        |plan, _| detach(plan, &hooks),
    )?;
    seen.exposed(&mut checks, &["TCPAbortOnMemory"]);
    seen.exposed_if_moved(&mut checks, "TCPMemoryPressures");

    // Where one counter is taken for another, and sequence numbers are read beside the truth.
    let seen = right.with(&network, "wrong offsets", buffers, |_, layout| {
        layout.tcp_rcv_nxt = layout.tcp_copied_seq.wrapping_add(64);
        layout.mib_listen_drops += 1;
        layout.mib_prune_called += 3;
    })?;
    seen.exposed(&mut checks, &["TCPOFODrop", "ListenDrops"]);
    let wrong = seen.report.at("/selfcheck/disagreements/PruneCalled");
    checks.above_zero(
        "wrong offsets: disagreements of the self-check",
        wrong.as_u64().unwrap_or(0),
    );

    // With one copy of each program, whatever it missed may be missing, and it is said how much that can be.
    let seen = right.with(&network, "single copies", buffers, |plan, _| {
        for probe in &mut plan.probes {
            probe.programs.truncate(1);
        }
    })?;
    seen.moved(&mut checks, &SEEN);
    if seen.report.at("/losses/possible_misses") == 0 {
        seen.right(&mut checks);
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}
