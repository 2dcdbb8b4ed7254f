//! What goes on at the same time: scrapes, connections, pods that come and go, and a container runtime that is killed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::rest::tell;
use super::staying::Staying;
use super::{SCRAPES, SOON};
use crate::agent::{Agent, Seen};
use crate::churn::{self, Batch, LabPods, Maker, Sufferer, Truth};
use crate::cri::Runtime;
use crate::e2e::churn::RealPods;
use crate::e2e::node::Node;

/// Pods of the lab that come and go in one go, and refusals of each.
const GOING: usize = 4;
const SEGMENTS: u64 = 30;
/// Refusals of a pod of containerd that comes and goes: an incident.
const STORM: u64 = 800;
/// From one kill of containerd to the next, and how long it is gone.
const KILLS: Duration = Duration::from_secs(90);
const GONE: Duration = Duration::from_secs(10);
/// Between two connections to the worker, and between two goes of pods.
const CONNECTIONS: Duration = Duration::from_millis(250);
const GOES: Duration = Duration::from_secs(5);

/// The agent's own memory as a gauge of each page: what is in memory and not read from a file.
pub(super) const OWN: &str = "RssAnon";

/// What runs at the same time.
pub(super) struct Run<'a> {
    agent: &'a Agent,
    node: &'a Node,
    lab: &'a Runtime,
    worker: SocketAddrV4,
    stop: AtomicBool,
    pub(super) connections: AtomicU64,
    /// The number of the next pod that comes and goes.
    number: AtomicUsize,
    pub(super) truths: Mutex<Vec<Truth>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(agent: &'a Agent, node: &'a Node, lab: &'a Runtime) -> Self {
        Self {
            agent,
            node,
            lab,
            worker: node.worker.endpoint(7001),
            stop: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            number: AtomicUsize::new(0),
            truths: Mutex::default(),
        }
    }

    /// All of it for a time; how often containerd was killed.
    pub(super) fn load(
        &self,
        seen: &mut Seen,
        time: Duration,
        staying: &mut Staying<'_>,
    ) -> Result<u32> {
        let worker = self.worker;
        let (agent, lab) = (self.agent, self.lab);
        let (stop, connections) = (&self.stop, &self.connections);
        let (number, truths) = (&self.number, &self.truths);
        std::thread::scope(|scope| {
            let scraped = scope.spawn(move || part(stop, scrape(agent, seen, stop)));
            let connected = scope.spawn(move || part(stop, connect(worker, connections, stop)));
            let churned = scope.spawn(move || part(stop, come_and_go(lab, number, truths, stop)));
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
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
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
            tell(self.agent, &self.agent.page()?);
        }
        Ok(kills)
    }
}

/// What has become of one part: where it failed the others need not go on.
fn part(stop: &AtomicBool, ended: Result<()>) -> Result<()> {
    if ended.is_err() {
        stop.store(true, Ordering::Relaxed);
    }
    ended
}

/// Reads page after page.
fn scrape(agent: &Agent, seen: &mut Seen, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SCRAPES);
        seen.take(&agent.page()?);
        seen.add(OWN, own_memory(agent)?);
    }
    Ok(())
}

/// Bytes of the agent's own memory.
pub(super) fn own_memory(agent: &Agent) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.context("no RssAnon in its status")?.parse()?;
    Ok(kib * 1024.0)
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
