//! `tcpress trace`: live evidence, a line an event.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use tracer_common::{EventRecord, TallyKey, lost};

use tokio::time::MissedTickBehavior;

use super::{
    Bounds, Paths,
    observe::open_watch,
    stop,
    view::{Filter, Look},
};
use crate::{
    attribute::Live,
    indicators::memory,
    output::events,
    report::{Evidence, Redactor, view},
    session::{BETWEEN_LOOKS, Watch, wall_clock},
};

/// Prints a line for each failed admission and each prune, with the limit and the numbers at that instant.
///
/// Of a storm only samples are printed, so that three refusals of one pod show beside a million of
/// another; what was held back is counted at the end. Exact counts are `tcpress report`'s business.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long to trace, such as 10s or 2m; until Ctrl-C when not given.
    #[arg(short, long, value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Lines::Table)]
    output: Lines,
    /// Pseudonyms instead of names, addresses and labels: one name has the same one in all lines.
    #[arg(long)]
    redact: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    bounds: Bounds,
}

/// How a line is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// Columns for people.
    Table,
    /// One JSON document a line.
    Ndjson,
}

pub(super) async fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    let sources = paths.sources()?;
    let page_size = memory::read(&sources.proc).page_size;
    let mut live = Live::start(&sources);
    let mut watch = match open_watch(paths, &args.bounds, &sources, false) {
        Ok(watch) => watch,
        Err(why) => bail!(
            "cannot trace: {why}. `tcpress report` answers without tracing; `tcpress doctor` says more"
        ),
    };
    let mut attributor = sources.read();
    live.settle(&mut attributor);
    watch.attributor = Arc::new(attributor);
    watch.live = Some(live);
    super::say(&format!("tracing: {} probes", watch.probes()));
    let mut out = io::stdout();
    if args.output == Lines::Table && args.look.heads() {
        writeln!(out, "{}", events::table_head())?;
    }
    let mut lines = Printing {
        lines: args.output,
        filter: args.filter.filter(),
        page_size,
        redactor: args.redact.then(Redactor::default),
    };
    let end = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let stopped = stop();
    tokio::pin!(stopped);
    let mut looks = tokio::time::interval(BETWEEN_LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut end => break,
            () = &mut stopped => break,
            _ = looks.tick() => watch.name(),
            records = watch.next() => {
                let records = records.context("cannot read evidence")?;
                lines.print(&mut out, &watch, &records)?;
            }
        }
    }
    let left = watch.drain();
    lines.print(&mut out, &watch, &left)?;
    say_losses(&watch)?;
    Ok(ExitCode::SUCCESS)
}

/// How lines are printed, and whose.
struct Printing {
    lines: Lines,
    filter: view::Filter,
    page_size: u64,
    /// One name has one pseudonym in all lines.
    redactor: Option<Redactor>,
}

impl Printing {
    fn print(
        &mut self,
        out: &mut impl Write,
        watch: &Watch,
        records: &[EventRecord],
    ) -> anyhow::Result<()> {
        let at = wall_clock();
        for record in records {
            let name = |key: &TallyKey| (&watch.attributor.owner_of(key)).into();
            let mut event = Evidence::new(record, &name, at(record.at_ns), self.page_size);
            if !self
                .filter
                .shows(&event.owner, std::slice::from_ref(&event.netns))
            {
                continue;
            }
            if let Some(redactor) = &mut self.redactor {
                event = redactor.event(&event)?;
            }
            match self.lines {
                Lines::Table => writeln!(out, "{}", events::table_line(&event))?,
                Lines::Ndjson => writeln!(out, "{}", events::ndjson_line(&event)?.trim_end())?,
            }
        }
        out.flush()?;
        Ok(())
    }
}

/// What did not show in the lines.
fn say_losses(watch: &Watch) -> anyhow::Result<()> {
    let suppressed = watch.suppressed()?;
    if suppressed > 0 {
        super::say(&format!(
            "held back: {suppressed} more of what was printed already"
        ));
    }
    let losses = watch.losses()?;
    for (name, count) in lost::NAMES
        .iter()
        .zip(losses)
        .filter(|(_, count)| *count > 0)
    {
        super::say(&format!("lost: {count} ({name})"));
    }
    Ok(())
}
