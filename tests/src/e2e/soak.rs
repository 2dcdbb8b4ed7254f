//! The agent for a long time: pods and sockets that come and go, refusals now and then, a scrape each few seconds, and a container runtime
//! that is killed again and again. It takes no more at the end than at the beginning, and has counted what the kernel counted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::churn::{RealPods, slow};
use super::node::{Node, outside};
use super::pod::Pod as RealPod;
use super::runtime::SOCKET;
use super::truth::Counted;
use crate::agent::{Agent, Page, Seen};
use crate::check::Checks;
use crate::churn::{self, Batch, LabPods, Maker, Sufferer, Truth};
use crate::cri::{Manner, Runtime};
use crate::netns::Recipe;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::flood::{SERVER, SETTLE, slow_reader};
use crate::scenario::number;
use crate::snmp::Counters;

/// Seconds of load; `TCPRESS_SOAK` asks for another number.
const LOAD: u64 = 1200;
/// Pods that stay, containerd's among them: three of the node, and two more. `TCPRESS_AGENT_PODS` asks for another number.
const PODS: u64 = 200;
const REAL: usize = 5;
/// Where the lab's own runtime listens, which tells of the lab's pods.
const LAB_SOCKET: &str = "/run/lab/cri.sock";
/// Between two scrapes.
const SCRAPES: Duration = Duration::from_secs(3);
/// Seconds between two bursts of refusals at a pod that stays, and segments of one.
const BURSTS: u64 = 10;
const BURST: u64 = 20;
/// Pods of the lab that come and go in one go, and refusals of each.
const GOING: usize = 4;
const SEGMENTS: u64 = 30;
/// Refusals of a pod of containerd that comes and goes: an incident.
const STORM: u64 = 800;
/// From one kill of containerd to the next, and how long it is gone.
const KILLS: Duration = Duration::from_secs(90);
const GONE: Duration = Duration::from_secs(10);
/// How long the agent may take for what it does by itself: entries of the dead are kept for ten minutes.
const AT_REST: Duration = Duration::from_secs(840);
/// Thousandths of a processor that Redis's client gets meanwhile, and afterwards.
const WORK: i64 = 30;
const WHOLE: i64 = 1000;
/// Between two connections to the worker, and between two goes of pods.
const CONNECTIONS: Duration = Duration::from_millis(100);
const GOES: Duration = Duration::from_secs(2);
/// For a burst, a scrape, a window.
const SOON: Duration = Duration::from_secs(120);
/// What of the load's memory is not looked at: listings, names and seconds of the recorder are new then.
const WARMING: f64 = 60.0;
/// Most that the median of resident memory may rise from the first third to the last, as a part.
const RISE: f64 = 0.03;

