//! A child process whose output is collected line by line and whose every wait is bounded. It is killed by its pid
//! when the handle is dropped, so that a failed test leaves nothing running.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sys;

/// What a stream has given so far.
#[derive(Default)]
struct Stream {
    lines: Vec<String>,
    ended: bool,
}

/// Lines of one stream, filled by a thread of its own.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Stream>, Condvar)>);

impl Lines {
    fn follow(source: impl Read + Send + 'static, echo: bool) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if echo {
                    eprintln!("{line}");
                }
                writer.lock().lines.push(line);
                writer.0.1.notify_all();
            }
            writer.lock().ended = true;
            writer.0.1.notify_all();
        });
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first line for which `found` holds, or None when the stream ends or the time is over.
    fn wait(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + wait;
        let mut stream = self.lock();
        let mut seen = 0;
        loop {
            if let Some(line) = stream.lines[seen..].iter().find(|line| found(line)) {
                return Some(line.clone());
            }
            seen = stream.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if stream.ended || left.is_zero() {
                return None;
            }
            stream = self
                .0
                .1
                .wait_timeout(stream, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for the end of the stream, but not longer than `wait`; then all lines.
    fn all(&self, wait: Duration) -> Vec<String> {
        self.wait(wait, |_| false);
        self.lock().lines.clone()
    }
}

/// What a process left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, line by line.
    pub stdout: Vec<String>,
    /// Its standard error, line by line.
    pub stderr: Vec<String>,
}

impl Finished {
    /// Fails, with what the process said on standard error, unless its exit status is `code`.
    pub fn expect_code(&self, code: i32) -> Result<()> {
        if self.status.code() != Some(code) {
            let tail = self.stderr[self.stderr.len().saturating_sub(8)..].join(" | ");
            bail!(
                "ended with {} where exit status {code} was expected; stderr: {tail}",
                self.status
            );
        }
        Ok(())
    }
}

/// How a process is started.
#[derive(Clone, Copy, Default)]
pub struct Start {
    /// Close the reading end of its standard output at once, as `| head -0` does.
    pub deaf_stdout: bool,
    /// Show its standard error on ours as it comes.
    pub show_stderr: bool,
}

/// A running child with collected output.
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    /// Starts `command`; `name` is for messages.
    pub fn start(name: &str, command: &mut Command, start: Start) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(sys::die_with_parent) };
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let stdout = if start.deaf_stdout {
            drop(stdout);
            Lines::follow(std::io::empty(), false)
        } else {
            Lines::follow(stdout, false)
        };
        let stderr = Lines::follow(stderr, start.show_stderr);
        Ok(Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of standard output.
    pub fn stdout_line(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        self.stdout
            .wait(wait, found)
            .with_context(|| self.missing("standard output", wait))
    }

    /// Waits for a line of standard error.
    pub fn stderr_line(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        self.stderr
            .wait(wait, found)
            .with_context(|| self.missing("standard error", wait))
    }

    /// Lines of standard output so far.
    #[must_use]
    pub fn stdout_so_far(&self) -> Vec<String> {
        self.stdout.lock().lines.clone()
    }

    /// Lines of standard error so far.
    #[must_use]
    pub fn stderr_so_far(&self) -> Vec<String> {
        self.stderr.lock().lines.clone()
    }

    fn missing(&self, stream: &str, wait: Duration) -> String {
        let said = self.stderr.lock().lines.join(" | ");
        format!(
            "{}: the expected line did not come on {stream} within {} s; stderr so far: {said}",
            self.name,
            wait.as_secs()
        )
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        sys::signal(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Whether it still runs.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; kills it and fails when it takes longer than `wait`.
    pub fn finish(mut self, wait: Duration) -> Result<Finished> {
        let end = Instant::now() + wait;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let grace = Duration::from_secs(2);
                let stdout = self.stdout.all(grace);
                let stderr = self.stderr.all(grace);
                return Ok(Finished {
                    status,
                    stdout,
                    stderr,
                });
            }
            if Instant::now() >= end {
                let said = self.stderr.lock().lines.join(" | ");
                bail!(
                    "{} did not end within {} s; stderr: {said}",
                    self.name,
                    wait.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end by `signal` and waits for that.
    pub fn stop(self, signal: libc::c_int, wait: Duration) -> Result<Finished> {
        self.signal(signal)?;
        self.finish(wait)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.running() {
            // Failing means that it ended by itself meanwhile.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a short helper such as `ip` to its end and gives its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
