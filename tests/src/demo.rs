//! The incident on one screen: a pod that leaks connections fills the node's TCP memory, well-behaved pods beside it suffer, and
//! `tcpress report` says who does what to whom. Exit status 0 only if the report is right.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::check::Checks;
use crate::go::Go;
use crate::netns;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::{LEAK, LEAKED_BEFORE, LEAKED_DURING, SMALL, TcpMem};
use crate::report::{Report, is_pod};
use crate::scenario::{refuse_on_a_real_node, sweep};
use crate::snmp::Counters;
use crate::tcpress;

/// Before the window ends, senders are stopped this long: the final reading finds the node at rest.
const REST: Duration = Duration::from_secs(4);
/// How long the leak may take to fill the memory, and a well-behaved pod to suffer from it, where no window is set.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of the demo.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds of the report's window.
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
}

/// Plays the incident for a person: the table on stdout, words on stderr.
pub fn run(args: &Args) -> Result<()> {
    refuse_on_a_real_node()?;
    let played = play(Some(Duration::from_secs(args.seconds)));
    sweep();
    played
}

/// Plays the incident and checks the report. Within a window the story is told and the table of that window printed; without one
/// the incident takes as long as it takes.
pub fn play(window: Option<Duration>) -> Result<()> {
    let tell = |words: &str| {
        if window.is_some() {
            eprintln!("demo: {words}");
        }
    };
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let redis = Pod::new(&network, "cache", "redis-0")?;
    let frontend = Pod::new(&network, "web", "frontend")?;
    let pods = [&leaky, &redis, &frontend];
    let _limits = TcpMem::small()?;
    tell(&format!(
        "three pods; net.ipv4.tcp_mem is {} {} {} pages",
        SMALL[0], SMALL[1], SMALL[2]
    ));

    let _leak = leaky.recipe("leak-server --listen 0.0.0.0:8080")?;
    let sizes = "--request 16384 --response 32768";
    let _server = redis.recipe(&format!("echo-server --listen 0.0.0.0:6379 {sizes}"))?;
    let go = Go::new("leak");
    let outside = netns::node_recipe(&format!(
        "tun --device uplink --kernel 192.0.2.1 --client 192.0.2.2 --to {} --connections {LEAK} \
         --do feed:{LEAKED_BEFORE} --do until:{go} --do feed:{LEAKED_DURING}",
        leaky.endpoint(8080)
    ))?;
    outside.step("feed", Duration::from_secs(60))?;
    tell("shop/leaky leaks: clients outside connect and send, it neither reads nor closes");
    let before = pods
        .iter()
        .map(|pod| pod.counters())
        .collect::<Result<Vec<Counters>>>()?;

    // The same report for the checks: its window lies around that of the table.
    let json = tcpress::report("")?;
    let table = window
        .map(|window| {
            let words = format!("report --duration {}s", window.as_secs());
            tell(&format!("$ tcpress {words}"));
            tcpress::call(&words).shown().tracing()
        })
        .transpose()?;
    let start = Instant::now();
    let left = || window.map(|window| window.saturating_sub(REST).saturating_sub(start.elapsed()));
    // Only now: under software emulation with threads, a kernel whose functions are being patched for probes while packets run
    // through them can trip over the patch (int3), which no real processor does.
    let client = frontend.recipe(&format!(
        "echo-client --to {} --connections 6 --pause 80 {sizes}",
        redis.endpoint(6379)
    ))?;
    tell("web/frontend asks cache/redis-0");
    std::thread::sleep(Duration::from_secs(2));

    tell("shop/leaky leaks on, until the node's TCP memory is full");
    go.give()?;
    if outside.done(left().unwrap_or(PATIENCE)).is_ok() {
        tell(&format!(
            "after {:.1} s no more is taken",
            start.elapsed().as_secs_f64()
        ));
    }
    match left() {
        Some(left) => std::thread::sleep(left),
        None => until_refused(&pods[1..], &before[1..])?,
    }
    tell("all senders are stopped");
    frontend.cut()?;
    redis.cut()?;
    let fed = outside.stop()?;
    std::thread::sleep(Duration::from_millis(200));
    let after = pods
        .iter()
        .map(|pod| pod.counters())
        .collect::<Result<Vec<Counters>>>()?;

    if let Some(table) = table {
        let finished = table.finish()?;
        finished.expect_code(0)?;
        for line in &finished.stdout {
            println!("{line}");
        }
    }
    let report = json.report()?;
    let answers = client.stop()?;
    tell(&format!(
        "answers that web/frontend got from cache/redis-0, second by second: {}",
        answers["answers_per_second"]
    ));

    let mut checks = Checks::new();
    check_verdict(&mut checks, &report, &leaky, [&redis, &frontend], &fed);
    report.check_at_rest(&mut checks);
    for ((pod, before), after) in pods.iter().zip(&before).zip(&after) {
        let kernel = after.since(before)?;
        tell(&format!(
            "the kernel counted for {}: {kernel}",
            pod.full_name()
        ));
        report.check_rows(&mut checks, &pod.full_name(), &pod.netns()?, &kernel);
        report.check_refusals(&mut checks, pod, &kernel);
    }
    checks.finish()?;
    tell("the report is right: culprit, victims, limit, fill, and every count equals the kernel's");
    Ok(())
}

/// Waits until the kernel has refused segments of one of the pods; where it does not, the checks will say so.
fn until_refused(pods: &[&Pod], before: &[Counters]) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        for (pod, before) in pods.iter().zip(before) {
            if pod.counters()?.since(before)?.refusals() > 0 {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The leak is accused, a suffering pod is a victim, and the limit is the node's.
fn check_verdict(
    checks: &mut Checks,
    report: &Report,
    leaky: &Pod,
    suffering: [&Pod; 2],
    fed: &Value,
) {
    checks.equal(
        "the limit",
        report.at("/verdict/limit"),
        &Value::from("tcp_mem"),
    );
    let culprit = report.at("/culprits/0");
    checks.that(is_pod(&culprit["owner"], leaky), || {
        format!(
            "the first culprit is not {}; culprits: {:?}, holders: {:?}",
            leaky.full_name(),
            report.names("/culprits"),
            report.names("/holders")
        )
    });
    // What the kernel has acknowledged to the clients outside is in the queues of the leak, for nobody reads it.
    checks.equal(
        "unread bytes of the culprit",
        &culprit["unread_bytes"],
        &fed["acknowledged_bytes"],
    );
    let suffered: u64 = suffering
        .iter()
        .flat_map(|pod| {
            ["rcv", "ofo"].map(|queue| report.of_victim(pod, &format!("/refusals/{queue}")))
        })
        .sum();
    checks.that(suffered > 0, || {
        format!(
            "no well-behaved pod is among the victims: {:?}",
            report.names("/victims")
        )
    });
    let fill = report.at("/tcp_memory/fill").as_f64();
    checks.that(fill.is_some_and(|fill| fill > 0.9), || {
        format!("the fill is {fill:?}, expected above 0.9")
    });
    checks.equal(
        "the source of the fill",
        report.at("/tcp_memory/allocated_source"),
        &Value::from("refusal"),
    );
    checks.that(report.summary().contains(&leaky.full_name()), || {
        format!(
            "the summary does not name {}: {}",
            leaky.full_name(),
            report.summary()
        )
    });
}
