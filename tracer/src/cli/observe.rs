//! One window from beginning to end: what every command that ends by itself shares.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::{Interval, MissedTickBehavior};

use super::{Bounds, Paths, stop};
use crate::{
    attribute::{Attributor, Live, Sources},
    context::Observer,
    holders::{Detail, Progress},
    indicators::{memory, reserve},
    kernel::{Plan, plan},
    output::{size, table},
    report::{Node, inputs::MAX_OWNERS},
    session::{BETWEEN_LOOKS, Observation, Survey, Watch, node, observer, settings, survey},
};

/// What is watched, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Watching {
    /// How long to watch, such as 500ms, 10s or 2m, counted from when tracing has begun; 0 is a snapshot
    /// of who holds the memory now. Without it 10s, and 5s where an agent of this node counts already.
    #[arg(short, long, value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,
    /// Trace nothing: answer from the kernel's counters, sock_diag and /proc.
    #[arg(long)]
    pub(super) no_bpf: bool,
    /// Compare every call with the kernel's own counters around it, and say how many disagree; it costs
    /// time on every call.
    #[arg(long)]
    selfcheck: bool,
    #[command(flatten)]
    bounds: Bounds,
}

/// How long, where nobody says it.
const DURATION: Duration = Duration::from_secs(10);
/// And where an agent counts already: whoever asks on a node in trouble has the whole answer within ten seconds.
const DURATION_OF_AGENT: Duration = Duration::from_secs(5);

impl Watching {
    /// How long to watch.
    pub(super) fn duration(&self) -> Duration {
        self.duration.unwrap_or(DURATION)
    }

    /// How long to let an agent watch.
    pub(super) fn duration_of_agent(&self) -> Duration {
        self.duration.unwrap_or(DURATION_OF_AGENT)
    }

    /// Whether nothing is asked for that an agent which counts already would have to be asked for before.
    pub(super) fn is_usual(&self) -> bool {
        !self.no_bpf && !self.selfcheck && self.bounds == Bounds::default()
    }

    /// Attaches as many probes as this kernel takes, and says so; else why not.
    pub(super) fn open(&self, paths: &Paths, sources: &Sources) -> Result<Watch, String> {
        if self.no_bpf {
            return Err("not asked to trace (--no-bpf)".to_owned());
        }
        let watch = open_watch(paths, &self.bounds, sources, self.selfcheck);
        match &watch {
            Ok(watch) => super::say(&format!("tracing: {} probes", watch.probes())),
            Err(why) => super::say(&format!("not tracing: {why}; answering from counters")),
        }
        watch
    }
}

/// How a window ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Time,
    /// Somebody asked us to stop.
    Stop,
}

/// What is read before anything is watched.
pub(super) struct Begun {
    pub(super) sources: Sources,
    pub(super) live: Live,
    pub(super) attributor: Attributor,
    pub(super) start: Survey,
    pub(super) node: Node,
}

/// Reads it: names, counters and sockets, on a node with up to so many of them each by itself.
pub(super) fn begin(
    paths: &Paths,
    singly_up_to: u64,
    progress: &Progress<'_>,
) -> anyhow::Result<Begun> {
    let sources = paths.sources()?;
    let mut live = Live::start(&sources);
    let mut attributor = sources.read();
    let tells = |cgroup| attributor.cgroup_tells(cgroup);
    let detail = Detail::for_sockets(memory::read(&sources.proc).alloc, singly_up_to, &tells);
    let begun = Instant::now();
    let mut start = survey(&sources.proc, detail, progress);
    live.look_at(&mut attributor, &start.namespaces, true);
    live.settle(&mut attributor);
    start.memcgs = sources.memory_events(&attributor);
    start.memory.reserve_pages = reserve::pages(&sources.proc, &paths.btf, start.memory.page_size);
    super::detail(&format!(
        "read at the start: {} network namespaces, {} sockets, in {}",
        start.namespaces.len(),
        start.scan.total().sockets,
        elapsed(begun),
    ));
    let mut node = node(&sources.proc, start.memory.page_size);
    node.labels.extend(paths.node_label.iter().cloned());
    Ok(Begun {
        node,
        sources,
        live,
        attributor,
        start,
    })
}

impl Begun {
    /// What it tells, before any program is loaded. Processes that are found for it are known from then on.
    pub(super) fn snapshot(&mut self, why: &str) -> Observation {
        let snapshot = Observation::untraced(
            Plan::impossible(why.to_owned()),
            &self.sources,
            std::mem::take(&mut self.attributor),
            self.start.clone(),
            self.start.clone(),
        );
        self.attributor = Attributor::clone(&snapshot.attributor);
        snapshot
    }
}

