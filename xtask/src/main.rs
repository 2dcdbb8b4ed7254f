//! Set-up, virtual machines, tests and demo of tcpress.

mod accel;
mod apt;
mod binaries;
mod cache;
mod cpio;
mod debian;
mod guest;
mod initramfs;
mod kernels;
mod link;
mod modules;
mod process;
mod qemu;
mod setup;
mod sources;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set-up, virtual machines, tests and demo of tcpress
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
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
        Verb::Clean => cache::Cache::open()?.clean().map(|()| 0),
    }
}