/// Everything at once, then rest.
pub(super) fn agent_soak(node: &Node) -> Result<()> {
    let load = number("TCPRESS_SOAK", LOAD)?;
    let pods = usize::try_from(number("TCPRESS_AGENT_PODS", PODS)?)?;
    // It would take all of a slow machine for itself.
    node.limit_work(WORK)?;
    let lab = Runtime::start(Path::new(LAB_SOCKET), Manner::Honest)?;
    let network = Network::none();
    let begun = Instant::now();
    let real = (0..REAL - node.residents().len())
        .map(|number| slow(&node.runtime, &format!("soak/real-{number}")))
        .collect::<Result<Vec<_>>>()?;
    let own = (0..pods.saturating_sub(REAL).max(2))
        .map(|number| {
            let pod = Pod::new(&network, "soak", &format!("stays-{number}"))?;
            let reader = slow_reader(&pod)?;
            Ok((pod, reader))
        })
        .collect::<Result<Vec<(Pod, Recipe)>>>()?;
    eprintln!("lab: {pods} pods after {} s", begun.elapsed().as_secs());

    let folder = PathBuf::from("/tmp/lab-agent-soak");
    let agent = Agent::start_with(
        &folder,
        &format!("--cri-socket {SOCKET} --cri-socket {LAB_SOCKET}"),
        &[
            "scan.interval=20s",
            "scan.interval_under_pressure=10s",
            "metrics.owner_grace=1m",
            "recorder.minutes=1",
            "trigger.before=30s",
            "trigger.refusals_per_second=150",
            "trigger.hold=0s",
            "trigger.recover=20s",
            "trigger.cool_down=20s",
        ],
    )?;
    // Each that stays has counted once before anything is compared.
    let sufferers = [&own[0].0, &own[1].0];
    let mut staying = Staying::new(&sufferers, &real)?;
    staying.suffer(load)?;
    agent.page_with("refusals of all that stay", SOON, |page| {
        staying.refused().is_ok_and(|all| {
            all.iter()
                .all(|(names, count)| of_pod(page, names) == *count)
        })
    })?;
    // Entries of maps are told at the end of a window.
    let counted = Instant::now();
    let base = agent.page_with("a window after that", SOON, |page| {
        let age = page.sum("tcpress_scan_age_seconds", &[]);
        entries(page, "TALLIES") > 0.0 && age < counted.elapsed().as_secs_f64()
    })?;
    let run = Run {
        agent: &agent,
        node,
        lab: &lab,
        worker: node.worker.endpoint(7001),
        stop: AtomicBool::new(false),
        connections: AtomicU64::new(0),
        number: AtomicUsize::new(0),
        truths: Mutex::default(),
    };
    let open = descriptors(&agent);
    let mut seen = Seen::new(&base);
    let begun = Instant::now();
    let kills = run.load(&mut seen, Duration::from_secs(load), &mut staying)?;
    let loaded = begun.elapsed().as_secs_f64();

    let mut checks = Checks::new();
    let truths = run
        .truths
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let last = rest(&agent, &mut seen, &base, &staying, &mut checks)?;
    let left = descriptors(&agent);
    eprintln!("lab: descriptors before {open:?}, after {left:?}");
    check_counts(&mut checks, &seen, &last, &staying, &truths)?;
    let early = seen.median(WARMING, loaded / 3.0, RESIDENT);
    let late = seen.median(loaded * 2.0 / 3.0, loaded, RESIDENT);
    let least = |page: &Page, name: &str| page.sum(name, &[]);
    println!(
        "lab: {pods} pods, {loaded:.0} s of load: {} pods came and went, {} connections, {kills} kills of containerd, {} refusals, {} incidents, {} pages; \
         resident {:.2} MiB in the first third, {:.2} MiB in the last ({:+.1} %), {:.2} MiB at most; descriptors {} before, {} after; \
         entries of TALLIES {} and of SOCKETS {} before, {} and {} after; {} series before, {} after",
        truths.len(),
        run.connections.load(Ordering::Relaxed),
        seen.sum("tcpress_refusals_total", &[]),
        least(&last, "tcpress_incidents_total"),
        seen.pages(),
        early / MIB,
        late / MIB,
        (late / early - 1.0) * 100.0,
        seen.most(RESIDENT) / MIB,
        least(&base, FILES),
        least(&last, FILES),
        entries(&base, "TALLIES"),
        entries(&base, "SOCKETS"),
        entries(&last, "TALLIES"),
        entries(&last, "SOCKETS"),
        least(&base, SERIES),
        least(&last, SERIES),
    );
    checks.that(late <= early * (1.0 + RISE), || {
        format!("resident memory rose from {early} to {late} bytes")
    });
    checks.equal("counters that fell", seen.fallen(), &[] as &[String]);
    let asked = Instant::now();
    agent.signal(libc::SIGTERM)?;
    let ended = agent.said(SOON, |line| line.contains("tcpress: ended"));
    eprintln!("lab: the agent ended within {:?}", asked.elapsed());
    checks.succeeds("the end of the agent", ended);
    checks.succeeds("its status", agent.stop());
    drop((own, real, lab));
    node.limit_work(WHOLE)?;
    checks.finish()
}

const MIB: f64 = (1 << 20) as f64;
const RESIDENT: &str = "tcpress_agent_resident_bytes";
const FILES: &str = "tcpress_agent_open_files";
const SERIES: &str = "tcpress_series";

