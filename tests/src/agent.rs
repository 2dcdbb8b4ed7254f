//! `tcpress agent` seen from outside: started with a folder of its own, scraped over HTTP, asked over its socket, killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tcpress::{self, Running};

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
        words.extend(keys.iter().map(|key| format!("--set {key}")));
        let running = tcpress::call(&words.join(" ")).start()?;
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
        let counters = before.0.iter().filter(|(series, _)| {
            let name = series.split('{').next().unwrap_or_default();
            ["_total", "_count", "_sum", "_bucket"]
                .iter()
                .any(|end| name.ends_with(end))
        });
        let fallen =
            counters.filter(|(series, value)| self.0.get(*series).is_none_or(|now| now < value));
        fallen
            .map(|(series, value)| format!("{series}: {value}, then {:?}", self.0.get(series)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

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
}