/// One window from beginning to end, and the node that it was seen on.
pub(super) async fn window(
    paths: &Paths,
    args: &Watching,
) -> anyhow::Result<(Observation, Node, End)> {
    // After a snapshot nothing comes to compare single sockets with.
    let singly_up_to = if args.duration().is_zero() {
        0
    } else {
        u64::MAX
    };
    let mut begun = begin(paths, singly_up_to, &Progress::new(&super::say))?;
    if args.duration().is_zero() {
        let observer = observer(&begun.sources, &begun.attributor, &begun.start.scan);
        let mut snapshot = begun.snapshot("a snapshot traces nothing");
        snapshot.explain(observer);
        return Ok((snapshot, begun.node, End::Time));
    }
    // The first answer.
    let provisional = begun
        .snapshot("not traced yet")
        .report(&begun.node, MAX_OWNERS);
    super::say(&format!("provisional: {}", table::one_line(&provisional)));
    let node = begun.node.clone();
    let (observation, end) = observe(paths, args, begun).await?;
    Ok((observation, node, end))
}

async fn observe(
    paths: &Paths,
    args: &Watching,
    begun: Begun,
) -> anyhow::Result<(Observation, End)> {
    let Begun {
        sources,
        mut live,
        mut attributor,
        start,
        ..
    } = begun;
    let watch = args.open(paths, &sources);
    let mut observer = observer(&sources, &attributor, &start.scan);
    let (mut observation, ended) = match watch {
        Ok(mut watch) => {
            watch.attributor = Arc::new(attributor);
            watch.live = Some(live);
            let ended = collect(&mut watch, &mut observer, args.duration()).await?;
            let observation = watch.close(start, &Progress::new(&super::say))?;
            (observation, ended)
        }
        Err(why) => {
            let ended = wait(&mut observer, args.duration()).await;
            let end = survey(&sources.proc, Detail::Each, &Progress::new(&super::say));
            sources.refresh(&mut attributor);
            live.look_at(&mut attributor, &end.namespaces, true);
            live.settle(&mut attributor);
            let plan = Plan::impossible(why);
            let observation = Observation::untraced(plan, &sources, attributor, start, end);
            (observation, ended)
        }
    };
    observation.explain(observer);
    Ok((observation, ended))
}

/// Lets a window pass in which nothing is traced.
async fn wait(observer: &mut Observer, duration: Duration) -> End {
    let end = tokio::time::sleep(duration);
    tokio::pin!(end);
    let stopped = stop();
    tokio::pin!(stopped);
    let mut looks = looks().await;
    loop {
        tokio::select! {
            () = &mut end => return End::Time,
            () = &mut stopped => return End::Stop,
            _ = looks.tick() => observer.look(&[]),
        }
    }
}

/// Ticks of looks within a window.
async fn looks() -> Interval {
    let mut looks = tokio::time::interval(BETWEEN_LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is due at once, and the baseline has just been taken.
    looks.tick().await;
    looks
}

/// A window with as many probes as this kernel takes; else why not.
pub(super) fn open_watch(
    paths: &Paths,
    bounds: &Bounds,
    sources: &Sources,
    selfcheck: bool,
) -> Result<Watch, String> {
    let facts = paths.facts();
    let plan = plan::plan(&facts, bounds.probe_flavour);
    if let Some(why) = plan.impossible {
        return Err(why);
    }
    let layout = facts.types?.resolved.layout;
    for (probe, why) in plan
        .probes
        .iter()
        .filter_map(|it| Some((it, it.missing.as_ref()?)))
    {
        super::detail(&format!("not attached: {}: {why}", probe.hook));
    }
    let begun = Instant::now();
    let settings = settings(facts.addresses, selfcheck);
    let watch = Watch::open(
        plan,
        &layout,
        &settings,
        &bounds.sizes(),
        &paths.btf,
        sources.clone(),
    )
    .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    super::detail(&format!("loaded and attached in {}", elapsed(begun)));
    Ok(watch)
}

/// Time since an instant, in words.
fn elapsed(since: Instant) -> String {
    size::nanos(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

async fn collect(
    watch: &mut Watch,
    observer: &mut Observer,
    duration: Duration,
) -> anyhow::Result<End> {
    let end = tokio::time::sleep(duration);
    tokio::pin!(end);
    let stopped = stop();
    tokio::pin!(stopped);
    let mut looks = looks().await;
    loop {
        tokio::select! {
            () = &mut end => return Ok(End::Time),
            () = &mut stopped => return Ok(End::Stop),
            _ = looks.tick() => {
                watch.look();
                watch.climb();
                observer.look(&watch.named());
            }
            events = watch.next() => {
                let events = events.context("cannot read evidence")?;
                watch.keep(events);
            }
        }
    }
}
