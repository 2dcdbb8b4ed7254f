//! The pseudonyms of names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::{address::Addresses, sentence::Dictionary};
use crate::output::text::{self, NAME_MAX};

/// What has a name. Where one name stands for several things, it has the pseudonym of the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Namespace,
    Pod,
    Workload,
    Container,
    Node,
    Image,
    Unit,
    Command,
    Cgroup,
    Uid,
    ContainerId,
    /// The value of a label.
    Label,
    /// The key of a label.
    Key,
    /// An owner whose name is put together in a way that is not known.
    Owner,
    /// A file.
    Path,
}

impl Kind {
    fn pseudonym(self, number: u64, of: &str) -> String {
        let word = match self {
            Self::Namespace => "namespace",
            Self::Pod => "pod",
            Self::Workload => "workload",
            Self::Container => "container",
            Self::Node => "node",
            Self::Image => "image",
            Self::Command => "command",
            Self::Label => "value",
            Self::Key => "label",
            Self::Owner => "owner",
            Self::Cgroup => return format!("/cgroup-{number}"),
            Self::Path => return format!("/path-{number}"),
            Self::Uid => return format!("00000000-0000-4000-8000-{number:012x}"),
            // People know containers by the first twelve digits.
            Self::ContainerId => return format!("{number:012x}{}", "0".repeat(52)),
            Self::Unit => {
                let suffix = of.rsplit_once('.').map_or("", |(_, suffix)| suffix);
                let known = ["service", "scope", "slice", "socket", "mount", "timer"];
                return match known.contains(&suffix) {
                    true => format!("unit-{number}.{suffix}"),
                    false => format!("unit-{number}"),
                };
            }
        };
        format!("{word}-{number}")
    }
}

/// Digits of a container id that are shown.
const SHORT_ID: usize = 12;
/// Longest name with whom to call, as headlines have it.
const TITLE_MAX: usize = 2 * NAME_MAX;
/// Keys of labels that Kubernetes, or many, use: they tell nothing.
const KNOWN_KEYS: [&str; 8] = [
    "team",
    "owner",
    "contact",
    "app",
    "tier",
    "role",
    "version",
    "pod-template-hash",
];
/// Ends of the domains of keys that Kubernetes documents.
const KNOWN_DOMAINS: [&str; 2] = ["kubernetes.io/", "k8s.io/"];

/// Every name with its pseudonym.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names that fields gave and that have no pseudonym yet.
    waiting: BTreeMap<String, (Kind, usize)>,
    /// All names that fields gave: no pseudonym is one of them.
    originals: BTreeSet<String>,
    pseudonyms: HashMap<String, String>,
    /// Names of owners that are put together from others.
    owners: HashMap<String, String>,
    waiting_owners: Vec<Map<String, Value>>,
    numbers: BTreeMap<Kind, u64>,
    dictionary: Dictionary,
    addresses: Addresses,
}

impl Names {
    /// Takes note of a name, or of several.
    pub(super) fn learn_value(&mut self, kind: Kind, value: &Value) {
        match value {
            Value::String(name) => self.learn_name(kind, name),
            Value::Array(all) => all.iter().for_each(|inner| self.learn_value(kind, inner)),
            _ => {}
        }
    }

    /// Takes note of the key of a label.
    pub(super) fn learn_key(&mut self, key: &str) {
        if !is_known_key(key) {
            self.learn_name(Kind::Key, key);
        }
    }

    /// Takes note of an owner, whose name is put together from the other fields.
    pub(super) fn learn_owner(&mut self, owner: &Map<String, Value>) {
        self.waiting_owners.push(owner.clone());
        self.originals.extend(string(owner, "name").map(Into::into));
    }

    fn learn_name(&mut self, kind: Kind, name: &str) {
        // The root of all cgroups is everywhere.
        if name.is_empty() || name == "/" || self.pseudonyms.contains_key(name) {
            return;
        }
        let order = self.waiting.len();
        let known = self.waiting.entry(name.to_owned()).or_insert((kind, order));
        known.0 = known.0.min(kind);
        self.originals.insert(name.to_owned());
    }

