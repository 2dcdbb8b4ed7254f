//! Windows in a row through the library, as a long run takes them: probes stay attached, and every count is in one window.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tracer::attribute::{Live, Sources};
use tracer::holders::{Detail, Progress};
use tracer::kernel::{
    facts,
    plan::{self, ProbeFlavour},
};
use tracer::probe::{Sizes, default_budget, possible_cpus};
use tracer::report::Report;
use tracer::session::{self, Watch, Windows};

use super::Outcome;
use super::flood::{self, SETTLE, Watch as Counted, flood, slow_reader};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;

/// Segments that are refused while windows turn.
const STORM: u64 = 60_000;
const CONNECTIONS: u64 = 4;
/// Length of a window.
const WINDOW: Duration = Duration::from_millis(400);

/// Sums over windows, by network namespace and counter: the kernel's and ours.
#[derive(Default)]
struct Sums {
    rows: BTreeMap<(String, String), (u64, u64)>,
    refusals: BTreeMap<String, u64>,
    /// Windows in which something was refused.
    busy: u64,
    windows: u64,
    faults: Vec<String>,
}

impl Sums {
    fn add(&mut self, report: &Report) {
        self.windows += 1;
        for row in &report.reconciliation {
            let key = (row.netns.clone(), row.counter.clone());
            let sum = self.rows.entry(key).or_default();
            sum.0 += row.kernel.unwrap_or(0);
            sum.1 += row.attributed.unwrap_or(0);
            let residual = row.residual.map(i64::unsigned_abs);
            if residual > row.bound {
                self.faults
                    .push(format!("off by more than its bound: {row:?}"));
            }
        }
        let mut refused = 0;
        for victim in &report.victims {
            refused += victim.refused();
            *self.refusals.entry(victim.owner.name.clone()).or_default() += victim.refused();
        }
        self.busy += u64::from(refused > 0);
    }

    fn of(&self, netns: &str, counter: &str) -> (u64, u64) {
        let key = (netns.to_owned(), counter.to_owned());
        self.rows.get(&key).copied().unwrap_or_default()
    }
}

/// A storm that lasts over many windows, and a pod that is born, suffers, and dies within them. The sum of the windows is what the
/// kernel counted.
pub(super) fn windows_in_a_row() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut windows = runtime.block_on(async { begin() })?;
    let watch = Counted::new(&slow)?;
    let client = flood::storm(&slow, CONNECTIONS, STORM)?;
    let ended = AtomicBool::new(false);
    let mut sums = Sums::default();
    let mut turn = |windows: &mut Windows| -> Result<()> {
        runtime.block_on(windows.wait(Instant::now() + WINDOW))?;
        let node = session::node("/proc".as_ref(), 4096);
        let observation = windows.turn()?;
        sums.add(&observation.report(&node, 100));
        Ok(())
    };
    let born = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let born = Pod::new(&network, "storm", "born")?;
            let _reader = slow_reader(&born)?;
            let _client = flood(&born, 2, "repeat:25x1 retry:1x1")?;
            let seen = (born.netns()?, born.counters()?);
            client.done(Duration::from_secs(300))?;
            std::thread::sleep(SETTLE);
            ended.store(true, Ordering::Relaxed);
            Ok::<_, anyhow::Error>((born, seen))
        });
        while !others.is_finished() {
            turn(&mut windows)?;
        }
        let joined = others.join().map_err(|_| anyhow!("a thread panicked"))?;
        turn(&mut windows)?;
        joined
    });
    let (born, (born_netns, of_born)) = born.context("the storm")?;
    let kernel = watch.grown()?;
    eprintln!(
        "lab: {} refusals in {} windows, {} of them with some",
        kernel.refusals(),
        sums.windows,
        sums.busy
    );
    let mut checks = Checks::new();
    checks.that(kernel.refusals() >= STORM, || {
        format!("the kernel refused {} of {STORM}", kernel.refusals())
    });
    checks.that(sums.busy >= 4, || {
        format!("the storm was in {} windows only", sums.busy)
    });
    let netns = slow.netns()?;
    for (counter, growth) in kernel.iter() {
        checks.equal(
            &format!("{counter} of {}", slow.full_name()),
            sums.of(&netns, counter),
            (growth, growth),
        );
    }
    for counter in ["TCPOFODrop", "TCPRcvQDrop", "PruneCalled"] {
        let count = of_born.get(counter)?;
        checks.above_zero(&format!("{counter} of the newborn"), count);
        checks.equal(
            &format!("{counter} of {}", born.full_name()),
            sums.of(&born_netns, counter),
            (count, count),
        );
    }
    let refused = |pod: &Pod| sums.refusals.get(&pod.full_name()).copied();
    checks.equal(
        "refusals of the slow one",
        refused(&slow),
        Some(kernel.refusals()),
    );
    let of_born = of_born.get("TCPOFODrop")? + of_born.get("TCPRcvQDrop")?;
    checks.equal("refusals of the newborn", refused(&born), Some(of_born));
    checks.equal("faults", sums.faults.len(), 0);
    checks.that(sums.faults.is_empty(), || sums.faults.join("; "));
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Opens the first window.
fn begin() -> Result<Windows> {
    let sources = Sources::default();
    let live = Live::start(&sources);
    let attributor = sources.read();
    let start = session::survey(&sources.proc, Detail::Each, &Progress::quiet());
    let btf = "/sys/kernel/btf/vmlinux".as_ref();
    let facts = facts::gather(&sources.proc, btf);
    let plan = plan::plan(&facts, ProbeFlavour::default());
    let layout = facts.types.map_err(|why| anyhow!(why))?.resolved.layout;
    let cpus = possible_cpus();
    let watch = Watch::open(
        plan,
        &layout,
        &session::settings(facts.addresses, false),
        &Sizes::within(default_budget(cpus), cpus),
        btf,
        sources.clone(),
    )?;
    Ok(Windows::begin(Ok(watch), &sources, attributor, live, start))
}
