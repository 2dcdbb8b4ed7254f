//! `tcpress agent` seen from outside: started with a folder of its own, scraped over HTTP, asked over its socket, killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tcpress::{self, Call, Running};

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:9943";
/// Loading and attaching under software emulation.
const ATTACHED: Duration = Duration::from_secs(120);
/// One answer over HTTP.
const ANSWER: Duration = Duration::from_secs(30);

/// A running agent.
pub struct Agent {
    running: Running,
    folder: PathBuf,
}

/// One page of metrics: value by series, as it is written.
#[derive(Clone, Debug, Default)]
pub struct Page(BTreeMap<String, f64>);

impl Agent {
    /// Starts one whose files lie in `folder`, with more keys as `KEY=VALUE`, and waits until it counts.
    pub fn start(folder: &Path, keys: &[&str]) -> Result<Self> {
        Self::start_with(folder, "", keys)
    }

    /// The same with other options besides.
    pub fn start_with(folder: &Path, options: &str, keys: &[&str]) -> Result<Self> {
        Self::start_as(folder, options, keys, |call| call)
    }

    /// The same, started in a way of its own.
    pub fn start_as(
        folder: &Path,
        options: &str,
        keys: &[&str],
        how: impl FnOnce(Call) -> Call,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = |name: &str| folder.join(name).display().to_string();
        let mut words = vec![
            format!("agent {options}"),
            // Software emulation is slow, and no budget is on trial here.
            "--set limits.cpu=1.0".to_owned(),
            format!("--set http.listen={ADDRESS}"),
            format!("--set socket.path={}", file("agent.sock")),
            format!("--set recorder.path={}", file("history")),
            "--set recorder.size=4MiB".to_owned(),
            format!("--set incidents.path={}", file("incidents")),
            format!("--set export.spool={}", file("spool")),
        ];
        // Nobody waits until a window that has grown long is over, unless that is what is looked at.
        if !keys.iter().any(|key| key.starts_with("scan.interval_idle")) {
            words.push("--set scan.interval_idle=1s".to_owned());
        }
        words.extend(keys.iter().map(|key| format!("--set {key}")));
        let running = how(tcpress::call(&words.join(" "))).start()?;
        running.said(ATTACHED, |line| line.contains("tracing: "))?;
        let agent = Self {
            running,
            folder: folder.to_owned(),
        };
        let end = Instant::now() + ANSWER;
        while let Err(error) = get("/readyz") {
            if Instant::now() > end {
                return Err(error.context("the agent does not become ready"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(agent)
    }

    /// Waits for a line on its standard error.
    pub fn said(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        self.running.said(wait, found)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        crate::sys::signal(self.pid(), signal).context("cannot signal the agent")
    }

    /// Ends it as the system would.
    pub fn stop(self) -> Result<()> {
        self.running.terminate()?.expect_code(0)
    }

    /// Ends it as nobody should.
    pub fn kill(self) -> Result<()> {
        self.running.kill()
    }

    /// Its page of metrics.
    pub fn page(&self) -> Result<Page> {
        page()
    }

    /// Reads pages until one is as it is wanted.
    pub fn page_with(
        &self,
        what: &str,
        wait: Duration,
        is: impl Fn(&Page) -> bool,
    ) -> Result<Page> {
        let end = Instant::now() + wait;
        loop {
            let page = self.page()?;
            if is(&page) {
                return Ok(page);
            }
            if Instant::now() > end {
                bail!(
                    "no page of metrics shows {what}: {:?}",
                    page.of("tcpress_refusals_total")
                );
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Reports of incidents on its disk, the oldest first.
    pub fn incidents(&self) -> Result<Vec<Value>> {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.folder.join("incidents"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        // What is being written has another name until it is whole.
        paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
        paths.sort();
        let read = |path: &PathBuf| Ok(serde_json::from_slice(&fs::read(path)?)?);
        paths.iter().map(read).collect()
    }
}

/// What a path of the agent answers with status 200.
pub fn get(path: &str) -> Result<String> {
    get_from(ADDRESS, path)
}

/// What a path answers with status 200, in HTTP/1.0: whole, and not in chunks.
pub fn get_from(address: &str, path: &str) -> Result<String> {
    let at = address.parse().context("no address by number")?;
    let mut stream = TcpStream::connect_timeout(&at, ANSWER).context("nobody listens")?;
    stream.set_read_timeout(Some(ANSWER))?;
    let version = if address == ADDRESS { "1.1" } else { "1.0" };
    let head = format!("GET {path} HTTP/{version}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("{path}: {status}");
    }
    Ok(body.to_owned())
}

fn page() -> Result<Page> {
    Page::parse(&get("/metrics")?)
}

impl Page {
    fn parse(text: &str) -> Result<Self> {
        let mut page = Self::default();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let value = value.parse().with_context(|| line.to_owned())?;
            if page.0.insert(series.to_owned(), value).is_some() {
                bail!("{series} is there twice");
            }
        }
        Ok(page)
    }

    /// All series of a name.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<(&str, f64)> {
        let all = self
            .0
            .iter()
            .map(|(series, value)| (series.as_str(), *value));
        all.filter(|(series, _)| series.split('{').next() == Some(name))
            .collect()
    }

    /// Their sum over those that have all of these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &str| {
            labels
                .iter()
                .all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")))
        };
        let all = self.of(name).into_iter();
        all.filter(|(series, _)| has(series))
            .map(|(_, value)| value)
            .sum()
    }

    /// Counters that are lower than on an earlier page, or gone.
    #[must_use]
    pub fn fallen_since(&self, before: &Self) -> Vec<String> {
        let counters = before.0.iter().filter(|(series, _)| counts(series));
        let fallen =
            counters.filter(|(series, value)| self.0.get(*series).is_none_or(|now| now < value));
        fallen
            .map(|(series, value)| format!("{series}: {value}, then {:?}", self.0.get(series)))
            .collect()
    }

    /// Series of pods that an earlier page has none of.
    #[must_use]
    pub fn pods_beyond(&self, before: &Self) -> Vec<&str> {
        let known: BTreeSet<_> = before.0.keys().filter_map(|series| owner(series)).collect();
        let series = self.0.keys().map(String::as_str);
        series
            .filter(|series| series.contains("kind=\"pod\""))
            .filter(|series| owner(series).is_some_and(|owner| !known.contains(&owner)))
            .collect()
    }
}

/// The part of a series that says whose it is.
fn owner(series: &str) -> Option<Vec<&str>> {
    const LABELS: [&str; 5] = ["namespace", "pod", "container", "kind", "name"];
    let label = |name: &str| {
        let begin = [format!("{{{name}=\""), format!(",{name}=\"")];
        let value = begin.iter().find_map(|it| Some(series.split_once(it)?.1))?;
        value.split('"').next()
    };
    LABELS.iter().map(|name| label(name)).collect()
}

/// Whether a series of this name is one of a counter.
fn counts(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    ["_total", "_count", "_sum", "_bucket"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Page after page: what counters came to, whether any fell, and how gauges went.
#[derive(Debug)]
pub struct Seen {
    since: Instant,
    /// The highest value of each series of a counter, which stays when the series goes.
    counters: BTreeMap<String, f64>,
    fallen: Vec<String>,
    /// Sums of the gauges of the agent itself, with the time since the first page.
    gauges: Vec<(f64, BTreeMap<String, f64>)>,
}

impl Seen {
    /// Begins with a page.
    #[must_use]
    pub fn new(first: &Page) -> Self {
        let mut seen = Self {
            since: Instant::now(),
            counters: BTreeMap::new(),
            fallen: Vec::new(),
            gauges: Vec::new(),
        };
        seen.take(first);
        seen
    }

    /// Takes the next one.
    pub fn take(&mut self, page: &Page) {
        let mut gauges = BTreeMap::new();
        for (series, value) in &page.0 {
            if !counts(series) {
                if series.starts_with("tcpress_agent_") {
                    gauges.insert(series.clone(), *value);
                }
                continue;
            }
            let before = self.counters.entry(series.clone()).or_default();
            if *value < *before {
                self.fallen
                    .push(format!("{series}: {before}, then {value}"));
            }
            *before = before.max(*value);
        }
        self.gauges
            .push((self.since.elapsed().as_secs_f64(), gauges));
    }

    /// One gauge more of the page that was taken last.
    pub fn add(&mut self, gauge: &str, value: f64) {
        if let Some((_, gauges)) = self.gauges.last_mut() {
            gauges.insert(gauge.to_owned(), value);
        }
    }

    /// How many pages there were.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.gauges.len()
    }

    /// Counters that fell, also from before they were gone for a while.
    #[must_use]
    pub fn fallen(&self) -> &[String] {
        &self.fallen
    }

    /// What series with all of these labels came to together, whether or not they are still there.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        Page(self.counters.clone()).sum(name, labels)
    }

    /// Values of a gauge of the agent itself from one second to another, in order.
    fn values(&self, from: f64, to: f64, gauge: &str) -> Vec<f64> {
        let pages = self
            .gauges
            .iter()
            .filter(|(at, _)| (from..=to).contains(at));
        let mut values: Vec<f64> = pages
            .filter_map(|(_, all)| all.get(gauge).copied())
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle one of them; not a number where there are none.
    #[must_use]
    pub fn median(&self, from: f64, to: f64, gauge: &str) -> f64 {
        let values = self.values(from, to, gauge);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The largest of all; not a number where there are none.
    #[must_use]
    pub fn most(&self, gauge: &str) -> f64 {
        let values = self.values(0.0, f64::INFINITY, gauge);
        values.last().copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Seen};

    #[test]
    fn a_page_is_read_and_compared() {
        let before = Page::parse(
            "# HELP x\na_total{pod=\"p\",q=\"1\"} 3\na_total{pod=\"p\",q=\"2\"} 4\ng 9\n",
        )
        .unwrap();
        assert_eq!(before.sum("a_total", &[("pod", "p")]), 7.0);
        assert_eq!(before.sum("a_total", &[("q", "2")]), 4.0);
        let after = Page::parse("a_total{pod=\"p\",q=\"1\"} 2\ng 1\n").unwrap();
        assert_eq!(after.fallen_since(&before).len(), 2);
        assert_eq!(before.fallen_since(&before), Vec::<String>::new());
        assert!(Page::parse("a 1\na 2\n").is_err());
    }

    fn page(lines: &str) -> Page {
        Page::parse(lines).unwrap()
    }

    #[test]
    fn what_goes_stays_counted_and_what_falls_is_told() {
        let mut seen = Seen::new(&page("a_total{pod=\"p\"} 3\ntcpress_agent_g 9\n"));
        seen.take(&page("tcpress_agent_g 7\n"));
        seen.take(&page("a_total{pod=\"q\"} 4\ntcpress_agent_g 8\n"));
        assert_eq!(seen.sum("a_total", &[]), 7.0);
        assert_eq!(seen.fallen(), &[] as &[String]);
        seen.take(&page("a_total{pod=\"p\"} 2\n"));
        assert_eq!(seen.fallen().len(), 1, "it came back with less");
        assert_eq!(seen.median(0.0, 60.0, "tcpress_agent_g"), 8.0);
        assert_eq!(seen.most("tcpress_agent_g"), 9.0);
        assert!(seen.median(50.0, 60.0, "tcpress_agent_g").is_nan());
        assert_eq!(seen.pages(), 4);
    }

    #[test]
    fn pods_are_known_by_all_of_their_labels() {
        let pod = |name: &str, kind: &str| {
            format!(
                "x{{namespace=\"n\",pod=\"{name}\",container=\"\",kind=\"{kind}\",name=\"\",q=\"1\"}} 1\n"
            )
        };
        let before = page(&pod("a", "pod"));
        let after = page(&[pod("a", "pod"), pod("b", "pod"), pod("c", "cgroup")].concat());
        assert_eq!(after.pods_beyond(&before).len(), 1);
        assert_eq!(before.pods_beyond(&after), Vec::<&str>::new());
    }
}
