//! `tcpress agent`: always there.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use super::{
    Bounds, Paths,
    observe::{begin, open_watch},
};
use crate::{
    agent::{
        config::{self, Config, ConfigError, OFF_SWITCH},
        notify::Notifier,
        run::{self, Attached, Setup},
        words::Words,
    },
    holders::Progress,
    probe::OwnSockets,
    session::{SINGLY_UP_TO, Windows},
};

/// Counts for ever: exact counters of every pod for Prometheus, a flight recorder, and a report of each incident that covers the time before it.
///
/// Without a file of its own it runs with defaults, which `docs/agent.md` has with every key. SIGHUP reads the file again. While /run/tcpress/off
/// exists, nothing is attached.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its configuration; without it /etc/tcpress/agent.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A key and its value, which goes before the file's; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::label)]
    set: Vec<(String, String)>,
    /// Read the configuration, say what is wrong with it, and end.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    bounds: Bounds,
}

impl Args {
    fn read(&self) -> anyhow::Result<Config> {
        let (path, wanted) = match &self.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(config::DEFAULT_PATH), false),
        };
        let text = match !wanted && !path.exists() {
            true => String::new(),
            false => config::read(path)?,
        };
        Config::parse_with(&text, &self.set).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
            anyhow::anyhow!("{}: {}", path.display(), lines.join("; "))
        })
    }
}

pub(super) async fn run(paths: &Paths, args: Args) -> anyhow::Result<ExitCode> {
    let config = args.read()?;
    if args.check {
        for caution in config.cautions() {
            super::say(caution);
        }
        super::say("the configuration is sound");
        return Ok(ExitCode::SUCCESS);
    }
    if !config.privileges.setns {
        super::detail(crate::agent::privileges::BLIND_WITHOUT_SETNS);
    }
    let notifier = Notifier::new(&|name| env::var_os(name))
        .context("cannot speak to the service manager ($NOTIFY_SOCKET)")?;
    let (paths, bounds) = (paths.clone(), args.bounds);
    let sources = paths.sources()?;
    let exempt = move || {
        let cgroup = sources.own_cgroup().map_err(anyhow::Error::msg)?;
        Ok(OwnSockets::exempt(&cgroup)?)
    };
    let attach = move |config: &Config, words: &Words| attach(&paths, &bounds, config, words);
    run::run(Setup {
        config,
        reread: Box::new(move || args.read()),
        attach: Box::new(attach),
        exempt: Box::new(exempt),
        off_switch: PathBuf::from(OFF_SWITCH),
        notifier,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Reads what there is, and attaches as many probes as this kernel takes.
fn attach(
    paths: &Paths,
    bounds: &Bounds,
    config: &Config,
    words: &Words,
) -> anyhow::Result<Attached> {
    let say = |text: &str| words.say(config::Level::Debug, text);
    let begun = begin(paths, SINGLY_UP_TO, &Progress::new(&say))?;
    let bounds = Bounds {
        map_bytes: bounds.map_bytes.or(config.limits.map_memory),
        ..*bounds
    };
    let watch = open_watch(paths, &bounds, &begun.sources, false);
    let traced = match &watch {
        Ok(watch) if watch.probes() == 0 => bail!("no probe is attached"),
        Ok(watch) => Ok(watch.probes()),
        Err(why) => Err(why.clone()),
    };
    let windows = Windows::begin(
        watch,
        &begun.sources,
        begun.attributor,
        begun.live,
        begun.start,
    );
    Ok(Attached {
        windows,
        node: begun.node,
        traced,
    })
}
