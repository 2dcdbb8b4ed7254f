//! From text to a configuration, or to everything that is wrong with it.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, ensure};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Config, ConfigError, KEYS, Place, checks};

/// Largest file that is taken for a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a configuration file.
///
/// # Errors
/// When it cannot be read, or is none by its size or its bytes.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let name = path.display();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the configuration {name}"))?;
    ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "{name} is no configuration: it is larger than 1 MiB"
    );
    String::from_utf8(bytes).with_context(|| format!("{name} is no configuration"))
}

impl Config {
    /// Reads a configuration: defaults, where it says nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines.
    ///
    /// ```
    /// use tracer::agent::config::Config;
    ///
    /// let wrong = Config::parse("[scan]\nintervall = \"60s\"\n").unwrap_err();
    /// assert_eq!(wrong[0].to_string(), "line 2: there is no key scan.intervall; the nearest is scan.interval");
    /// ```
    pub fn parse(text: &str) -> Result<Self, Vec<ConfigError>> {
        Self::parse_with(text, &[])
    }

    /// The same, with keys and values of the command line, which outweigh the file. A value is written as in the file; quotes around
    /// a text may lack.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with(text: &str, given: &[(String, String)]) -> Result<Self, Vec<ConfigError>> {
        let (document, broken) = DeTable::parse_recoverable(text);
        let line = |at: usize| Place::Line(1 + text[..at.min(text.len())].matches('\n').count());
        let mut wrong: Vec<ConfigError> = broken
            .iter()
            .map(|error| {
                let at = error.span().map_or(0, |span| span.start);
                ConfigError::new(line(at), format!("no TOML: {}", error.message()))
            })
            .collect();
        let mut config = Self::default();
        // Of a broken file nothing else can be said with certainty.
        if wrong.is_empty() {
            for (name, value) in document.get_ref() {
                take(&mut config, "", name, value, &line, &mut wrong);
            }
        }
        for (name, value) in given {
            let value = DeValue::parse(value).map_or_else(
                |_| DeValue::String(DeString::Borrowed(value)),
                Spanned::into_inner,
            );
            if let Err(why) = set(&mut config, name, &value) {
                wrong.push(ConfigError::new(Place::Option, why));
            }
        }
        if wrong.is_empty() {
            wrong = checks::together(&config);
        }
        wrong.sort_by_key(|error| match error.place {
            Place::Line(line) => line,
            _ => usize::MAX,
        });
        match wrong.is_empty() {
            true => Ok(config),
            false => Err(wrong),
        }
    }
}

/// Takes one entry of a table, or a table with its own entries.
fn take(
    config: &mut Config,
    table: &str,
    name: &Spanned<DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
    line: &dyn Fn(usize) -> Place,
    wrong: &mut Vec<ConfigError>,
) {
    let full = match table {
        "" => name.get_ref().to_string(),
        table => format!("{table}.{}", name.get_ref()),
    };
    let inner = value.get_ref().as_table();
    if let Some(inner) = inner.filter(|_| is_table(&full)) {
        for (name, value) in inner {
            take(config, &full, name, value, line, wrong);
        }
    } else if let Err(why) = set(config, &full, value.get_ref()) {
        wrong.push(ConfigError::new(line(name.span().start), why));
    }
}

fn set(config: &mut Config, name: &str, value: &DeValue<'_>) -> Result<(), String> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        let taken = (key.slot)(config).take(value);
        return taken.map_err(|why| format!("{name}: {why}"));
    }
    let what = match value {
        DeValue::Table(_) => "table",
        _ if is_table(name) => return Err(format!("{name} is a table: write [{name}]")),
        _ => "key",
    };
    let near = nearest(name, what == "table");
    let near = near.map_or_else(
        || "; docs/agent.md has all".to_owned(),
        |near| format!("; the nearest is {near}"),
    );
    Err(format!("there is no {what} {name}{near}"))
}

fn is_table(name: &str) -> bool {
    tables().any(|table| table == name)
}

fn tables() -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter_map(|key| Some(key.name.split_once('.')?.0))
}

/// The known name that was most likely meant; `None` where nothing is near.
pub(super) fn nearest(name: &str, tables_only: bool) -> Option<&'static str> {
    let last = |name: &'static str| name.rsplit_once('.').map_or(name, |(_, last)| last);
    // A name that is right but stands in the wrong table is the nearest of all.
    let strayed = |known: &&'static str| !tables_only && last(known) == unqualified(name);
    let known = || KEYS.iter().map(|key| key.name).filter(|_| !tables_only);
    let mut strayed = known().filter(strayed);
    if let (Some(only), None) = (strayed.next(), strayed.next()) {
        return Some(only);
    }
    let far = |known: &&'static str| strsim::damerau_levenshtein(known, name);
    let near = known().chain(tables()).min_by_key(far)?;
    // As far as a third of the letters, nobody meant it.
    (far(&near) <= name.chars().count().max(6) / 3).then_some(near)
}

fn unqualified(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}
