//! `tcpress completions`: what a shell needs to complete our options.

use std::{io::Write as _, process::ExitCode};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;

/// Prints the completions of a shell, for example `tcpress completions bash > /etc/bash_completion.d/tcpress`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tcpress", &mut text);
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
