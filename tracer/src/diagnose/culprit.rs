//! Who explains the limit that refused. `tcp_mem`: holders node-wide. `memcg`: holders inside that
//! cgroup's subtree. `rcvbuf`: the socket's own reader, and never anybody else.

use std::collections::BTreeMap;

use super::{
    leak::{self, Habit},
    reader::Reader,
    sufferer::Sufferer,
};
use crate::{
    aggregate::{Group, Holding},
    holders::Scan,
    output::size,
    report::{Evidence, Limit, Owner},
};

/// Owners are named until they explain this much of what was found.
const EXPLAINS: f64 = 0.8;
/// Nobody is named for less than this, but the largest.
const NOTICEABLE: f64 = 0.05;
/// Below this even the largest does not stand out.
const STANDS_OUT: f64 = 0.2;

/// What one owner holds, ready to be accused.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its group.
    pub group: Group,
    /// Who.
    pub owner: Owner,
    /// Its sockets, all or those within a subtree.
    pub holding: Holding,
    /// Its part of what was found node-wide, 0 to 1.
    pub share: Option<f64>,
    /// Change within the window, in bytes.
    pub growth: Option<i64>,
}

impl Account {
    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.holding.total().held
    }
}

/// An account and why it is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Accused {
    /// Who, and what they hold.
    pub account: Account,
    /// What dominates it.
    pub habit: Habit,
    /// Part of what was found in sockets of the scope, 0 to 1.
    pub part: f64,
    /// Part of all that the scope takes, found or not, 0 to 1.
    pub weight: f64,
    /// What makes it hold the memory, or its buffers refuse, in a few words.
    pub cause: String,
    /// Why it is named, in one sentence.
    pub why: String,
}

/// The holders that explain most of a scope, most bytes first. `accounts` are those of the scope;
/// `allocated` is what the kernel says it takes, in bytes: where listed sockets explain little of that,
/// even the largest of them is not accused for the rest.
#[must_use]
pub fn holders(accounts: &[Account], allocated: Option<u64>, scope: &str) -> Vec<Accused> {
    let found: u64 = accounts.iter().map(Account::held).sum();
    let whole = found.max(allocated.unwrap_or(0));
    let mut sorted: Vec<&Account> = accounts
        .iter()
        .filter(|account| account.held() > 0)
        .collect();
    sorted.sort_by(|a, b| b.held().cmp(&a.held()).then_with(|| a.group.cmp(&b.group)));
    let mut accused: Vec<Accused> = Vec::new();
    let mut explained = 0.0;
    for account in sorted {
        let part = ratio(account.held(), found);
        let weight = ratio(account.held(), whole);
        let is_first = accused.is_empty() && whole / 2 <= found;
        if !is_first && (explained >= EXPLAINS || weight < NOTICEABLE) {
            break;
        }
        explained += weight;
        let face = leak::face(&account.holding);
        accused.push(Accused {
            account: account.clone(),
            habit: face.map_or(Habit::Plain, |face| face.habit),
            part,
            weight,
            cause: face.map_or_else(String::new, |face| face.words.to_owned()),
            why: why_held(account, part, scope),
        });
    }
    accused
}

/// Whether the first of the accused stands out among all that is allocated.
#[must_use]
pub fn stands_out(accused: &[Accused]) -> bool {
    accused
        .first()
        .is_some_and(|first| first.weight >= STANDS_OUT)
}

/// A part of a whole; 0 of nothing.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "a ratio of sums of u32 sizes")]
    let ratio = part as f64 / whole as f64;
    ratio
}

fn why_held(account: &Account, part: f64, scope: &str) -> String {
    let total = account.holding.total();
    let mut why = format!(
        "holds {}, {} of the TCP memory found {scope}, in {}",
        size::bytes(total.held),
        size::percent(part),
        size::count(total.sockets, "socket"),
    );
    if let Some(face) = leak::face(&account.holding) {
        why.push_str(&format!(
            "; {} in {} {} {}: {}",
            face.part.sockets,
            face.state_name(),
            if face.part.sockets == 1 {
                "holds"
            } else {
                "hold"
            },
            size::bytes(face.part.held),
            face.words
        ));
    }
    if let Some(growth) = account.growth.filter(|growth| *growth != 0) {
        why.push_str(&format!("; {} within the window", size::change(growth)));
    }
    why.push('.');
    why
}

/// The readers of sockets whose own buffers refused: the victims themselves, never anybody else.
#[must_use]
pub fn readers(
    victims: &[Sufferer],
    accounts: &BTreeMap<Group, Account>,
    evidence: &[(Group, Evidence)],
    scan: Option<&Scan>,
) -> Vec<Accused> {
    let any_refused = victims.iter().any(|v| v.by_limit(Limit::Rcvbuf).0 > 0);
    let mut accused: Vec<Accused> = victims
        .iter()
        .filter(|v| v.group != Group::Unattributed)
        .filter_map(|v| {
            let (refused, pruned) = v.by_limit(Limit::Rcvbuf);
            // Where something was refused, a prune alone accuses nobody: it is how a full queue is tidied.
            if refused == 0 && (any_refused || pruned == 0) {
                return None;
            }
            let account = accounts.get(&v.group).cloned().unwrap_or_else(|| Account {
                group: v.group.clone(),
                owner: v.victim.owner.clone(),
                holding: Holding::default(),
                share: None,
                growth: None,
            });
            let did = if refused > 0 {
                format!("refused {}", size::count(refused, "segment"))
            } else {
                format!("were pruned {}", size::count(pruned, "time"))
            };
            let cause = Reader::of(v, evidence, scan).words();
            let why = format!("the receive buffers of its own sockets {did}: {cause}.");
            Some(Accused {
                account,
                habit: Habit::NotReading,
                part: 1.0,
                weight: 1.0,
                cause,
                why,
            })
        })
        .collect();
    accused.sort_by(|a, b| {
        let held = b.account.held().cmp(&a.account.held());
        held.then_with(|| a.account.group.cmp(&b.account.group))
    });
    accused
}