    /// Gives pseudonyms to all that was learnt, in the order in which it was.
    pub(super) fn settle(&mut self) {
        let mut waiting: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        waiting.sort_by_key(|(_, (_, order))| *order);
        for (name, (kind, _)) in waiting {
            self.give(kind, &name);
        }
        for owner in std::mem::take(&mut self.waiting_owners) {
            self.settle_owner(&owner);
        }
    }

    fn give(&mut self, kind: Kind, name: &str) -> String {
        let number = self.numbers.entry(kind).or_default();
        let pseudonym = loop {
            *number += 1;
            let pseudonym = kind.pseudonym(*number, name);
            if !self.originals.contains(&pseudonym) {
                break pseudonym;
            }
        };
        self.pseudonyms.insert(name.to_owned(), pseudonym.clone());
        self.spell(name, &pseudonym);
        if kind == Kind::ContainerId {
            let short = |id: &str| id.chars().take(SHORT_ID).collect::<String>();
            self.spell(&short(name), &short(&pseudonym));
        }
        if kind == Kind::Uid {
            // As the systemd driver spells it in paths.
            self.spell(&name.replace('-', "_"), &pseudonym.replace('-', "_"));
        }
        pseudonym
    }

    /// A name as sentences have it: whole, made safe, cut, and quoted for a shell.
    fn spell(&mut self, name: &str, pseudonym: &str) {
        let spellings = [
            name.to_owned(),
            text::clean(name, usize::MAX),
            text::clean(name, NAME_MAX),
            text::clean(name, TITLE_MAX),
            name.replace('\'', r"'\''"),
        ];
        for spelling in spellings {
            self.dictionary.add(spelling, pseudonym);
        }
    }

    fn settle_owner(&mut self, owner: &Map<String, Value>) {
        let Some(name) = string(owner, "name") else {
            return;
        };
        if !self.owners.contains_key(name) {
            let pseudonym = self.name_of(owner, name);
            self.spell(name, &pseudonym);
            self.owners.insert(name.to_owned(), pseudonym);
        }
        // Headlines say whom to call as well.
        let contact = owner.get("contact").and_then(|all| all.get(0));
        let contact = contact.and_then(Value::as_object);
        if let Some((key, value)) =
            contact.and_then(|it| string(it, "key").zip(string(it, "value")))
        {
            let last = |key: &str| key.rsplit('/').next().unwrap_or(key).to_owned();
            let title = format!("{name} ({} {value})", last(key));
            let pseudonym = format!(
                "{} ({} {})",
                self.owner(name),
                last(&self.key(key)),
                self.pseudonym(Kind::Label, value)
            );
            self.spell(&title, &pseudonym);
        }
    }

    /// The name to show of an owner, from the pseudonyms of its parts.
    fn name_of(&mut self, owner: &Map<String, Value>, name: &str) -> String {
        let part = |key: &str| string(owner, key).map(ToOwned::to_owned);
        let known = |names: &Self, key: &str| {
            let part = string(owner, key)?;
            Some(names.pseudonyms.get(part).cloned().unwrap_or_default())
        };
        let namespace = known(self, "k8s.namespace.name");
        let pod = known(self, "k8s.pod.name");
        let uid = known(self, "k8s.pod.uid");
        let kind = string(owner, "kind").unwrap_or_default();
        let whole = match kind {
            "pod" => match (namespace, pod, uid) {
                (Some(namespace), Some(pod), _) => Some(format!("{namespace}/{pod}")),
                (None, Some(pod), _) => Some(pod),
                (_, None, Some(uid)) => Some(format!("pod {uid}")),
                (_, None, None) => None,
            },
            "container" => known(self, "container.id").map(|id| {
                let short: String = id.chars().take(SHORT_ID).collect();
                format!("container {short}")
            }),
            "systemd_unit" => known(self, "systemd.unit"),
            "process" => known(self, "process.command").map(|command| {
                let pid = owner.get("process.pid").and_then(Value::as_i64);
                pid.map_or_else(|| command.clone(), |pid| format!("{command}[{pid}]"))
            }),
            "cgroup" => known(self, "cgroup.path"),
            _ => Some(self.nobody(name)),
        };
        // Where only a cgroup is known, it is the name.
        let whole = whole.or_else(|| {
            let path = part("cgroup.path").filter(|path| path == name)?;
            self.pseudonyms.get(&path).cloned()
        });
        whole.unwrap_or_else(|| self.give(Kind::Owner, name))
    }

