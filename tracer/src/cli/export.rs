//! `tcpress export`: sends a report to where people look.

use std::{env, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::error::ErrorKind;

use super::follow;
use crate::{
    export::{
        self, Address, Credentials, JiraPlace, Message, Policy, Resolver, Sender, Settings, Spool,
        Trust, credentials::Files,
    },
    output::Format,
    report::Redactor,
};

/// Variables by which other programs are told of a proxy.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// Sends a report by HTTP: to Alertmanager, PagerDuty, Jira, or any address that takes one of the renderings.
///
/// Secrets come from files or from the environment (TCPRESS_BEARER, TCPRESS_BASIC, TCPRESS_ROUTING_KEY), never from the command
/// line. A repeat updates what is there: it has the same Idempotency-Key, for PagerDuty the same dedup_key, for Alertmanager the
/// same labels; in Jira the open issue with the label of the incident is looked for. Proxies are not supported. Exit status 1
/// where the report was not sent, also where it waits in the spool.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The report, a JSON document (`tcpress report -o json`).
    #[arg(value_name = "REPORT.json")]
    report: PathBuf,
    /// Where to: the URL of the request itself, such as https://events.pagerduty.com/v2/enqueue,
    /// http://alertmanager:9093/api/v2/alerts or https://NAME.atlassian.net/rest/api/3/issue.
    #[arg(long, value_name = "URL")]
    to: String,
    /// In which shape.
    #[arg(long, value_enum)]
    format: Format,
    /// Trust the authorities in this PEM file and no others. Without it, those of the system: the file that SSL_CERT_FILE names,
    /// or where distributions keep them.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with a bearer token.
    #[arg(long, value_name = "FILE", conflicts_with = "basic_file")]
    bearer_file: Option<PathBuf>,
    /// File with user:password (for Jira Cloud: address:API-token).
    #[arg(long, value_name = "FILE")]
    basic_file: Option<PathBuf>,
    /// File with the integration key of PagerDuty.
    #[arg(long, value_name = "FILE")]
    routing_key_file: Option<PathBuf>,
    /// Key of the project of Jira in which to make the issue.
    #[arg(long, value_name = "KEY", required_if_eq("format", "jira"), value_parser = project)]
    project: Option<String>,
    /// Type of the issue in Jira.
    #[arg(long, value_name = "NAME", default_value = "Task")]
    issue_type: String,
    /// Time for one try.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
    timeout: Duration,
    /// Times to try again, while the far end is down, busy or out of reach.
    #[arg(long, value_name = "N", default_value_t = Policy::default().retries, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Keep in this folder what cannot be sent, and send first what is kept there.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Most that is kept there; what no longer fits is lost, counted and told.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, requires = "spool")]
    spool_bytes: u64,
    /// Pseudonyms instead of names, addresses and labels. Repeats are known all the same: by a hash of node, kind and culprit.
    #[arg(long)]
    redact: bool,
    /// Print what would be sent, with secrets masked, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Not by the parser of the command line: it would repeat what it refuses, which may hold a password.
    let to: Address = match args.to.parse() {
        Ok(to) => to,
        Err(why) => clap::Error::raw(ErrorKind::ValueValidation, format!("--to: {why}\n")).exit(),
    };
    let mut report = follow::read(&args.report)?;
    if args.redact {
        report = Redactor::redacted(&report)?;
    }
    let place = JiraPlace {
        project: args.project.clone().unwrap_or_default(),
        issue_type: args.issue_type.clone(),
    };
    let Some(message) = Message::new(&report, args.format, &to, &place)? else {
        super::say(
            "nothing to send: the verdict is healthy, and no earlier report was compared (`report --compare`) whose alert is over",
        );
        return Ok(ExitCode::SUCCESS);
    };
    let environment = |name: &str| env::var(name).ok();
    let credentials = Credentials::read(
        Files {
            bearer: args.bearer_file.as_deref(),
            basic: args.basic_file.as_deref(),
            routing_key: args.routing_key_file.as_deref(),
        },
        &environment,
    )?;
    let trust = match (&args.ca, to.is_encrypted()) {
        (Some(path), _) => Some(Trust::file(path)?),
        (None, true) => Some(Trust::system(&environment)?),
        (None, false) => None,
    };
    if let Some(trust) = trust.as_ref().filter(|_| to.is_encrypted()) {
        super::say(&format!("trusted: {}", trust.source));
    }
    let sender = Sender::new(Settings {
        trust: trust.as_ref(),
        resolver: Resolver::system(),
        timeout: args.timeout,
        credentials,
        policy: Policy {
            retries: args.retries,
            ..Policy::default()
        },
        say: &super::say,
    })?;
    if args.dry_run {
        let preview = sender.preview(&message)?;
        let mut out = std::io::stdout().lock();
        out.write_all(preview.as_bytes())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let spool = args.spool.as_deref();
    let spool = spool
        .map(|folder| Spool::open(folder, args.spool_bytes))
        .transpose()?;
    let sent = export::send(&sender, spool.as_ref(), &message, args.timeout, &super::say).await;
    let proxy = PROXIES.iter().find(|name| env::var_os(name).is_some());
    match proxy {
        Some(name) => sent.with_context(|| format!("{name} is set, but proxies are not supported")),
        None => sent,
    }
    .map(|()| ExitCode::SUCCESS)
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = super::duration(text)?;
    if time.is_zero() {
        return Err("in no time nothing can be sent".to_owned());
    }
    Ok(time)
}

/// Keys of projects are letters, digits and underscores.
fn project(text: &str) -> Result<String, String> {
    let good = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    match !text.is_empty() && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err("a key of a project is letters, digits and underscores".to_owned()),
    }
}
