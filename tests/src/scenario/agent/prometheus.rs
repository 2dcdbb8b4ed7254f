//! A real Prometheus with the deployed rules, as `cargo xtask vm --prometheus` puts both into a machine.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::agent::get_from;
use crate::netns;
use crate::pod::Pod;
use crate::process::{Process, Start};
use crate::sys;

const PROGRAM: &str = "/bin/prometheus";
const RULES: &str = "/etc/prometheus/tcpress.rules.yaml";
/// Where it listens.
const ADDRESS: &str = "127.0.0.1:9090";
/// For it to begin, and to see what is there.
const PATIENCE: Duration = Duration::from_secs(180);

/// It scrapes one agent each second, and looks at the rules each fifth.
pub(super) struct Prometheus {
    /// Where it runs, if not in our network namespace.
    netns: Option<File>,
    _process: Process,
}

impl Prometheus {
    /// Why it cannot be had here.
    pub(super) fn lacking() -> Option<String> {
        let there = Path::new(PROGRAM).exists() && Path::new(RULES).exists();
        (!there).then(|| "no Prometheus here: `cargo xtask vm --prometheus` brings it".to_owned())
    }

    /// Starts it, as the workload of a pod if one is given; its files lie in `folder`.
    pub(super) fn start(folder: &Path, target: &str, pod: Option<&Pod>) -> Result<Self> {
        let config = folder.join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global:\n  scrape_interval: 1s\n  evaluation_interval: 5s\nrule_files: [{RULES}]\nscrape_configs:\n\
                 - job_name: tcpress-agent\n  honor_labels: true\n  static_configs:\n  - targets: [\"{target}\"]\n"
            ),
        )?;
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={ADDRESS}"));
        let netns = pod.map(Pod::netns_file).transpose()?;
        netns::place(&mut command, pod.map(Pod::scope), netns.as_ref())?;
        let process = Process::start("prometheus", &mut command, Start::default())?;
        process.stderr_line(PATIENCE, |line| line.contains("Server is ready"))?;
        let prometheus = Self {
            netns,
            _process: process,
        };
        prometheus.wait("the first scrape", || prometheus.is_scraping())?;
        Ok(prometheus)
    }

    /// Whether the last scrape was answered.
    pub(super) fn is_scraping(&self) -> Result<bool> {
        Ok(self.value("up{job=\"tcpress-agent\"}")? == Some(1.0))
    }

    /// The one value of a query, if it has one.
    pub(super) fn value(&self, query: &str) -> Result<Option<f64>> {
        let escaped: String = query
            .bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect();
        let data = self.ask(&format!("/api/v1/query?query={escaped}"))?;
        let text = data["result"][0]["value"][1].as_str();
        text.map(|text| text.parse().context("no number"))
            .transpose()
    }

    /// Whether an alert has fired, now or before.
    pub(super) fn has_fired(&self, alert: &str) -> Result<bool> {
        let query = format!(
            "count(last_over_time(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}[1h]))"
        );
        Ok(self.value(&query)?.is_some())
    }

    /// Waits until it sees something.
    pub(super) fn wait(&self, what: &str, is: impl Fn() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !is().unwrap_or(false) {
            if Instant::now() > end {
                bail!("Prometheus does not see {what}: {:?}", is());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        // Its network is entered by a thread that ends with the question.
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                if let Some(netns) = &self.netns {
                    sys::enter_netns(netns.as_fd()).context("cannot enter its network")?;
                }
                get_from(ADDRESS, path)
            });
            asked.join().map_err(|_| anyhow!("a thread panicked"))?
        })?;
        let answer: Value = serde_json::from_str(&answer)?;
        if answer["status"] != "success" {
            bail!("{path}: {answer}");
        }
        Ok(answer["data"].clone())
    }
}
