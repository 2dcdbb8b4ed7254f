//! `tcpress report`: runs, ends by itself or when told to, prints one report.

use std::{path::PathBuf, process::ExitCode};

use super::{
    Paths, follow,
    observe::{Watching, window},
    print::Printing,
};
use crate::diagnose::recovery;

/// Watches for a while and prints one report: which limit refused, who suffers, who holds the memory,
/// and whether the counts equal the kernel's.
///
/// A first answer from the kernel's counters alone stands on stderr within seconds. Ctrl-C ends the
/// window early; the report is printed all the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) watching: Watching,
    #[command(flatten)]
    printing: Printing,
    /// Say what has recovered since an earlier report of this node, a JSON document.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Watch one window after the other until what was found has recovered and stays so for three of them: what the report
    /// of --compare found, or else the first window. Exit status 1 where it is told to stop before.
    #[arg(long, conflicts_with = "no_bpf")]
    until_recovered: bool,
}

pub(super) async fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    let mut printer = args.printing.open()?;
    let before = args.compare.as_deref().map(follow::read).transpose()?;
    let (report, code) = if args.until_recovered {
        anyhow::ensure!(
            !args.watching.duration.is_zero(),
            "--until-recovered needs windows in which something is counted: give a --duration above 0"
        );
        follow::until_recovered(paths, args, before).await?
    } else {
        let (observation, node, _) = window(paths, &args.watching).await?;
        let mut report = observation.report(&node, args.watching.top);
        report.recovery = before.map(|before| recovery::compare(&before, &report));
        (report, ExitCode::SUCCESS)
    };
    printer.print(&report)?;
    Ok(code)
}
