//! Names within sentences: those that are known, and what looks like one.

use std::collections::HashMap;

use super::names::Kind;

/// Letters by which names are looked up.
const HEAD: usize = 3;

/// Known names with their pseudonyms.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// By their first letters, the longest first.
    by_head: HashMap<String, Vec<(String, String)>>,
}

impl Dictionary {
    /// Adds a name. One that is a number alone would take numbers out of sentences, and tells nothing.
    pub(super) fn add(&mut self, name: String, pseudonym: &str) {
        if name.chars().all(|c| c.is_ascii_digit()) {
            return;
        }
        let names = self.by_head.entry(head(&name, HEAD)).or_default();
        let at = names.partition_point(|(other, _)| other.len() > name.len());
        let mut same = names[at..]
            .iter()
            .take_while(|(other, _)| other.len() == name.len());
        if !same.any(|(other, _)| *other == name) {
            names.insert(at, (name, pseudonym.to_owned()));
        }
    }

    /// The longest name at the beginning of a text that is a word of its own, and its pseudonym.
    pub(super) fn longest(&self, before: Option<char>, text: &str) -> Option<(usize, &str)> {
        (1..=HEAD).rev().find_map(|letters| {
            let names = self.by_head.get(&head(text, letters))?;
            let (name, pseudonym) = names.iter().find(|(name, _)| {
                // Of shorter ones the whole name is its head.
                text.starts_with(name.as_str()) && is_word(before, name, &text[name.len()..])
            })?;
            Some((name.len(), pseudonym.as_str()))
        })
    }
}

fn head(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

/// Whether a name does not go on before it or behind it.
fn is_word(before: Option<char>, name: &str, after: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    let joins = |a: Option<char>, b: Option<char>| a.is_some_and(goes_on) && b.is_some_and(goes_on);
    !joins(before, name.chars().next()) && !joins(name.chars().next_back(), after.chars().next())
}

/// Paths that are the same on every node.
const COMMON_PATHS: [&str; 9] = [
    "/proc",
    "/sys",
    "/dev",
    "/run/containerd",
    "/run/k3s",
    "/run/crio",
    "/run/cri-dockerd.sock",
    "/var/run",
    "/var/log/pods",
];
/// Letters of an id, at least.
const ID: usize = 32;
/// Letters of a UID, with its dashes.
const UID: usize = 36;

/// What looks like a name although no field gave it: an id, a path, a namespace and a pod. How long it is, and what it is.
pub(super) fn unknown(
    before: Option<char>,
    text: &str,
    below_cgroups: bool,
) -> Option<(usize, Kind)> {
    let first = text.chars().next()?;
    if first == '/' {
        return path(before, text, below_cgroups);
    }
    if !first.is_ascii_alphanumeric()
        || before.is_some_and(|c| c.is_alphanumeric() || "_/.-".contains(c))
    {
        return None;
    }
    uid(text).or_else(|| id(text)).or_else(|| pod(text))
}

fn path(before: Option<char>, text: &str, below_cgroups: bool) -> Option<(usize, Kind)> {
    let end = |c: char| c.is_whitespace() || "'\"`(),;:".contains(c);
    let taken = text.find(end).unwrap_or(text.len());
    let path = &text[..taken];
    if below_cgroups {
        // The files of the root are everywhere.
        let deep = path.trim_start_matches('/').contains('/');
        return deep.then_some((taken, Kind::Cgroup));
    }
    let starts = before.is_none_or(|c| c.is_whitespace() || "'\"`(=:".contains(c));
    let is_common = |common: &&str| {
        let rest = path.strip_prefix(*common);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let known = COMMON_PATHS.iter().any(is_common) && !path.starts_with("/var/log/pods/");
    let deep = path.len() > 1;
    (starts && deep && !known).then_some((taken, Kind::Path))
}

/// A UID, as RFC 9562 spells it, or with the underscores of the systemd driver.
fn uid(text: &str) -> Option<(usize, Kind)> {
    let uid = text.get(..UID)?;
    let good = uid.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-' || c == '_',
        _ => c.is_ascii_hexdigit(),
    });
    (good && ends(&text[UID..])).then_some((UID, Kind::Uid))
}

/// The id of a container.
fn id(text: &str) -> Option<(usize, Kind)> {
    let taken = text
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(text.len());
    (taken >= ID && ends(&text[taken..])).then_some((taken, Kind::ContainerId))
}

/// A namespace, a slash, and a pod.
fn pod(text: &str) -> Option<(usize, Kind)> {
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let taken = text
        .find(|c: char| !name(c) && c != '/')
        .unwrap_or(text.len());
    let taken = text[..taken].trim_end_matches(['.', '-']).len();
    let (namespace, pod) = text[..taken].split_once('/')?;
    let is_name = |name: &str| name.chars().any(|c| c.is_ascii_lowercase());
    let good = is_name(namespace) && is_name(pod) && !pod.contains('/') && !namespace.contains('.');
    (good && ends(&text[taken..])).then_some((taken, Kind::Owner))
}

fn ends(after: &str) -> bool {
    !after.starts_with(|c: char| c.is_alphanumeric() || "_/".contains(c))
}