/// Open descriptors of the agent, by what they are.
fn descriptors(agent: &Agent) -> BTreeMap<String, usize> {
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

/// Namespace and name of a pod.
type Names = (String, String);

fn entries(page: &Page, map: &str) -> f64 {
    page.sum("tcpress_map_entries", &[("map", map)])
}

fn of_pod(page: &Page, (namespace, pod): &Names) -> u64 {
    let labels = [("namespace", namespace.as_str()), ("pod", pod)];
    page.sum("tcpress_refusals_total", &labels) as u64
}

/// Pods that stay and suffer now and then, each with its clients.
struct Staying<'a> {
    own: Vec<(&'a Pod, Counters)>,
    real: Vec<(&'a RealPod, Counters)>,
    clients: Vec<Recipe>,
}

impl<'a> Staying<'a> {
    fn new(own: &[&'a Pod], real: &'a [RealPod]) -> Result<Self> {
        let own = own.iter().map(|pod| Ok((*pod, pod.counters()?)));
        let real = real.iter().map(|pod| Ok((pod, pod.counters()?)));
        Ok(Self {
            own: own.collect::<Result<_>>()?,
            real: real.collect::<Result<_>>()?,
            clients: Vec::new(),
        })
    }

    /// Begins bursts of refusals that go on for so many seconds, and waits for the first.
    fn suffer(&mut self, seconds: u64) -> Result<()> {
        let bursts = format!(" --do repeat:{BURST}x1 --do pause:{}", BURSTS * 1000);
        let steps = format!(
            "--do in-order:20x1000 --do await{}",
            bursts.repeat((seconds / BURSTS).max(1) as usize)
        );
        for (pod, _) in &self.own {
            let client = pod.outside(&format!("tun --to {SERVER} {steps}"))?;
            self.clients.push(client);
        }
        for (number, (pod, _)) in self.real.iter().enumerate() {
            self.clients
                .push(outside(50 + number, pod.endpoint(7000), &steps)?);
        }
        for client in &self.clients {
            client.step("repeat", SOON)?;
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// Waits until no more come.
    fn done(&self) -> Result<()> {
        for client in &self.clients {
            client.done(SOON).context("the bursts do not end")?;
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// What the kernel has refused of each.
    fn refused(&self) -> Result<Vec<(Names, u64)>> {
        let name = |(namespace, pod): (&str, &str)| (namespace.to_owned(), pod.to_owned());
        let own = self.own.iter().map(|(pod, before)| {
            Ok((name(pod.names()), pod.counters()?.since(before)?.refusals()))
        });
        let real = self.real.iter().map(|(pod, before)| {
            Ok((name(pod.names()), pod.counters()?.since(before)?.refusals()))
        });
        own.chain(real).collect()
    }
}

/// What runs at the same time.
struct Run<'a> {
    agent: &'a Agent,
    node: &'a Node,
    lab: &'a Runtime,
    worker: SocketAddrV4,
    stop: AtomicBool,
    connections: AtomicU64,
    /// The number of the next pod that comes and goes.
    number: AtomicUsize,
    truths: Mutex<Vec<Truth>>,
}

impl Run<'_> {
    /// All of it for a time; how often containerd was killed.
    fn load(&self, seen: &mut Seen, time: Duration, staying: &mut Staying<'_>) -> Result<u32> {
        let worker = self.worker;
        let (agent, lab) = (self.agent, self.lab);
        let (stop, connections) = (&self.stop, &self.connections);
        let (number, truths) = (&self.number, &self.truths);
        std::thread::scope(|scope| {
            let scraped = scope.spawn(move || scrape(agent, seen, stop));
            let connected = scope.spawn(move || connect(worker, connections, stop));
            let churned = scope.spawn(move || come_and_go(lab, number, truths, stop));
            let killed = self.kill(time);
            stop.store(true, Ordering::Relaxed);
            for thread in [scraped, connected, churned] {
                let ended = thread.join();
                ended.map_err(|_| anyhow!("a part of the load panicked"))??;
            }
            staying.done()?;
            killed
        })
    }

    /// Kills containerd and starts it again, and between two kills has pods of it come and go.
    fn kill(&self, time: Duration) -> Result<u32> {
        let end = Instant::now() + time;
        let mut kills = 0;
        while Instant::now() < end {
            let next = (Instant::now() + KILLS).min(end);
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let truth = churn::live(&RealPods, number, STORM)?;
            self.truths
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(truth);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            self.node.runtime.kill()?;
            std::thread::sleep(GONE);
            self.node.runtime.start_again()?;
            kills += 1;
            tell(&self.agent.page()?);
        }
        Ok(kills)
    }
}

/// Reads page after page.
fn scrape(agent: &Agent, seen: &mut Seen, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SCRAPES);
        seen.take(&agent.page()?);
    }
    Ok(())
}

/// Connections to a pod, one after the other: a request, its answer, the end.
fn connect(to: SocketAddrV4, connections: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let mut answer = vec![0; 32_768];
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(to).context("the worker does not listen")?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(&[b'q'; 64])?;
        stream.read_exact(&mut answer)?;
        connections.fetch_add(1, Ordering::Relaxed);
        drop(stream);
        std::thread::sleep(CONNECTIONS);
    }
    Ok(())
}

/// Pods of the lab that come, suffer and go.
fn come_and_go(
    lab: &Runtime,
    number: &AtomicUsize,
    truths: &Mutex<Vec<Truth>>,
    stop: &AtomicBool,
) -> Result<()> {
    let pods = LabPods::new(lab);
    let maker = Numbered {
        maker: &pods,
        number,
    };
    while !stop.load(Ordering::Relaxed) {
        let batch = Batch {
            maker: &maker,
            pods: GOING,
        };
        let gone = churn::churn(&[batch], 2, SEGMENTS)?;
        truths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(gone);
        std::thread::sleep(GOES);
    }
    Ok(())
}

/// Whoever makes pods, each with another number than all before.
struct Numbered<'a> {
    maker: &'a LabPods<'a>,
    number: &'a AtomicUsize,
}

impl Maker for Numbered<'_> {
    fn make(&self, _: usize) -> Result<Box<dyn Sufferer>> {
        self.maker.make(self.number.fetch_add(1, Ordering::Relaxed))
    }
}

