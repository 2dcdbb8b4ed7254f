//! Reads which Debian archive this machine is configured to use, in both formats that apt knows.
//! Nothing here names a host: an archive is only ever found, or given by the user.

use std::{fs, path::Path};

/// One source of packages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Source {
    /// The address of the archive, as written.
    pub(crate) uri: String,
    /// Its suites.
    pub(crate) suites: Vec<String>,
    /// Its components.
    pub(crate) components: Vec<String>,
}

/// The archives from which the private apt state is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archives {
    /// Where suites such as `bookworm` and `trixie-backports` are.
    pub(crate) main: String,
    /// Where suites such as `bookworm-security` are, if the machine uses them.
    pub(crate) security: Option<String>,
}

/// Everything that the files below `etc` (normally `/etc/apt`) configure.
pub(crate) fn read(etc: &Path) -> Vec<Source> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(one_line(&text)),
            Some("sources") => found.extend(deb822(&text)),
            _ => {}
        }
    }
    found
}

/// Chooses the Debian archives among the configured sources. `codename` is the machine's own
/// release; other publishers also call a suite "stable", so those count only if the address says
/// debian.
pub(crate) fn archives(sources: &[Source], codename: &str) -> Option<Archives> {
    const RELEASES: [&str; 7] = [
        "bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing",
    ];
    let debian = |source: &&Source| source.components.iter().any(|part| part == "main");
    let serves = |source: &Source, wanted: &dyn Fn(&str) -> bool| {
        source.suites.iter().any(|suite| wanted(suite))
    };
    let main = sources
        .iter()
        .filter(debian)
        .find(|source| {
            serves(source, &|suite| {
                suite == codename && RELEASES.contains(&suite)
            })
        })
        .or_else(|| {
            sources.iter().filter(debian).find(|source| {
                source.uri.contains("debian") && serves(source, &|suite| RELEASES.contains(&suite))
            })
        })?;
    let security = sources.iter().filter(debian).find(|source| {
        serves(source, &|suite| {
            suite
                .strip_suffix("-security")
                .is_some_and(|release| RELEASES.contains(&release))
        })
    });
    Some(Archives {
        main: main.uri.clone(),
        security: security.map(|source| source.uri.clone()),
    })
}

/// `deb [options] uri suite component…`
fn one_line(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some(rest) = line
            .strip_prefix("deb")
            .filter(|rest| rest.starts_with([' ', '\t']))
        else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = match rest
            .strip_prefix('[')
            .and_then(|options| options.split_once(']'))
        {
            Some((_, after)) => after,
            None => rest,
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            found.push(Source {
                uri,
                suites: vec![suite],
                components: words.collect(),
            });
        }
    }
    found
}

/// Paragraphs of `Field: value`, where a line that starts with a blank continues the field.
fn deb822(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            found.extend(paragraph(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((field, value)) = line.split_once(':') {
            fields.push((field.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

fn paragraph(fields: &[(String, String)]) -> Vec<Source> {
    let words = |name: &str| -> Vec<String> {
        fields
            .iter()
            .filter(|(field, _)| field == name)
            .flat_map(|(_, value)| value.split_whitespace().map(str::to_owned))
            .collect()
    };
    let off = words("enabled")
        .iter()
        .any(|word| word.eq_ignore_ascii_case("no"));
    if off || !words("types").iter().any(|word| word == "deb") {
        return Vec::new();
    }
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_line_sources_with_and_without_options() {
        let text = "# deb http://off.example x main\n\
            deb [signed-by=/k.gpg arch=amd64] http://a.example/debian bookworm main contrib\n\
            deb-src http://a.example/debian bookworm main\n\
            deb http://b.example/s bookworm-security main # note\n";
        let found = one_line(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].uri, "http://a.example/debian");
        assert_eq!(found[0].components, list(&["main", "contrib"]));
        assert_eq!(found[1].suites, list(&["bookworm-security"]));
    }

    #[test]
    fn paragraphs_with_continued_lines_comments_and_a_disabled_one() {
        let text = "Types: deb deb-src\n# note\nURIs: http://a.example/debian\n\
            Suites: trixie\n trixie-updates\nComponents: main\n\n\
            Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: x\nComponents: main\n";
        let found = deb822(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].suites, list(&["trixie", "trixie-updates"]));
    }

    #[test]
    fn the_archive_of_the_own_release_wins_over_a_foreign_stable() {
        let text = "deb http://foreign.example/apt stable main\n\
            deb http://a.example/debian bookworm main\n\
            deb http://a.example/security bookworm-security main\n";
        let expected = Archives {
            main: "http://a.example/debian".to_owned(),
            security: Some("http://a.example/security".to_owned()),
        };
        assert_eq!(archives(&one_line(text), "bookworm"), Some(expected));
        let ubuntu = one_line("deb http://u.example/ubuntu noble main universe\n");
        assert_eq!(archives(&ubuntu, "noble"), None);
    }
}
