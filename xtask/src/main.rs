//! Set-up, virtual machines, tests and demo of tcpress.

mod accel;
mod apt;
mod binaries;
mod cache;
mod checkers;
mod chromium;
mod cpio;
mod debian;
mod e2e;
mod e2e_page;
mod fuzz;
mod guest;
mod hosts;
mod initramfs;
mod keep;
mod kernels;
mod kernels_page;
mod kubelet;
mod link;
mod matrix;
mod modules;
mod node;
mod pairs;
mod process;
mod qemu;
mod replayed;
mod rust_src;
mod setup;
mod sources;
mod tally;
mod test;
mod tools;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use matrix::Part;

/// The kernels that every test run uses.
const TESTED: &str = "5.10,6.1,6.12,7.3";

/// Set-up, virtual machines, tests and demo of tcpress
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find what this machine lacks and get it; the other verbs do what they need by themselves
    Setup {
        /// Only say what lacks; exit status 1 if anything does
        #[arg(long)]
        check: bool,
        /// Kernels to get: short names such as 6.1,6.12, or all
        #[arg(long, value_name = "LIST", default_value = TESTED)]
        kernel: String,
    },
    /// Build tcpress and run it on this host
    Run {
        /// Arguments of tcpress
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Show an incident: a leak fills the TCP memory of a node, others suffer, tcpress says why
    Demo {
        /// Kernel to show it on
        #[arg(long, value_name = "LIST", default_value = "6.12")]
        kernel: String,
    },
    /// Lint, unit tests, and scenarios on real kernels
    Test {
        /// Kernels for the scenarios
        #[arg(long, value_name = "LIST", default_value = TESTED)]
        kernel: String,
    },
    /// Run a command as root on real kernels in QEMU, with tcpress and lab in /bin
    #[command(
        after_help = "Exit status: the command's own; 124 on the time limit, 125 if the \
                            virtual machine itself failed."
    )]
    Vm {
        /// Kernels: short names such as 6.1,6.12, or all, or the path of a bzImage
        #[arg(long, value_name = "LIST", default_value = "6.12")]
        kernel: String,
        #[command(flatten)]
        settings: vm::Settings,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Play scenarios with pods of a real containerd and the real Redis, and compare the verdicts with the truth
    E2e {
        /// Kernels to play them on, one boot each; 6.1 and 6.12 where none is named
        #[arg(long, value_name = "LIST")]
        kernel: Option<String>,
        /// Only these; a run of all on the default kernels writes docs/e2e.md
        #[arg(long, value_name = "NAME", num_args = 1..)]
        scenario: Vec<String>,
        /// Instead, the incident on a node that a real kubelet runs, on 6.12 where no kernel is named; the first time, it is built
        #[arg(long, conflicts_with = "scenario")]
        kubelet: bool,
    },
    /// Measure every supported kernel and write docs/kernels.md
    VmMatrix {
        /// Kernels: short names such as 6.1,6.12, or all; one that is left out keeps what was measured last
        #[arg(long, value_name = "LIST")]
        kernel: Option<String>,
        /// Only limits and hard cases: a fifth of the time
        #[arg(long, conflicts_with_all = ["storm", "page"])]
        limits: bool,
        /// Instead, one storm of 1,000,000 refusals; on 6.12 where no kernel is named
        #[arg(long)]
        storm: bool,
        /// Instead, only write the page anew from what was measured before
        #[arg(long, conflicts_with_all = ["storm", "kernel"])]
        page: bool,
    },
    /// Feed fuzz targets with what was never written, and say what fails
    Fuzz {
        /// Seconds for each target
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u64,
        /// Keep inputs that take new ways in the corpus, which tests try each time
        #[arg(long)]
        keep: bool,
    },
    /// Empty the cache
    Clean,
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<i32> {
    match verb {
        Verb::Vm {
            kernel,
            settings,
            command,
        } => vm::run(&kernel, &settings, &command),
        Verb::Setup { check, kernel } => setup::run(&kernel, check),
        Verb::Run { args } => binaries::exec(&args),
        Verb::Demo { kernel } => {
            let command = ["lab", "demo"].map(str::to_owned);
            vm::run(&kernel, &vm::Settings::default(), &command)
        }
        Verb::Test { kernel } => test::run(&kernel),
        Verb::E2e {
            kernel,
            kubelet: true,
            ..
        } => e2e::with_kubelet(kernel.as_deref().unwrap_or("6.12")),
        Verb::E2e {
            kernel, scenario, ..
        } => e2e::run(kernel.as_deref().unwrap_or(e2e::KERNELS), &scenario),
        Verb::VmMatrix {
            kernel,
            storm: true,
            ..
        } => matrix::storm(kernel.as_deref().unwrap_or("6.12")),
        Verb::VmMatrix { page: true, .. } => matrix::write_page().map(|()| 0),
        Verb::VmMatrix { kernel, limits, .. } => {
            let part = if limits { Part::Limits } else { Part::All };
            matrix::run(kernel.as_deref().unwrap_or("all"), part)
        }
        Verb::Fuzz { seconds, keep } => fuzz::run(seconds, keep),
        Verb::Clean => cache::Cache::open()?.clean().map(|()| 0),
    }
}
