//! What a recording left out, so that it can be told.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Capture, Moment, story::REMEMBERED};
use crate::{aggregate::Group, output::size};

/// What was left out that no count is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LeftOut {
    /// Sampled failures.
    pub events: u64,
    /// Sockets to which something happened: their counts are in those of their owners.
    pub socket_states: u64,
    /// Changes of the node's state: how often is in the counts.
    pub moments: u64,
    /// Readings of the number of orphans.
    pub orphans: u64,
    /// Gaps in words.
    pub gaps: u64,
    /// Owners whose counts, or a part of them, are in the sum of all others.
    pub owners: u64,
    /// Rows of network namespaces that are gone, of which none had a residual but 0.
    pub rows: u64,
    /// Times that a memory cgroup was not kept that was less under pressure than others.
    pub memcgs: u64,
}

impl LeftOut {
    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another recording left out.
    pub fn add(&mut self, other: Self) {
        let Self {
            events,
            socket_states,
            moments,
            orphans,
            gaps,
            owners,
            rows,
            memcgs,
        } = other;
        for (sum, more) in [
            (&mut self.events, events),
            (&mut self.socket_states, socket_states),
            (&mut self.moments, moments),
            (&mut self.orphans, orphans),
            (&mut self.gaps, gaps),
            (&mut self.owners, owners),
            (&mut self.rows, rows),
            (&mut self.memcgs, memcgs),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// In words; `None` where nothing was left out.
    fn words(&self) -> Option<String> {
        let named = [
            (self.events, "sampled failure"),
            (self.socket_states, "socket to which something happened"),
            (self.moments, "moment of the timeline"),
            (self.orphans, "reading of the number of orphans"),
            (self.gaps, "gap in words"),
            (self.rows, "row of network namespaces that are gone"),
            (self.memcgs, "reading of memory cgroups under pressure"),
        ];
        let named = named.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = named
            .map(|(count, thing)| match count {
                1 => format!("1 {thing}"),
                // The noun is the first word but for one.
                _ => plural(count, thing),
            })
            .collect();
        (!words.is_empty()).then(|| {
            format!(
                "recording: no room for {}; no count is touched by that",
                words.join(", ")
            )
        })
    }
}

fn plural(count: u64, thing: &str) -> String {
    let noun = match thing.strip_prefix("sampled ") {
        Some(noun) => return format!("{count} sampled {noun}s"),
        None => thing,
    };
    match noun.split_once(' ') {
        Some((noun, rest)) => format!("{count} {noun}s {rest}"),
        None => format!("{count} {noun}s"),
    }
}

/// Owners of whom only the sum was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rest {
    /// How many.
    pub owners: u64,
    /// Most that one of them held, in bytes.
    pub most: u64,
}

impl Capture {
    /// What was left out, in sentences.
    pub(super) fn left_out_in_words(&self) -> Vec<String> {
        let left = self.header.left_out;
        let mut words: Vec<String> = left.words().into_iter().collect();
        if left.owners > 0 {
            words.push(format!(
                "victims: what {}{} suffered, or a part of it, was recorded as one sum",
                if left.owners < REMEMBERED {
                    ""
                } else {
                    "at least "
                },
                size::count(left.owners, "more cgroup")
            ));
        }
        let most = |moment| self.rests.get(&moment).map_or(0, |rest| rest.most);
        let last = self.rests.get(&Moment::End);
        if let Some(rest) = last.or(self.rests.get(&Moment::Start)) {
            words.push(format!(
                "holders: {} of whom none held more than {} were recorded as one sum",
                size::count(rest.owners, "more owner"),
                size::bytes(rest.most)
            ));
        }
        let ends = [Moment::Start, Moment::End];
        let looked = ends.iter().all(|moment| self.scans.contains_key(moment));
        let bound = most(Moment::Start).max(most(Moment::End));
        if looked && bound > 0 && self.apart(Moment::Start) != self.apart(Moment::End) {
            words.push(format!(
                "growth: not the same holders were recorded apart at both ends; that of one which was not may be off by {}",
                size::bytes(bound)
            ));
        }
        words
    }

    /// Owners of a look that were recorded apart.
    fn apart(&self, moment: Moment) -> BTreeSet<Group> {
        let sockets = self.scans.get(&moment).into_iter();
        let sockets = sockets.flat_map(|scan| scan.examples());
        let owners = sockets.filter_map(|socket| {
            let number = self.socket_owners.get(&super::contents::kin(socket))?;
            self.owners.get(number)
        });
        owners.map(Group::of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_in_one_sentence() {
        assert_eq!(LeftOut::default().words(), None);
        let mut left = LeftOut {
            events: 1,
            moments: 2,
            ..LeftOut::default()
        };
        left.add(LeftOut {
            events: 3,
            orphans: 1,
            ..LeftOut::default()
        });
        assert_eq!(
            left.words().unwrap(),
            "recording: no room for 4 sampled failures, 2 moments of the timeline, 1 reading of the number of orphans; no count is touched by that"
        );
    }
}
