//! `lab`: runs inside a virtual machine next to the static `tcpress`, as root.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tcpress_lab::{bench, demo, e2e, matrix, recipe::Recipe, scenario, sys, tcpress::Settings};

/// Workloads and scenarios that provoke what tcpress measures.
#[derive(Parser)]
#[command(name = "lab")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one recipe until it is stopped.
    #[command(subcommand)]
    Recipe(Recipe),
    /// Play the incident once and check what tcpress says about it.
    Demo(demo::Args),
    /// Run scenarios, one line of result each.
    Scenarios {
        /// Which ones; all where none is named.
        names: Vec<String>,
        /// Without those that show the same on every kernel.
        #[arg(long, conflicts_with = "names")]
        kernel_bound: bool,
        /// Value of `--probe-flavour` for tcpress, where a scenario does not say one.
        #[arg(long)]
        probe_flavour: Option<String>,
        /// Folder to keep every report in.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
    /// Run all scenarios with each flavour of probes, and write what was seen, and what tests need of this kernel, to a folder.
    Matrix {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
        /// Only what tests need of this kernel.
        #[arg(long, conflicts_with = "only")]
        types_only: bool,
        /// Only these scenarios, with the default flavour, and nothing of what tests need.
        #[arg(long, value_name = "NAME", num_args = 1..)]
        only: Vec<String>,
    },
    /// Measure what an answer costs beside that of another tool.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Play scenarios with pods of a real containerd, on a node's disk, and compare the verdicts with the truth.
    E2e(e2e::Args),
    /// Print the names of all scenarios.
    List,
    /// Run one scenario in this process; `scenarios` does it for each.
    #[command(hide = true)]
    Scenario {
        /// Which one.
        name: String,
    },
    /// Hold a pod's namespaces, as a runtime's pause process does.
    #[command(hide = true)]
    Pause {
        /// Set the loopback device up, where no runtime does.
        #[arg(long)]
        loopback: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Recipe(recipe) => recipe.run()?,
        Command::Demo(args) => demo::run(&args)?,
        Command::Scenarios {
            names,
            kernel_bound,
            probe_flavour: flavour,
            keep,
        } => return scenario::run_all(&names, kernel_bound, &Settings { flavour, keep }),
        Command::Matrix {
            out, types_only, ..
        } if types_only => return matrix::types_only(&out),
        Command::Matrix { out, only, .. } => return matrix::run(&out, &only),
        Command::Bench(bench) => bench.run()?,
        Command::E2e(args) => return e2e::run(&args),
        Command::List => scenario::list()?,
        Command::Scenario { name } => return scenario::run_one(&name),
        Command::Pause { loopback } => {
            sys::catch_stop()?;
            if loopback {
                sys::loopback_up()?;
            }
            println!("ready");
            sys::wait_for_stop();
        }
    }
    Ok(ExitCode::SUCCESS)
}
