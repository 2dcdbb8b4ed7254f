//! The agent at its bounds: tables and a ring that are too small for what happens, and whoever asks it over HTTP as nobody should.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{SOON, folder, residuals};
use crate::agent::{ADDRESS, Agent, Page, get};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, flood, slow_reader};

/// For owners, sockets and evidence.
const LITTLE_ROOM: &str = "--max-owners 1 --max-sockets 1 --ring-bytes 4096";
/// Connections that are opened, and kept open without a word.
const CROWD: usize = 1000;
/// Those that have a place: the default of `http.max_connections`.
const PLACES: f64 = 16.0;
/// Descriptors that the agent opens for an instant when it looks at the node.
const LOOKS: f64 = 8.0;
/// Requests of one who never reads: their answers are more than the buffers of both ends hold.
const UNREAD: usize = 400;
/// What is no request, or is none that may be made.
const MALFORMED: [&[u8]; 8] = [
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /metrics HTTP/9.9\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff\r\n\r\n",
];

/// An agent with short windows and little patience, and options besides.
fn agent(name: &str, options: &str) -> Result<Agent> {
    let keys = [
        "scan.interval=5s",
        "scan.interval_under_pressure=2s",
        "http.timeout=2s",
    ];
    Agent::start_with(&folder(name)?, options, &keys)
}

/// Room for one owner and one socket only, and for a page of evidence: the sums are the kernel's all the same, what has no owner says so, and
/// what was lost is counted.
pub(in crate::scenario) fn agent_full() -> Result<Outcome> {
    let network = Network::new()?;
    let pods = ["one", "two", "three"].map(|name| Pod::new(&network, "shop", name));
    let pods = pods.into_iter().collect::<Result<Vec<_>>>()?;
    let _readers = pods.iter().map(slow_reader).collect::<Result<Vec<_>>>()?;
    let agent = agent("lab-agent-full", LITTLE_ROOM)?;
    let watches = pods.iter().map(Watch::new).collect::<Result<Vec<_>>>()?;
    let _clients = pods
        .iter()
        .map(|pod| flood(pod, 2, "repeat:2000x1 retry:1x1"))
        .collect::<Result<Vec<_>>>()?;
    let mut kernel = (0, 0);
    for watch in &watches {
        let grown = watch.grown()?;
        kernel.0 += grown.get("TCPOFODrop");
        kernel.1 += grown.get("TCPRcvQDrop");
    }
    let of = |page: &Page, queue| page.sum("tcpress_refusals_total", &[("queue", queue)]) as u64;
    let page = agent.page_with("all refusals", SOON, |page| {
        (of(page, "ofo"), of(page, "rcv")) == kernel
    })?;
    let mut checks = Checks::new();
    checks.above_zero("the kernel's TCPOFODrop", kernel.0);
    checks.above_zero("the kernel's TCPRcvQDrop", kernel.1);
    let unattributed = page.sum("tcpress_refusals_total", &[("kind", "unattributed")]);
    checks.above_zero("refusals that are called unattributed", unattributed as u64);
    let misses = page.sum("tcpress_attribution_misses_total", &[]) as u64;
    checks.that(misses >= unattributed as u64, || {
        format!("{misses} counts without an owner, {unattributed} refusals")
    });
    let lost = |page: &Page, name| page.sum("tcpress_lost_total", &[("where", name)]) as u64;
    // Losses are told at the end of a window.
    let page = agent.page_with("what was lost", SOON, |page| {
        lost(page, "tallies_full") > 0 && lost(page, "sockets_full") > 0
    })?;
    let unseen = lost(&page, "ring_full") + lost(&page, "suppressed_evidence");
    checks.above_zero("evidence that was lost or held back", unseen);
    // A window that ended within the flood may be off, and the next one makes up for it.
    agent.page_with("no residual at rest", SOON, |page| {
        residuals(page).is_empty()
    })?;
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A thousand connections that say nothing, one that asks and never reads, and what is no request: whoever scrapes is answered meanwhile, and
/// afterwards nothing is left of any of it.
pub(in crate::scenario) fn agent_besieged() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let agent = agent("lab-agent-besieged", "")?;
    let before = agent.page()?;
    let mut checks = Checks::new();
    let hit = |page: &Page, bound| page.sum("tcpress_bounds_hit_total", &[("bound", bound)]) as u64;

    // Each is taken, and leaves when its place is wanted; so does a scrape have one.
    let mut crowd = Vec::new();
    let mut pages = 0;
    for number in 0..CROWD {
        crowd.push(TcpStream::connect(ADDRESS).context("a connection is refused")?);
        if number % 100 == 99 {
            let page = agent.page()?;
            pages += 1;
            let files = page.sum("tcpress_agent_open_files", &[]);
            let most = before.sum("tcpress_agent_open_files", &[]) + PLACES + LOOKS;
            checks.that(files <= most, || {
                format!("{files} descriptors are open beside {number} connections, {most} at most")
            });
        }
    }
    checks.equal("scrapes beside the crowd", pages, CROWD / 100);
    let watch = Watch::new(&slow)?;
    let _client = flood(&slow, 2, "repeat:100x1")?;
    let kernel = watch.grown()?;
    drop(crowd);

    let mut greedy = TcpStream::connect(ADDRESS)?;
    greedy.set_write_timeout(Some(Duration::from_secs(1)))?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(UNREAD);
    // What does not go through any more need not.
    let _ = greedy.write_all(&request);
    let page = agent.page_with("one who reads too slowly", SOON, |page| {
        hit(page, "http_time") > hit(&before, "http_time")
    })?;
    checks.above_zero(
        "connections that had to leave",
        hit(&page, "http_connections"),
    );
    drop(greedy);

    for bytes in MALFORMED {
        let answer = said(bytes)?;
        let word = answer.get(..12).unwrap_or(&answer);
        checks.that(answer.is_empty() || word.starts_with("HTTP/1.1 4"), || {
            format!(
                "{:?} is answered by {word:?}",
                String::from_utf8_lossy(bytes)
            )
        });
    }
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(1 << 20));
    said(head.as_bytes())?;
    let page = agent.page_with("a head that is too long", SOON, |page| {
        hit(page, "http_head") > 0
    })?;
    checks.equal("healthy", get("/healthz").is_ok(), true);
    let refused = |page: &Page| page.sum("tcpress_refusals_total", &[("pod", "slow")]) as u64;
    checks.above_zero("refusals beside the crowd", kernel.refusals());
    checks.equal("refusals", refused(&page), kernel.refusals());
    // All of them are gone, and the scrape that asks has one.
    let files = |page: &Page| page.sum("tcpress_agent_open_files", &[]);
    agent.page_with("the descriptors of before", SOON, |page| {
        files(page) <= files(&before)
    })?;
    println!(
        "lab: resident memory before {} and after {} bytes",
        before.sum("tcpress_agent_resident_bytes", &[]),
        agent.page()?.sum("tcpress_agent_resident_bytes", &[]),
    );
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// What is answered until the far end closes, which it must.
fn said(bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(SOON))?;
    // It may close before it has all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let (mut all, start) = (Vec::new(), Instant::now());
    let read = stream.read_to_end(&mut all);
    if start.elapsed() >= SOON {
        bail!("it does not close: {read:?}");
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}