    /// The name of what nobody owns: words of our own, but a network namespace is told with who lives in it.
    fn nobody(&mut self, name: &str) -> String {
        let Some((netns, sharers)) = name.split_once(", shared by ") else {
            return self.sentence(name);
        };
        let sharers: Vec<String> = sharers
            .split(", ")
            .map(|sharer| match self.owners.get(sharer) {
                Some(pseudonym) => pseudonym.clone(),
                None if is_more(sharer) => sharer.to_owned(),
                None => self.pseudonym(Kind::Owner, sharer),
            })
            .collect();
        format!("{netns}, shared by {}", sharers.join(", "))
    }

    /// The pseudonym of an owner's name.
    pub(super) fn owner(&mut self, name: &str) -> String {
        match self.owners.get(name) {
            Some(pseudonym) => pseudonym.clone(),
            None => self.nobody(name),
        }
    }

    /// The pseudonym of a name that has one.
    pub(super) fn known(&self, name: &str) -> Option<&str> {
        let known = self
            .owners
            .get(name)
            .or_else(|| self.pseudonyms.get(name))?;
        Some(known)
    }

    /// The pseudonym of a name.
    pub(super) fn pseudonym(&mut self, kind: Kind, name: &str) -> String {
        if name.is_empty() || name == "/" {
            return name.to_owned();
        }
        match self.pseudonyms.get(name) {
            Some(pseudonym) => pseudonym.clone(),
            None => self.give(kind, name),
        }
    }

    /// The key of a label, as it is where many use it.
    pub(super) fn key(&mut self, key: &str) -> String {
        match is_known_key(key) {
            true => key.to_owned(),
            false => self.pseudonym(Kind::Key, key),
        }
    }

    /// A sentence with pseudonyms.
    pub(super) fn sentence(&mut self, sentence: &str) -> String {
        let mut done = String::new();
        let mut before = None;
        let mut rest = sentence;
        while let Some(letter) = rest.chars().next() {
            let (taken, instead) = self.at(before, rest, done.ends_with("/sys/fs/cgroup"));
            let taken = taken.max(letter.len_utf8());
            match instead {
                Some(instead) => done.push_str(&instead),
                None => done.push_str(&rest[..taken]),
            }
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        done
    }

    /// What stands at the beginning of a text: how long it is, and what takes its place. `below_cgroups` tells that the root of
    /// cgroups stands before it.
    fn at(
        &mut self,
        before: Option<char>,
        text: &str,
        below_cgroups: bool,
    ) -> (usize, Option<String>) {
        if let Some((taken, pseudonym)) = self.dictionary.longest(before, text) {
            return (taken, Some(pseudonym.to_owned()));
        }
        if let Some((taken, instead)) = self.addresses.at(before, text) {
            return (taken, Some(instead));
        }
        if let Some((taken, kind)) = super::sentence::unknown(before, text, below_cgroups) {
            let name = &text[..taken];
            let instead = match kind {
                // Namespace and name.
                Kind::Owner => {
                    let (namespace, pod) = name.split_once('/').unwrap_or(("", name));
                    let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
                    let namespace = self.pseudonym(Kind::Namespace, &namespace);
                    format!("{namespace}/{}", self.pseudonym(Kind::Pod, &pod))
                }
                kind => self.pseudonym(kind, name),
            };
            return (taken, Some(instead));
        }
        (0, None)
    }
}

fn string<'a>(of: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    of.get(key).and_then(Value::as_str)
}

/// `3 more`.
fn is_more(text: &str) -> bool {
    let number = text.strip_suffix(" more");
    number.is_some_and(|number| number.bytes().all(|c| c.is_ascii_digit()))
}

/// Whether the key of a label tells nothing of who uses it.
fn is_known_key(key: &str) -> bool {
    let documented = |end: &&str| {
        key.rsplit_once('/').is_some_and(|(domain, _)| {
            let domain = format!("{domain}/");
            domain.ends_with(&format!(".{end}")) || domain == **end
        })
    };
    KNOWN_KEYS.contains(&key) || KNOWN_DOMAINS.iter().any(documented)
}
