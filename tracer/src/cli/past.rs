//! What was: times as people write them, and the recording that `tcpress agent` keeps.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, civil::Time, tz::TimeZone};

use crate::{agent::recorder::History, capture::Capture, output::text};

/// Where the agent records, unless told otherwise.
pub(super) const HISTORY: &str = "/var/lib/tcpress/history.tcpress";

/// A time that is over.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What was (from the recording of tcpress agent; nothing is traced)")]
pub(super) struct Past {
    /// From this time on: 2026-03-14T15:09:26Z, 15:09 (UTC, as in reports; the last time that it was so), -15m or "15m ago".
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with_all = ["interval", "until_recovered", "duration", "no_bpf", "selfcheck"]
    )]
    since: Option<String>,
    /// Until this time; until now by default.
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        requires = "since"
    )]
    until: Option<String>,
    /// The recording.
    #[arg(long, value_name = "FILE", default_value = HISTORY, requires = "since")]
    history: PathBuf,
}

impl Past {
    /// What was recorded of the time that was asked for; `None` where none was.
    pub(super) fn recorded(&self) -> anyhow::Result<Option<Capture>> {
        let Some(since) = &self.since else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let since = moment(since, now)?;
        let until = self.until.as_deref().map(|until| moment(until, now));
        let until = until.transpose()?.unwrap_or(now);
        anyhow::ensure!(
            since < until,
            "--since {since:.0} is not before --until {until:.0}"
        );
        let history = History::open(&self.history)?;
        let capture = history.between(since, until)?;
        let [start, end] = capture.ends();
        super::say(&format!("recorded: from {start:.0} to {end:.0}"));
        let (version, recorder) = (env!("CARGO_PKG_VERSION"), &capture.header().tcpress);
        if recorder != version {
            super::say(&format!(
                "recorded by tcpress {}, answered by {version}",
                text::name(recorder)
            ));
        }
        Ok(Some(capture))
    }
}

/// A time as people write it.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    let wrong = || {
        anyhow::anyhow!(
            "{} is no time such as 2026-03-14T15:09:26Z, 15:09, -15m or \"15m ago\"",
            text::clean(text, 60)
        )
    };
    let ago = text.strip_prefix('-').or_else(|| text.strip_suffix("ago"));
    if let Some(ago) = ago {
        let ago: SignedDuration = ago.trim().parse().map_err(|_| wrong())?;
        anyhow::ensure!(!ago.is_negative(), wrong());
        return now.checked_sub(ago).map_err(|_| wrong());
    }
    if text == "now" {
        return Ok(now);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A bare number is no time of the day, though ISO 8601 allows it.
    anyhow::ensure!(text.contains(':'), wrong());
    let time: Time = text.parse().map_err(|_| wrong())?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let at = |day: jiff::civil::Date| {
        let zoned = day.to_datetime(time).to_zoned(TimeZone::UTC);
        zoned.map(|zoned| zoned.timestamp())
    };
    match at(today) {
        Ok(at) if at <= now => Ok(at),
        _ => at(today.yesterday().map_err(|_| wrong())?).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::recorder::{Log, MIN_SIZE},
        capture::tests::minute,
        fixture::Fixture,
    };

    #[test]
    fn what_was_recorded_is_answered_and_what_was_not_says_what_there_is() {
        let folder = Fixture::new();
        let history = folder.path().join("history.tcpress");
        let mut log = Log::open(&history, MIN_SIZE, false).unwrap();
        // From 15:09:26 to 15:11:26.
        log.write(&minute(0, 3)).unwrap();
        log.write(&minute(1, 4)).unwrap();
        let past = |since: Option<&str>, until: Option<&str>| Past {
            since: since.map(Into::into),
            until: until.map(Into::into),
            history: history.clone(),
        };
        let refused = |since, until| {
            let capture = past(Some(since), Some(until)).recorded().unwrap().unwrap();
            capture.report().victims[0].refused()
        };
        let (start, end) = ("2026-03-14T15:09:26Z", "2026-03-14T15:11:26Z");
        assert_eq!(refused(start, end), 7);
        assert_eq!(refused("2026-03-14T15:10:26Z", end), 4);
        assert!(past(None, None).recorded().unwrap().is_none());
        let error = |past: Past| past.recorded().unwrap_err().to_string();
        assert!(error(past(Some(end), Some(start))).contains("is not before"));
        let nothing = error(past(
            Some("2026-03-14T16:00:00Z"),
            Some("2026-03-14T17:00:00Z"),
        ));
        assert!(
            nothing.contains(&format!("there is something from {start} to {end}")),
            "{nothing}"
        );
        let nowhere = Past {
            history: folder.path().join("none"),
            ..past(Some(start), Some(end))
        };
        assert!(error(nowhere).contains("cannot read"));
    }

    #[test]
    fn times_as_people_write_them() {
        let now: Timestamp = "2026-03-14T15:09:26Z".parse().unwrap();
        for (text, want) in [
            ("2026-03-13T01:02:03Z", "2026-03-13T01:02:03Z"),
            ("2026-03-14T17:00:00+02:00", "2026-03-14T15:00:00Z"),
            ("15:09", "2026-03-14T15:09:00Z"),
            ("15:09:27", "2026-03-13T15:09:27Z"),
            ("00:00", "2026-03-14T00:00:00Z"),
            ("-15m", "2026-03-14T14:54:26Z"),
            ("15m ago", "2026-03-14T14:54:26Z"),
            (" 1h30m ago ", "2026-03-14T13:39:26Z"),
            ("-2h", "2026-03-14T13:09:26Z"),
            ("now", "2026-03-14T15:09:26Z"),
        ] {
            let want: Timestamp = want.parse().unwrap();
            assert_eq!(moment(text, now).unwrap(), want, "{text}");
        }
        for text in [
            "",
            "-",
            "ago",
            "yesterday",
            "25:00",
            "--5m",
            "-x",
            "15",
            "\u{1b}[2J",
        ] {
            let error = moment(text, now).unwrap_err().to_string();
            assert!(error.contains("is no time such as"), "{text}: {error}");
            assert!(!error.contains('\u{1b}'));
        }
    }
}
