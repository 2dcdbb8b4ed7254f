//! Network namespaces held by a pause process, and recipes started inside them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cgroup;
use crate::process::{Process, Start};
use crate::sys;

/// How long a recipe may take to say that it is ready.
const READY: Duration = Duration::from_secs(120);

/// A new network namespace; it goes when this and all processes in it have gone.
pub struct Netns {
    pause: Process,
    file: File,
}

impl Netns {
    /// Starts the pause process, in a cgroup if one is given. The pause process sets the loopback device up.
    pub fn new(scope: Option<&Path>) -> Result<Self> {
        let mut command = lab()?;
        command.args(["pause", "--loopback"]);
        place(&mut command, scope, None)?;
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(sys::new_netns) };
        let pause = Process::start("pause", &mut command, Start::default())?;
        pause.stdout_line(READY, |line| line.contains("ready"))?;
        let file = File::open(format!("/proc/{}/ns/net", pause.pid()))?;
        Ok(Self { pause, file })
    }

    /// Process id of the pause process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pause.pid()
    }

    /// The namespace as a file, for setns.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// The inode number of a process's network namespace, as decimal digits.
pub fn inode_of(pid: u32) -> Result<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    Ok(link
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect())
}

/// A recipe on the node itself: no pod, no cgroup of its own.
pub fn node_recipe(arguments: &str) -> Result<Recipe> {
    start_recipe("node", arguments, None, None)
}

/// Starts a recipe inside a cgroup and a network namespace, where given, and waits until it is ready.
pub fn start_recipe(
    whose: &str,
    arguments: &str,
    scope: Option<&Path>,
    netns: Option<&Netns>,
) -> Result<Recipe> {
    let name = format!("{whose}: {arguments}");
    let mut command = lab()?;
    command
        .arg("recipe")
        .args(arguments.split_ascii_whitespace());
    place(&mut command, scope, netns.map(Netns::file))?;
    let process = Process::start(&name, &mut command, Start::default())?;
    process.stdout_line(READY, |line| line.contains("\"ready\""))?;
    Ok(Recipe(process))
}

/// The program `lab`, to be run again as a workload: this one, or the one that was built beside a test.
fn lab() -> Result<Command> {
    let this = std::env::current_exe()?;
    if this.file_name().is_some_and(|name| name == "lab") {
        return Ok(Command::new(this));
    }
    let beside = this.ancestors().skip(1).map(|folder| folder.join("lab"));
    let found = beside.take(2).find(|path| path.is_file());
    found
        .map(Command::new)
        .context("the program lab is not built")
}

/// Makes the command start inside a cgroup and a network namespace.
pub(crate) fn place(
    command: &mut Command,
    scope: Option<&Path>,
    netns: Option<&File>,
) -> Result<()> {
    let folders = scope.map(cgroup::everywhere).transpose()?;
    let procs = folders
        .iter()
        .flatten()
        .map(|folder| {
            let mut options = OpenOptions::new();
            options.write(true).open(folder.join("cgroup.procs"))
        })
        .collect::<std::io::Result<Vec<File>>>()
        .context("cannot open cgroup.procs")?;
    let netns = netns.map(File::try_clone).transpose()?;
    let enter = move || {
        for mut procs in &procs {
            // To the kernel, 0 is whoever writes.
            procs.write_all(b"0")?;
        }
        netns
            .as_ref()
            .map_or(Ok(()), |netns| sys::enter_netns(netns.as_fd()))
    };
    // SAFETY: the closure makes two system calls on descriptors opened before; it allocates nothing.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// A running recipe.
pub struct Recipe(Process);

impl Recipe {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Waits until it says that its work is done (it then stays until stopped); gives what it said.
    pub fn done(&self, wait: Duration) -> Result<Value> {
        let line = self.0.stdout_line(wait, |line| line.contains("\"done\""))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Waits until it says that the first step of this name is done.
    pub fn step(&self, name: &str, wait: Duration) -> Result<()> {
        let said = format!("\"step\":\"{name}");
        let found = |line: &str| line.contains(&said);
        self.0.stdout_line(wait, found).map(drop)
    }

    /// Ends it and gives its result.
    pub fn stop(self) -> Result<Value> {
        let finished = self.0.stop(libc::SIGTERM, Duration::from_secs(40))?;
        finished.expect_code(0)?;
        let last = finished
            .stdout
            .last()
            .context("a recipe without a result")?;
        Ok(serde_json::from_str(last)?)
    }
}
