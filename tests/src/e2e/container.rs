//! A running container: what it prints, its limits, its end.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tracer_cri::v1 as cri;

use super::cri_config::PERIOD;
use super::log;
use super::runtime::Runtime;

/// How long a container may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// A container of a pod; it goes with its pod.
pub(super) struct Container {
    pub(super) runtime: Rc<Runtime>,
    /// For messages.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) log: PathBuf,
}

impl Container {
    /// Waits for a line of its output.
    pub(super) fn line(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        log::wait(&self.log, &self.name, wait, found)
    }

    /// The last whole line of its output, as JSON.
    pub(super) fn last(&self) -> Result<Value> {
        log::last(&self.log)
    }

    /// Waits until a recipe says that its work is done; gives what it said.
    pub(super) fn done(&self, wait: Duration) -> Result<Value> {
        let line = self.line(wait, |line| line.contains("\"done\""))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Limits its processor time to so many thousandths of one.
    pub(super) fn limit_cpu(&self, thousandths: i64) -> Result<()> {
        let linux = cri::LinuxContainerResources {
            cpu_period: PERIOD,
            cpu_quota: thousandths * PERIOD / 1000,
            ..Default::default()
        };
        self.runtime.limit_container(&self.id, linux)
    }

    /// Asks it to end, waits, and removes it.
    pub(super) fn stop(&self) -> Result<()> {
        self.runtime.stop_container(&self.id, GRACE)?;
        self.runtime.remove_container(&self.id)
    }
}
