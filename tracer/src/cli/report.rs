//! `tcpress report`: runs, ends by itself or when told to, prints one report.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{
    Paths, follow,
    local::Local,
    observe::{Watching, begin, window},
    past::Past,
    print::{Printer, Printing},
    stop,
};
use crate::{
    diagnose::recovery,
    holders::Progress,
    report::Report,
    session::{SINGLY_UP_TO, Windows},
};

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
    pub(super) printing: Printing,
    /// One report after the other until told to stop, each of a window of this length, with no gap between them: every count is in
    /// one of them. -o ndjson makes a stream of them.
    #[arg(long, value_name = "TIME", value_parser = interval, conflicts_with_all = ["duration", "until_recovered"])]
    interval: Option<Duration>,
    /// Say what has recovered since an earlier report of this node, a JSON document.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Watch one window after the other until what was found has recovered and stays so for three of them: what the report
    /// of --compare found, or else the first window. Exit status 1 where it is told to stop before.
    #[arg(long, conflicts_with = "no_bpf")]
    until_recovered: bool,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    local: Local,
}

pub(super) async fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    let mut printer = args.printing.open()?;
    let before = args.compare.as_deref().map(follow::read).transpose()?;
    if let Some(capture) = args.past.recorded()? {
        let mut report = capture.report_of(args.printing.view.owners_wanted());
        report.recovery = before.map(|before| recovery::compare(&before, &report));
        printer.print(report)?;
        return Ok(printer.code());
    }
    if let Some(interval) = args.interval {
        return series(paths, args, interval, before.as_ref(), &mut printer).await;
    }
    let (report, code) = if args.until_recovered {
        anyhow::ensure!(
            !args.watching.duration().is_zero(),
            "--until-recovered needs windows in which something is counted: give a --duration above 0"
        );
        follow::until_recovered(paths, args, before).await?
    } else if let Some(mut report) = args.local.report(&args.watching).await {
        report.recovery = before.map(|before| recovery::compare(&before, &report));
        (report, ExitCode::SUCCESS)
    } else {
        let (observation, node, _) = window(paths, &args.watching).await?;
        let mut report = observation.report(&node, args.printing.view.owners_wanted());
        report.recovery = before.map(|before| recovery::compare(&before, &report));
        (report, ExitCode::SUCCESS)
    };
    printer.print(report)?;
    Ok(match code == ExitCode::SUCCESS {
        true => printer.code(),
        false => code,
    })
}

/// One report after the other, until told to stop.
async fn series(
    paths: &Paths,
    args: &Args,
    interval: Duration,
    before: Option<&Report>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let stopped = stop();
    tokio::pin!(stopped);
    let begun = begin(paths, SINGLY_UP_TO, &Progress::new(&super::say))?;
    let watch = args.watching.open(paths, &begun.sources);
    let mut windows = Windows::begin(
        watch,
        &begun.sources,
        begun.attributor,
        begun.live,
        begun.start,
    );
    let mut end = Instant::now();
    loop {
        end += interval;
        let told = tokio::select! {
            () = &mut stopped => true,
            done = windows.wait(end) => {
                done?;
                false
            }
        };
        let observation = windows.turn()?;
        let mut report = observation.report(&begun.node, args.printing.view.owners_wanted());
        report.recovery = before.map(|before| recovery::compare(before, &report));
        printer.print(report)?;
        if told {
            return Ok(printer.code());
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match super::duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        time => Ok(time),
    }
}
