//! A capture as records, and back.

use std::collections::BTreeMap;

use super::{
    Capture,
    contents::kin,
    record::{Moment, Record},
};
use crate::holders::{Scan, Socket, Sum};

impl Capture {
    /// Every line of the file, the counts before what is much and can be spared.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let header = Record::Header(Box::new(self.header.clone()));
        std::iter::once(header).chain(self.body())
    }

    fn body(&self) -> impl Iterator<Item = Record> {
        let owners = self.owners.iter().map(|(&number, owner)| Record::Owner {
            number,
            owner: owner.clone(),
        });
        let names = self.names.iter();
        let names = names.map(|(&key, &owner)| Record::Name { key, owner });
        let residents = self.residents.iter();
        let residents =
            residents.map(|&(netns_inum, owner)| Record::Resident { netns_inum, owner });
        let stats = self.memory_stats.iter();
        let stats = stats.map(|(group, &bytes)| Record::MemoryStat {
            group: group.clone(),
            bytes,
        });
        let contexts = self.contexts.iter();
        let contexts = contexts.map(|(group, context)| Record::Context {
            group: group.clone(),
            context: Box::new(context.clone()),
        });
        let gaps = self.gaps.iter();
        let gaps = gaps.map(|words| Record::Gap {
            words: words.clone(),
        });
        let orphans = self.orphans.iter();
        let orphans = orphans.map(|&(at, orphans)| Record::Orphans { at, orphans });
        let states = self.socket_states.iter();
        let states = states.map(|&(cookie, state)| Record::SocketState { cookie, state });
        let descriptors = self.descriptors.iter();
        let descriptors = descriptors.map(|(&inode, descriptor)| Record::Descriptor {
            inode,
            descriptor: descriptor.clone(),
        });
        owners
            .chain(names)
            .chain(
                self.tallies
                    .iter()
                    .map(|delta| Record::Tally(Box::new(*delta))),
            )
            .chain(self.rows.iter().cloned().map(Record::Row))
            .chain(residents)
            .chain(self.memcgs.iter().cloned().map(Record::Memcg))
            .chain(stats)
            .chain(contexts)
            .chain(gaps)
            .chain(self.timeline.iter().copied().map(Record::Timeline))
            .chain(orphans)
            .chain(self.steps.iter().cloned().map(Record::Step))
            .chain(states)
            .chain(self.events.iter().copied().map(Record::Event))
            .chain(descriptors)
            .chain(
                self.scans
                    .iter()
                    .flat_map(|(&moment, scan)| self.scan(moment, scan)),
            )
    }

    /// A look at sockets: itself, its sums, its sockets.
    fn scan<'a>(&'a self, moment: Moment, scan: &'a Scan) -> impl Iterator<Item = Record> + 'a {
        let owner = |socket: &Socket| self.socket_owners.get(&kin(socket)).copied().unwrap_or(0);
        let head = Record::Scan {
            moment,
            at: scan.at,
            around: scan.around,
            gaps: scan.gaps.clone(),
        };
        let sums = scan.sums.iter().map(move |sum: &Sum| Record::Sum {
            moment,
            owner: owner(&sum.example),
            example: sum.example.clone(),
            part: sum.part,
            top: sum.top.clone(),
        });
        let sockets = scan.sockets.iter().map(move |socket| Record::Socket {
            moment,
            owner: owner(socket),
            socket: socket.clone(),
        });
        let rest = self.rests.get(&moment);
        let rest = rest.map(|&rest| Record::Rest { moment, rest });
        std::iter::once(head).chain(rest).chain(sums).chain(sockets)
    }

    /// How many records of each kind follow the header.
    pub(super) fn count(&self) -> BTreeMap<String, u64> {
        let mut records: BTreeMap<String, u64> = BTreeMap::new();
        for record in self.body() {
            *records.entry(record.kind().to_owned()).or_default() += 1;
        }
        records
    }

    /// Takes one record that follows the header.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Header(_) => {}
            Record::Owner { number, owner } => drop(self.owners.insert(number, owner)),
            Record::Name { key, owner } => drop(self.names.insert(key, owner)),
            Record::Tally(delta) => self.tallies.push(*delta),
            Record::Row(row) => self.rows.push(row),
            Record::Resident { netns_inum, owner } => {
                self.residents.insert((netns_inum, owner));
            }
            Record::Memcg(pressed) => self.memcgs.push(pressed),
            Record::MemoryStat { group, bytes } => drop(self.memory_stats.insert(group, bytes)),
            Record::Context { group, context } => drop(self.contexts.insert(group, *context)),
            Record::Gap { words } => self.gaps.push(words),
            Record::Timeline(record) => self.timeline.push(record),
            Record::Orphans { at, orphans } => self.orphans.push((at, orphans)),
            Record::Step(step) => self.steps.push(step),
            Record::SocketState { cookie, state } => self.socket_states.push((cookie, state)),
            Record::Event(record) => self.events.push(record),
            Record::Scan {
                moment,
                at,
                around,
                gaps,
            } => {
                let scan = self.scans.entry(moment).or_default();
                scan.at = at;
                scan.around = around;
                scan.gaps = gaps;
            }
            Record::Rest { moment, rest } => drop(self.rests.insert(moment, rest)),
            Record::Socket {
                moment,
                owner,
                socket,
            } => {
                self.socket_owners.insert(kin(&socket), owner);
                self.scans.entry(moment).or_default().sockets.push(socket);
            }
            Record::Sum {
                moment,
                owner,
                example,
                part,
                top,
            } => {
                for socket in top.iter().chain([&example]) {
                    self.socket_owners.insert(kin(socket), owner);
                }
                let sum = Sum { example, part, top };
                self.scans.entry(moment).or_default().sums.push(sum);
            }
            Record::Descriptor { inode, descriptor } => {
                self.descriptors.insert(inode, descriptor);
            }
        }
    }
}
