//! tcpress seen from outside: started as a program, waited for with a bound, stopped by a signal to its pid, read as JSON.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{Finished, Process, Start};
use crate::report::Report;
use crate::sys;

/// How long loading and attaching may take; software emulation is slow.
const TRACING: Duration = Duration::from_secs(120);
/// How long the final readings and the printing may take.
const ENDING: Duration = Duration::from_secs(90);

/// The binary under test: `TCPRESS`, or `/bin/tcpress`.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("TCPRESS").map_or_else(|| PathBuf::from("/bin/tcpress"), PathBuf::from)
}

/// What applies to every call, handed to the child processes that scenarios run in by the environment.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Value of `--probe-flavour` where a call does not say one.
    pub flavour: Option<String>,
    /// Folder where every report is kept.
    pub keep: Option<PathBuf>,
}

const FLAVOUR: &str = "TCPRESS_LAB_FLAVOUR";
const KEEP: &str = "TCPRESS_LAB_KEEP";

impl Settings {
    /// Hands them to a process to be started.
    pub fn hand(&self, command: &mut Command) {
        let flavour = self.flavour.iter().map(|value| (FLAVOUR, value.into()));
        let keep = self.keep.iter().map(|value| (KEEP, value.into()));
        command.envs(flavour.chain(keep).collect::<Vec<(_, OsString)>>());
    }

    fn of_this_process() -> Self {
        Self {
            flavour: std::env::var(FLAVOUR).ok(),
            keep: std::env::var_os(KEEP).map(PathBuf::from),
        }
    }
}

/// A call of tcpress to be.
pub struct Call {
    arguments: Vec<OsString>,
    start: Start,
    unprivileged: bool,
    capabilities: Option<u64>,
}

/// A call with arguments separated by spaces.
#[must_use]
pub fn call(arguments: &str) -> Call {
    let mut arguments: Vec<OsString> = arguments
        .split_ascii_whitespace()
        .map(OsString::from)
        .collect();
    let said = arguments
        .iter()
        .any(|it| it == "--probe-flavour" || it == "--no-bpf");
    if let (Some(flavour), false) = (Settings::of_this_process().flavour, said) {
        arguments.extend(["--probe-flavour".into(), flavour.into()]);
    }
    Call {
        arguments,
        start: Start::default(),
        unprivileged: false,
        capabilities: None,
    }
}

impl Call {
    /// Nobody reads its standard output.
    #[must_use]
    pub fn deaf(mut self) -> Self {
        self.start.deaf_stdout = true;
        self
    }

    /// Its standard error is shown as it comes.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.start.show_stderr = true;
        self
    }

    /// It runs as user and group 65534, without capabilities.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// It runs as root with these capabilities alone.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: u64) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Starts it and waits until it says that it traces.
    pub fn tracing(self) -> Result<Running> {
        self.start()?.wait_tracing()
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Finished> {
        self.start()?.finish()
    }

    /// Starts it.
    pub fn start(self) -> Result<Running> {
        let mut command = Command::new(program());
        command.args(&self.arguments);
        if self.unprivileged {
            command.uid(65_534).gid(65_534);
        }
        if let Some(kept) = self.capabilities {
            // SAFETY: the function makes system calls and allocates nothing.
            unsafe { command.pre_exec(move || sys::bound_capabilities(kept)) };
        }
        let name = format!(
            "tcpress {}",
            self.arguments.join(&OsString::from(" ")).to_string_lossy()
        );
        Process::start(&name, &mut command, self.start).map(Running)
    }
}

/// A report that is being made, each call compared with the kernel's own counters: `report -o json --selfcheck` of a window that
/// only a signal ends.
pub fn report(options: &str) -> Result<Running> {
    call(&format!(
        "report -o json --selfcheck --duration 300s {options}"
    ))
    .tracing()
}

/// A report without a window.
pub fn snapshot(options: &str) -> Result<Report> {
    let finished = call(&format!("report -o json --duration 0 {options}")).run()?;
    parse(&finished)
}

/// A running tcpress.
pub struct Running(Process);

impl Running {
    /// Waits until it says that it traces.
    pub fn wait_tracing(self) -> Result<Self> {
        self.0
            .stderr_line(TRACING, |line| line.starts_with("tracing:"))?;
        Ok(self)
    }

    /// Ends the window by SIGINT, as Ctrl-C does, and reads the report.
    pub fn report(self) -> Result<Report> {
        parse(&self.interrupt()?)
    }

    /// Ends it by SIGINT.
    pub fn interrupt(self) -> Result<Finished> {
        self.0.stop(libc::SIGINT, ENDING)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Ends it by SIGTERM.
    pub fn terminate(self) -> Result<Finished> {
        self.0.stop(libc::SIGTERM, ENDING)
    }

    /// Kills it: it has no time for any last word.
    pub fn kill(self) -> Result<()> {
        self.0.stop(libc::SIGKILL, ENDING).map(drop)
    }

    /// Waits for its own end.
    pub fn finish(self) -> Result<Finished> {
        self.0.finish(TRACING + ENDING)
    }

    /// Waits for a line of its standard error.
    pub fn said(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        self.0.stderr_line(wait, found)
    }

    /// Waits for a line of its standard output.
    pub fn line(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        self.0.stdout_line(wait, found)
    }
}

/// The report on standard output of a run that ended well.
pub fn parse(finished: &Finished) -> Result<Report> {
    finished.expect_code(0)?;
    let text = finished.stdout.join("\n");
    let value: Value = serde_json::from_str(&text).context("standard output is no JSON")?;
    if let Some(folder) = Settings::of_this_process().keep {
        static KEPT: AtomicU32 = AtomicU32::new(0);
        let number = KEPT.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("{}-{number}.json", std::process::id()));
        std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Report::new(value)
}

/// Writes a report to a file.
pub fn keep(path: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report.at(""))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Each line of standard output as a value of its own.
pub fn parse_lines(finished: &Finished) -> Result<Vec<Value>> {
    finished.expect_code(0)?;
    let lines = finished.stdout.iter();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect()
}

/// What an agent answers to one line on its socket.
pub fn ask(socket: &Path, line: &str) -> Result<Value> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ENDING))?;
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    serde_json::from_str(&answer).with_context(|| answer)
}
