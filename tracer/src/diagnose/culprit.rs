//! Who explains what is the matter. `tcp_mem`: whoever has forgotten sockets, node-wide; a holder whose sockets are in use
//! is never accused. `memcg`: holders inside that cgroup's subtree. `rcvbuf`: the socket's own reader, and never anybody else.

use super::{
    leak::{self, Face, Habit},
    sufferer::Sufferer,
};
use crate::{
    aggregate::{Group, Holding, Movement},
    output::size,
    report::{Leak, Owner},
};

/// Owners are named until they explain this much of what is to be explained.
const EXPLAINS: f64 = 0.9;
/// Nobody is named for less than this, but the largest.
const NOTICEABLE: f64 = 0.05;

/// What one owner holds, ready to be accused.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its group.
    pub group: Group,
    /// Who.
    pub owner: Owner,
    /// Its sockets, all or those within a subtree.
    pub holding: Holding,
    /// Whether what arrives is read; `None` where sockets were seen only once.
    pub movement: Option<Movement>,
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

    /// What its sockets say, most bytes first.
    #[must_use]
    pub fn faces(&self) -> Vec<Face> {
        leak::faces(&self.holding, self.movement.as_ref())
    }

    /// Bytes in sockets that it has forgotten.
    #[must_use]
    pub fn leaked(&self) -> u64 {
        leak::held(&self.faces(), |face| face.leak().is_some())
    }

    /// Bytes in sockets that it has closed and the kernel still has to finish.
    #[must_use]
    pub fn orphaned(&self) -> u64 {
        leak::held(&self.faces(), |face| face.habit == Habit::Orphans)
    }
}

/// An account and why it is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Accused {
    /// Who, and what they hold.
    pub account: Account,
    /// How most of what it is accused of is forgotten, if it is.
    pub leak: Option<Leak>,
    /// What it is accused of: bytes in sockets forgotten, orphaned, or all of them.
    pub guilt: u64,
    /// The face that most of this lies in.
    pub face: Option<Face>,
    /// `guilt` as a part of all that the scope takes, found or not, 0 to 1.
    pub weight: f64,
    /// Why it is named, in one sentence.
    pub why: String,
}

/// Whoever has forgotten sockets, most bytes in them first. `whole` is what all sockets of the node take.
#[must_use]
pub fn leakers(accounts: &[Account], whole: u64) -> Vec<Accused> {
    name(accounts, whole, "node-wide", |face| face.leak().is_some())
}

/// Whoever has closed connections that the kernel cannot finish, most bytes in them first.
#[must_use]
pub fn orphaners(accounts: &[Account], whole: u64) -> Vec<Accused> {
    name(accounts, whole, "node-wide", |face| {
        face.habit == Habit::Orphans
    })
}

/// Whoever holds the memory of the cgroups that refused, most bytes first.
#[must_use]
pub fn within(accounts: &[Account]) -> Vec<Accused> {
    let found = accounts.iter().map(Account::held);
    let found = found.fold(0, u64::saturating_add);
    name(accounts, found, "within that cgroup", |_| true)
}

/// Names the accounts that explain most of what a test takes of their faces.
fn name(
    accounts: &[Account],
    whole: u64,
    scope: &str,
    take: impl Fn(&Face) -> bool + Copy,
) -> Vec<Accused> {
    let mut guilty: Vec<(u64, &Account)> = accounts
        .iter()
        // A sum of many is nobody to be accused.
        .filter(|account| account.group != Group::Other)
        .map(|account| (leak::held(&account.faces(), take), account))
        .filter(|(guilt, _)| *guilt > 0)
        .collect();
    guilty.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.group.cmp(&other.group)));
    let all: u64 = guilty.iter().map(|(guilt, _)| guilt).sum();
    let mut named: Vec<Accused> = Vec::new();
    let mut explained = 0;
    for (guilt, account) in guilty {
        let weight = ratio(guilt, whole.max(all));
        if !named.is_empty() && (ratio(explained, all) >= EXPLAINS || weight < NOTICEABLE) {
            break;
        }
        explained += guilt;
        let face = account.faces().into_iter().find(|face| take(face));
        named.push(Accused {
            leak: face.and_then(|face| face.leak()),
            why: why_held(account, face, whole.max(all), scope),
            account: account.clone(),
            guilt,
            face,
            weight,
        });
    }
    named
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

fn why_held(account: &Account, face: Option<Face>, whole: u64, scope: &str) -> String {
    let total = account.holding.total();
    let mut why = format!(
        "holds {}, {} of the TCP memory {scope}, in {}",
        size::bytes(total.held),
        size::percent(ratio(total.held, whole)),
        size::count(total.sockets, "socket"),
    );
    if let Some(face) = face {
        why.push_str(&format!(
            "; {} in {} {} {}: {}",
            size::grouped(face.sockets),
            face.state_name(),
            if face.sockets == 1 { "holds" } else { "hold" },
            size::bytes(face.held),
            face.words
        ));
    }
    if let Some(growth) = account.growth.filter(|growth| *growth != 0) {
        why.push_str(&format!("; {} within the window", size::change(growth)));
    }
    why.push('.');
    why
}

/// A victim whose own doing is the matter: no other workload has a part in it.
#[must_use]
pub fn itself(victim: &Sufferer, account: Option<&Account>, why: String) -> Accused {
    let account = account.cloned().unwrap_or_else(|| Account {
        group: victim.group.clone(),
        owner: victim.victim.owner.clone(),
        holding: Holding::default(),
        movement: None,
        share: None,
        growth: None,
    });
    Accused {
        leak: None,
        guilt: account.held(),
        face: account.faces().into_iter().next(),
        weight: 1.0,
        why,
        account,
    }
}
