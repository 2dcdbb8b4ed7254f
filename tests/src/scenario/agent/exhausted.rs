//! The node's TCP memory is full, and stays so: what still leaves the node, and what is told afterwards.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::prometheus::Prometheus;
use super::{SOON, check_incident, check_recovered, folder, residuals};
use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::network::{NODE, Network};
use crate::pod::Pod;
use crate::recipe::tcp_mem::{SMALL, TcpMem};
use crate::report::{Report, is_pod};
use crate::scenario::flood::{SETTLE, Watch};
use crate::scenario::leak::Leak;
use crate::scenario::{Outcome, number};
use crate::snmp::{Counters, Delta};
use crate::sockstat::Usage;
use crate::tcpress;

/// Seconds for which the memory is full at least; `TCPRESS_AGENT_FULL` asks for others.
const FULL: u64 = 60;
/// From so many pages on it is: what kernels since 6.1 keep in reserve, 1 MiB for each of two CPUs, may be missing from what they say.
const FULL_PAGES: u64 = SMALL[2] - 512;
/// Within which the node must have an answer for whoever asks on it: its first words on a host of unknown speed; all of it where the memory is full for
/// `FULL_ON_DEMAND` at least, which is for a machine on which an instruction is a nanosecond (`--icount`).
const ANSWERED: Duration = Duration::from_secs(10);
const FULL_ON_DEMAND: Duration = Duration::from_secs(180);
/// How often it is asked, and how often at most until an answer is in time: an emulator that the host lets wait is no agent that is late.
const ASKED: u32 = 2;
const MOST_ASKED: u32 = 5;
/// Longest line of the log, with its break.
const LINE: usize = 1024;
/// Alerts that fire while it is full, whether or not scrapes get through to their end.
const ALERTS: [&str; 4] = [
    "TcpressIncidentOpen",
    "TcpressRefusedByTcpMem",
    "TcpressTcpMemNearlyFull",
    "TcpressTcpMemoryPressure",
];
/// What fires once the scrape is gone.
const LOST: &str = "TcpressScrapeLostAfterHighFill";