/// Waits until what is gone has left nothing: no series, no entry of a map, no descriptor. Returns the page that shows it.
fn rest(
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
        let [tallies, sockets] =
            ["TALLIES", "SOCKETS"].map(|map| entries(&page, map) <= entries(base, map));
        let files = page.sum(FILES, &[]) <= base.sum(FILES, &[]);
        let strange = page.pods_beyond(base);
        if counted && tallies && sockets && files && strange.is_empty() {
            return Ok(page);
        }
        if Instant::now() > end {
            checks.that(counted, || "not all that stay were counted".to_owned());
            checks.that(tallies && sockets, || "entries of maps are left".to_owned());
            checks.that(files, || "descriptors are left".to_owned());
            checks.equal("series of the gone", strange, Vec::new());
            return Ok(page);
        }
        if round.is_multiple_of(20) {
            tell(&page);
        }
        round += 1;
        std::thread::sleep(SCRAPES);
    }
}

/// How the agent is at the moment.
fn tell(page: &Page) {
    eprintln!(
        "lab: {:.2} MiB resident, {} descriptors, {} entries of TALLIES and {} of SOCKETS, {} series, {} incidents",
        page.sum(RESIDENT, &[]) / MIB,
        page.sum(FILES, &[]),
        entries(page, "TALLIES"),
        entries(page, "SOCKETS"),
        page.sum(SERIES, &[]),
        page.sum("tcpress_incidents_total", &[]),
    );
}

/// Each pod's refusals are the kernel's, also those of the gone, whose series went after all of it was scraped.
fn check_counts(
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
        let amiss = series.filter(|(_, value)| *value != 0.0);
        amiss
            .map(|(series, value)| format!("{series} {value}"))
            .collect()
    };
    checks.equal("residuals", amiss("tcpress_residual"), Vec::new());
    checks.equal("losses", amiss("tcpress_lost_total"), Vec::new());
    Ok(())
}
