//! `tcpress man`: manual pages, made from the command line's own words.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::Cli;

/// Prints the manual page, or writes that of every command to a directory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to, for example /usr/local/share/man/man1.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    // Else commands would not know the options that all of them have.
    command.build();
    match &args.out {
        Some(folder) => {
            write(folder, "tcpress", &command)?;
            for command in command.get_subcommands() {
                write(folder, &format!("tcpress-{}", command.get_name()), command)?;
            }
        }
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(&page("tcpress", &command)?)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, name: &str, command: &clap::Command) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page(name, command)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn page(name: &str, command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .render(&mut text)?;
    Ok(text)
}