/// A leak takes all, well-behaved pods suffer, and Prometheus scrapes over the same memory. Meanwhile the node answers whoever asks on it, one line
/// is in the log, and alerts fire, that of a lost scrape as well: for that the wire to Prometheus is unplugged. When the leak has gone, nothing is missing:
/// neither in Prometheus nor in the recording.
pub(in crate::scenario) fn agent_exhausted() -> Result<Outcome> {
    let network = Network::new()?;
    if let Some(why) = Prometheus::lacking().or_else(|| network.lacking()) {
        return Ok(Outcome::Skip(why));
    }
    let full_for = Duration::from_secs(number("TCPRESS_AGENT_FULL", FULL)?);
    let pod = |namespace: &str, name: &str| Pod::new(&network, namespace, name);
    let (leaky, redis) = (pod("shop", "leaky")?, pod("cache", "redis-0")?);
    let (frontend, monitoring) = (pod("web", "frontend")?, pod("monitoring", "prometheus-0")?);
    let _limits = TcpMem::small()?;
    let leak = Leak::start(&leaky)?.with_newcomers(&leaky)?;
    let sizes = "--request 16384 --response 32768";
    let _server = redis.recipe(&format!("echo-server --listen 0.0.0.0:6379 {sizes}"))?;
    let folder = folder("lab-agent-exhausted")?;
    let agent = Agent::start(
        &folder,
        &[
            "http.listen=0.0.0.0:9943",
            "scan.interval=10s",
            // Below it before the leak goes on, although most is taken.
            "trigger.fill=0.95",
            "trigger.hold=1s",
            // Longer than a window: the last one then holds nothing of the time before.
            "trigger.recover=15s",
        ],
    )?;
    let target = format!("{NODE}:9943");
    let prometheus = Prometheus::start(&folder, &target, Some(&monitoring))?;
    let pods = [&leaky, &redis, &frontend];
    let watches = pods.map(Watch::new);
    let watches = watches.into_iter().collect::<Result<Vec<_>>>()?;
    // Who asks Prometheus in its network is no process of that pod: of the two networks through which scrapes go, sums are compared.
    let (scraper, node) = (Watch::new(&monitoring)?, Counters::here()?);
    let client = frontend.recipe(&format!(
        "echo-client --to {} --connections 6 --pause 80 {sizes}",
        redis.endpoint(6379)
    ))?;
    std::thread::sleep(Duration::from_secs(3));

    leak.go_on()?;
    let line = agent.said(SOON, |line| {
        line.contains("tcpress-") && line.contains(&leaky.full_name())
    })?;
    let mut checks = Checks::new();
    checks.that(line.len() < LINE, || {
        format!("the line of the incident has {} bytes", line.len())
    });
    leak.taken()?;
    full()?;
    let begun = Instant::now();
    let ended = AtomicBool::new(false);
    let (lowest, lasted) = std::thread::scope(|scope| {
        let lowest = scope.spawn(|| lowest(&ended));
        let on_demand = full_for >= FULL_ON_DEMAND;
        let meanwhile = answers(&mut checks, &folder, &leaky, on_demand)
            .and_then(|()| alerts(&mut checks, &monitoring, &prometheus, begun));
        let meanwhile = meanwhile.map(|()| {
            std::thread::sleep(full_for.saturating_sub(begun.elapsed()));
            begun.elapsed()
        });
        ended.store(true, Ordering::Relaxed);
        let lowest = lowest.join().map_err(|_| anyhow!("a thread panicked"))?;
        Ok::<_, anyhow::Error>((lowest?, meanwhile?))
    })?;
    checks.that(lowest >= FULL_PAGES, || {
        format!("of {} pages only {lowest} were taken once", SMALL[2])
    });
    let usage = Usage::read()?;
    eprintln!(
        "lab: full for {:.0} s: {lowest} pages of {} at least, {} at the end; the line has {} bytes: {line}",
        lasted.as_secs_f64(),
        SMALL[2],
        usage.pages,
        line.len(),
    );

    let answers = client.stop()?;
    leak.stop()?;
    agent.said(SOON, |line| line.contains("the incident is over"))?;
    std::thread::sleep(SETTLE);
    let kernel = watches
        .iter()
        .map(Watch::grown)
        .collect::<Result<Vec<_>>>()?;
    eprintln!(
        "lab: answers a second that the victim had: {}",
        answers["answers_per_second"]
    );
    let besides = [scraper.grown()?, Counters::here()?.since(&node)?];
    for kernel in &besides {
        eprintln!("lab: where scrapes go: {kernel}");
    }
    for (pod, kernel) in pods.iter().zip(&kernel) {
        eprintln!("lab: {}: {kernel}", pod.full_name());
    }
    check_counts(&mut checks, (&agent, &prometheus), &pods, &kernel, &besides)?;
    let incidents = agent.incidents()?;
    checks.equal("incidents", incidents.len(), 1);
    if let Some(report) = incidents.first() {
        check_incident(&mut checks, report, &["fill"]);
        check_recovered(&mut checks, report);
        checks.that(is_pod(&report["culprits"][0]["owner"], &leaky), || {
            format!("the culprits are {}", report["culprits"])
        });
    }
    check_recording(&mut checks, &folder, &pods, &kernel)?;
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Waits until all is taken.
fn full() -> Result<()> {
    let end = Instant::now() + SOON;
    while Usage::read()?.pages < FULL_PAGES {
        ensure!(
            Instant::now() < end,
            "the memory is not full: {:?}",
            Usage::read()?
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The fewest pages that were taken until it is told to end.
fn lowest(ended: &AtomicBool) -> Result<u64> {
    let mut lowest = u64::MAX;
    while !ended.load(Ordering::Relaxed) {
        lowest = lowest.min(Usage::read()?.pages);
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(lowest)
}

/// While it is full, whoever asks on the node has an answer.
fn answers(checks: &mut Checks, folder: &Path, leaky: &Pod, on_demand: bool) -> Result<()> {
    let mut fastest = Duration::MAX;
    for number in 0..MOST_ASKED {
        if number >= ASKED && fastest <= ANSWERED {
            break;
        }
        let (first, whole, report) = ask(folder)?;
        eprintln!(
            "lab: tcpress report had a first word after {:.1} s and was whole after {:.1} s: {}",
            first.as_secs_f64(),
            whole.as_secs_f64(),
            report.at("/verdict/headline")
        );
        fastest = fastest.min(if on_demand { whole } else { first });
        checks.that(is_pod(report.at("/holders/0/owner"), leaky), || {
            format!("most is held by {:?}", report.names("/holders"))
        });
        // It lists sockets at its end, whatever that costs: who lets all lie unread is told from who is busy by two listings.
        checks.that(is_pod(report.at("/culprits/0/owner"), leaky), || {
            format!("it accuses {:?}", report.names("/culprits"))
        });
    }
    checks.that(fastest <= ANSWERED, || {
        format!("tcpress report took {} s", fastest.as_secs_f64())
    });
    Ok(())
}

/// While it is full, alerts fire, and that of a lost scrape once it is lost.
fn alerts(
    checks: &mut Checks,
    monitoring: &Pod,
    prometheus: &Prometheus,
    begun: Instant,
) -> Result<()> {
    say_scrapes(prometheus, begun)?;
    let fired = ALERTS
        .iter()
        .try_for_each(|alert| prometheus.wait(alert, || prometheus.has_fired(alert)));
    say_scrapes(prometheus, begun)?;
    fired?;
    checks.equal(
        "a lost scrape before it is lost",
        prometheus.has_fired(LOST)?,
        false,
    );
    monitoring.plug(false)?;
    prometheus.wait(LOST, || prometheus.has_fired(LOST))?;
    monitoring.plug(true)?;
    prometheus.wait("a scrape again", || prometheus.is_scraping())
}

/// Says how scrapes have gone since then, and how full the node was to Prometheus.
fn say_scrapes(prometheus: &Prometheus, since: Instant) -> Result<()> {
    let seconds = since.elapsed().as_secs();
    let over = |of: &str| -> Result<f64> {
        Ok(prometheus
            .value(&format!("{of}[{seconds}s])"))?
            .unwrap_or(f64::NAN))
    };
    let fill = "instance:tcpress_tcp_mem_fill:ratio";
    eprintln!(
        "lab: {} of {} scrapes in {seconds} s were answered within a second, the slowest took {:.2} s, half of them at most {:.2} s; the fill was {:.3} to {:.3}; {:?}",
        over("sum_over_time(up{job=\"tcpress-agent\"}")?,
        over("count_over_time(up{job=\"tcpress-agent\"}")?,
        over("max_over_time(scrape_duration_seconds{job=\"tcpress-agent\"}")?,
        over("quantile_over_time(0.5, scrape_duration_seconds{job=\"tcpress-agent\"}")?,
        over(&format!("min_over_time({fill}"))?,
        over(&format!("max_over_time({fill}"))?,
        Usage::read()?,
    );
    Ok(())
}

/// Asks as somebody at the node does: how long it took to say something, and to say all of it.
fn ask(folder: &Path) -> Result<(Duration, Duration, Report)> {
    let begun = Instant::now();
    let socket = folder.join("agent.sock");
    let asked = tcpress::call(&format!(
        "report -o json --agent-socket {}",
        socket.display()
    ));
    let asked = asked.start()?;
    asked.said(SOON, |line| line.contains("provisional: "))?;
    let first = begun.elapsed();
    let finished = asked.finish()?;
    let whole = begun.elapsed();
    let by_agent = |line: &String| line.contains("answered by the agent");
    ensure!(
        finished.stderr.iter().any(by_agent),
        "it was not the agent that answered: {:?}",
        finished.stderr
    );
    Ok((first, whole, tcpress::parse(&finished)?))
}

/// At rest all counts are the kernel's, on the agent's own page and in Prometheus.
fn check_counts(
    checks: &mut Checks,
    (agent, prometheus): (&Agent, &Prometheus),
    pods: &[&Pod],
    kernel: &[Delta],
    besides: &[Delta],
) -> Result<()> {
    for (name, of) in [
        (
            "tcpress_refusals_total",
            &Delta::refusals as &dyn Fn(&Delta) -> u64,
        ),
        ("tcpress_prunes_total", &|kernel: &Delta| {
            kernel.get("PruneCalled")
        }),
    ] {
        for (pod, kernel) in pods.iter().zip(kernel) {
            let (namespace, pod) = pod.names();
            let wanted = of(kernel);
            let labels = [("namespace", namespace), ("pod", pod)];
            agent.page_with(&format!("{name} of {pod}"), SOON, |page| {
                page.sum(name, &labels) as u64 == wanted
            })?;
            // A counter that never rose has no series.
            let query =
                format!("sum({name}{{namespace=\"{namespace}\",pod=\"{pod}\"}}) or vector(0)");
            prometheus.wait(&format!("{wanted} {name} of {pod}"), || {
                Ok(prometheus.value(&query)? == Some(wanted as f64))
            })?;
        }
        let wanted: u64 = kernel.iter().chain(besides).map(of).sum();
        let query = format!("sum({name})");
        prometheus.wait(&format!("{wanted} {name} of all"), || {
            Ok(prometheus.value(&query)? == Some(wanted as f64))
        })?;
        let fell = format!("sum(resets({name}[1h]))");
        checks.equal(&fell, prometheus.value(&fell)?, Some(0.0));
    }
    let snmp = |page: &Page, of: &str| page.sum(of, &[("counter", "PruneCalled")]) as u64;
    let all = kernel.iter().chain(besides);
    let all: u64 = all.map(|it| it.get("PruneCalled")).sum();
    let page = agent.page_with("the kernel's counters", SOON, |page| {
        snmp(page, "tcpress_snmp_total") >= all
    })?;
    checks.equal("residuals", residuals(&page), Vec::new());
    checks.above_zero(
        "refusals of well-behaved pods",
        kernel[1].refusals() + kernel[2].refusals(),
    );
    Ok(())
}

/// The recording has all of it, in windows without a gap.
fn check_recording(
    checks: &mut Checks,
    folder: &Path,
    pods: &[&Pod],
    kernel: &[Delta],
) -> Result<()> {
    let history = folder.join("history");
    let past = tcpress::call(&format!(
        "report -o json --since -1h --history {}",
        history.display()
    ));
    let past = tcpress::parse(&past.run()?)?;
    for (pod, kernel) in pods.iter().zip(kernel) {
        let recorded: u64 = ["rcv", "ofo"]
            .map(|queue| past.of_victim(pod, &format!("/refusals/{queue}")))
            .iter()
            .sum();
        checks.equal(
            &format!("refusals of {} in the recording", pod.full_name()),
            recorded,
            kernel.refusals(),
        );
    }
    let gaps = past.list("/losses/gaps").iter();
    let gaps = gaps.map(|gap| gap.as_str().context("a gap is no text"));
    let gaps = gaps.collect::<Result<Vec<_>>>()?;
    let unseen = |gap: &&str| {
        [
            "nothing was watched",
            "kernel programs did not count",
            "capture:",
        ]
        .iter()
        .any(|begin| gap.starts_with(begin))
    };
    let unseen: Vec<_> = gaps.iter().filter(|gap| unseen(gap)).collect();
    checks.equal("gaps of the recording", unseen, Vec::new());
    Ok(())
}
