//! Sums over owners: all, and those that nothing names.

use super::Harms;
use crate::{
    aggregate::Harm,
    attribute::OwnerKind,
    diagnose::Account,
    report::{Attribution, Inputs, owner},
};

/// The section; `accounts` are those of all holders, where sockets were listed.
pub(super) fn attribution(
    inputs: &Inputs<'_>,
    harms: &Harms,
    accounts: Option<&[Account]>,
) -> Attribution {
    let refused = |harm: &Harm| harm.refusals().into_iter().fold(0, u64::saturating_add);
    let is_unknown = |harm: &&Harm| {
        let mut owners = harm.owners.iter();
        owners.all(|owner| owner.kind == OwnerKind::Unknown)
    };
    let sum =
        |harms: &mut dyn Iterator<Item = &Harm>| harms.map(refused).fold(0, u64::saturating_add);
    let held = |accounts: &mut dyn Iterator<Item = &Account>| {
        accounts.map(Account::held).fold(0, u64::saturating_add)
    };
    let unknown = |account: &&Account| account.owner.kind == owner::OwnerKind::Unknown;
    Attribution {
        refusals: inputs.traced.then(|| sum(&mut harms.values())),
        unknown_refusals: inputs
            .traced
            .then(|| sum(&mut harms.values().filter(is_unknown))),
        held_bytes: accounts.map(|accounts| held(&mut accounts.iter())),
        unknown_held_bytes: accounts.map(|accounts| held(&mut accounts.iter().filter(unknown))),
        runtimes: inputs.runtimes.to_vec(),
    }
}
