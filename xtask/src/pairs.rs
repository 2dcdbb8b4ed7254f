//! Commands on many machines, two at a time: each keeps one core busy.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;

use crate::{
    kernels::Kernel,
    vm::{Cgroup, Output, Parts, Settings},
};

const AT_ONCE: usize = 2;

/// A command on one machine.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// What stands before its lines: the kernel's name, and what is special about the machine.
    pub(crate) label: String,
    /// The kernel.
    pub(crate) kernel: &'a Kernel,
    /// The machine.
    pub(crate) settings: Settings,
    /// The command and its arguments.
    pub(crate) command: Vec<String>,
    /// Where that is to end the machine: a command for the one that comes after, with the same disk.
    pub(crate) after_crash: Option<Vec<String>>,
}

impl<'a> Job<'a> {
    /// A command, its words apart by spaces, on a machine whose cgroups are laid out so.
    pub(crate) fn new(kernel: &'a Kernel, settings: Settings, command: &str) -> Self {
        let label = match settings.cgroup {
            Cgroup::V2 => kernel.name.clone(),
            Cgroup::V1 => format!("{} cgroup v1", kernel.name),
            Cgroup::Hybrid => format!("{} cgroup hybrid", kernel.name),
        };
        Self {
            label,
            kernel,
            settings,
            command: words(command),
            after_crash: None,
        }
    }

    /// The same on a machine that the command ends; then another command on one that comes after it.
    pub(crate) fn crashing(mut self, then: &str) -> Self {
        self.settings.crash = true;
        self.after_crash = Some(words(then));
        self
    }

    /// Runs it to its end, or to the first status that is not zero.
    fn run(&self, parts: &Parts, outputs: impl Fn() -> (Output, Output)) -> Result<i32> {
        let status = parts.run(self.kernel, &self.settings, &self.command, &outputs)?;
        let (0, Some(then)) = (status, &self.after_crash) else {
            return Ok(status);
        };
        let settings = Settings {
            crash: false,
            ..self.settings.clone()
        };
        parts.run(self.kernel, &settings, then, &outputs)
    }
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its label.
    pub(crate) label: String,
    /// What the command printed.
    pub(crate) stdout: String,
    /// Its exit status, 124 or 125, as [`Parts::run`] says.
    pub(crate) status: Result<i32>,
}

/// Runs jobs, each line of output with the label before it. The results are in the order in which the machines ended.
pub(crate) fn run(parts: &Parts, jobs: &[Job<'_>]) -> Vec<Run> {
    let waiting = Mutex::new(jobs.iter());
    let results = Mutex::new(Vec::new());
    let next = || lock(&waiting).next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next() {
                    eprintln!("== kernel {}", job.label);
                    let stdout = Labelled::new(&job.label, io::stdout);
                    let stderr = Labelled::new(&job.label, io::stderr);
                    let status = job.run(parts, || {
                        (Box::new(stdout.clone()), Box::new(stderr.clone()))
                    });
                    lock(&results).push(Run {
                        label: job.label.clone(),
                        stdout: stdout.text(),
                        status,
                    });
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes whole lines on, the label before each, and keeps all bytes.
#[derive(Debug)]
struct Labelled<W> {
    label: String,
    to: fn() -> W,
    kept: Arc<Mutex<Vec<u8>>>,
    /// How many bytes of `kept` were passed on.
    passed: Arc<Mutex<usize>>,
}

impl<W> Clone for Labelled<W> {
    fn clone(&self) -> Self {
        Self {
            label: self.label.clone(),
            to: self.to,
            kept: Arc::clone(&self.kept),
            passed: Arc::clone(&self.passed),
        }
    }
}

impl<W> Labelled<W> {
    fn new(label: &str, to: fn() -> W) -> Self {
        Self {
            label: label.to_owned(),
            to,
            kept: Arc::default(),
            passed: Arc::default(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.kept)).into_owned()
    }
}

impl<W: Write> Write for Labelled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = lock(&self.kept);
        let mut passed = lock(&self.passed);
        kept.extend_from_slice(bytes);
        while let Some(end) = kept[*passed..].iter().position(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(&kept[*passed..*passed + end]);
            // The count matters more than the view: a closed stdout does not end the copy.
            let _ = writeln!((self.to)(), "{}: {line}", self.label);
            *passed += end + 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = (self.to)().flush();
        Ok(())
    }
}
