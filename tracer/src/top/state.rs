//! The state of the screen: what was reported, how it is looked at, and what keys change of that.

use std::cmp::Ordering;

use super::{
    frame,
    history::History,
    identity::Identity,
    key::{Key, Then},
    owners::{Line, Owners},
};
use crate::report::Report;

/// Lines that a page is.
const PAGE: usize = 10;
/// Longest filter, in characters.
const MAX_FILTER: usize = 60;

/// By what owners are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Segments refused.
    #[default]
    Refused,
    /// Prunes.
    Prunes,
    /// Time that prunes kept the CPU.
    Stall,
    /// Bytes held.
    Held,
    /// Growth of these.
    Growth,
    /// Name.
    Name,
}

impl Sort {
    pub(super) const ALL: [Self; 6] = [
        Self::Refused,
        Self::Prunes,
        Self::Stall,
        Self::Held,
        Self::Growth,
        Self::Name,
    ];

    /// The one so many places further on.
    fn further(self, places: usize) -> Self {
        let at = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        Self::ALL[(at + places) % Self::ALL.len()]
    }
}

/// What is on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    /// All owners.
    #[default]
    Owners,
    /// The sockets of one.
    Sockets,
    /// The verdict in full.
    Verdict,
    /// The keys.
    Help,
}

/// Everything that a frame is made of.
#[derive(Clone, Debug, Default)]
pub struct State {
    live: Live,
    /// What is shown instead while it is paused.
    frozen: Option<Live>,
    pub(super) page: Page,
    /// Where help, or the verdict, was asked for.
    before: Page,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// Whether sums since the start are shown, not the last window.
    pub(super) totals: bool,
    pub(super) filter: String,
    /// Whether keys go to the filter.
    pub(super) typing: bool,
    selected: Option<Identity>,
    /// Where the selected one was last, should it vanish.
    row: usize,
    /// Lines by which the page of sockets, or of help, is scrolled.
    pub(super) scrolled: usize,
    /// In words: what is being done before the first window has ended.
    pub(super) words: Option<String>,
}

/// What reports have brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) report: Option<Report>,
    pub(super) history: History,
    pub(super) owners: Owners,
    lines: Vec<Line>,
}

impl State {
    /// Takes the report of the window that ended.
    pub fn take(&mut self, report: Report) {
        // A snapshot counts nothing, and is no window.
        if report.window.duration_ns > 0 {
            self.words = None;
            self.live.owners.take(&report);
        }
        self.live.history.add(report.window.end, &report.tcp_memory);
        self.live.lines = self.live.owners.lines(&report);
        self.live.report = Some(report);
    }

    /// Says what is being done before the first window has ended.
    pub fn say(&mut self, words: &str) {
        self.words = Some(words.to_owned());
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Then {
        match key {
            Key::Interrupt => return Then::Quit,
            _ if self.typing => self.type_in(key),
            Key::Char('q') => return Then::Quit,
            Key::Char('?' | 'h') => self.turn_aside_to(Page::Help),
            Key::Char('v') => self.turn_aside_to(Page::Verdict),
            Key::Char(' ' | 'p') => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => Some(self.live.clone()),
                };
            }
            Key::Char('t') => self.totals = !self.totals,
            Key::Escape | Key::Backspace => self.back(),
            _ => self.within_page(key),
        }
        Then::GoOn
    }

    fn within_page(&mut self, key: Key) {
        match (self.page, key) {
            (Page::Owners, Key::Char('s')) => self.sort = self.sort.further(1),
            (Page::Owners, Key::Char('S')) => self.sort = self.sort.further(Sort::ALL.len() - 1),
            (Page::Owners, Key::Char('r')) => self.reversed = !self.reversed,
            (Page::Owners, Key::Char('/')) => self.typing = true,
            (Page::Owners, Key::Enter) => {
                let lines = self.lines();
                let line = self.selected_of(&lines).and_then(|row| lines.get(row));
                if let Some(identity) = line.map(|line| line.identity.clone()) {
                    self.selected = Some(identity);
                    self.turn_to(Page::Sockets);
                }
            }
            (Page::Owners, key) => {
                let last = self.lines().len().saturating_sub(1);
                let now = self.selected_of(&self.lines()).unwrap_or(0);
                if let Some(row) = moved(key, now, last) {
                    self.select(row);
                }
            }
            (Page::Sockets | Page::Verdict | Page::Help, key) => {
                let last = frame::length(self).saturating_sub(1);
                if let Some(to) = moved(key, self.scrolled, last) {
                    self.scrolled = to;
                }
            }
        }
    }

    /// To a page that is about all others, or back from it.
    fn turn_aside_to(&mut self, page: Page) {
        if self.page == page {
            return self.turn_to(self.before);
        }
        if matches!(self.page, Page::Owners | Page::Sockets) {
            self.before = self.page;
        }
        self.turn_to(page);
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.scrolled = 0;
    }

    fn back(&mut self) {
        match self.page {
            Page::Help | Page::Verdict => self.turn_to(self.before),
            Page::Sockets => self.turn_to(Page::Owners),
            Page::Owners => self.filter.clear(),
        }
    }

    fn type_in(&mut self, key: Key) {
        match key {
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.filter.clear();
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(c) if self.filter.chars().count() < MAX_FILTER => self.filter.push(c),
            _ => {}
        }
    }

    fn select(&mut self, row: usize) {
        let lines = self.lines();
        let identity = lines.get(row).map(|line| line.identity.clone());
        self.row = row;
        self.selected = identity;
    }

    /// Whether the screen stands still.
    pub(super) fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// What is shown.
    pub(super) fn shown(&self) -> &Live {
        self.frozen.as_ref().unwrap_or(&self.live)
    }

    /// How many owners there are, whether they pass the filter or not.
    pub(super) fn all(&self) -> usize {
        self.shown().lines.len()
    }

    /// The owners that pass the filter, in order.
    pub(super) fn lines(&self) -> Vec<&Line> {
        let wanted = self.filter.to_lowercase();
        let all = self.shown().lines.iter();
        let mut lines: Vec<&Line> = all.filter(|line| passes(line, &wanted)).collect();
        lines.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if self.reversed {
                order.reverse()
            } else {
                order
            };
            // Equals stand still.
            order.then_with(|| a.identity.cmp(&b.identity))
        });
        lines
    }

    /// Most first; by name the first of the alphabet.
    fn compare(&self, a: &Line, b: &Line) -> Ordering {
        let harm = |line: &Line| if self.totals { line.total } else { line.now };
        let by = |of: &dyn Fn(&Line) -> Option<u64>| of(b).cmp(&of(a));
        let first = match self.sort {
            Sort::Refused => by(&|line| Some(harm(line).refused)),
            Sort::Prunes => by(&|line| harm(line).prunes),
            Sort::Stall => by(&|line| harm(line).stall_ns),
            Sort::Held => Ordering::Equal,
            Sort::Growth => {
                let of = |line: &Line| line.growth.unwrap_or(f64::NEG_INFINITY);
                of(b).total_cmp(&of(a))
            }
            Sort::Name => a.owner.name.cmp(&b.owner.name),
        };
        first.then_with(|| by(&|line| line.held))
    }

    /// The row that is selected among lines; `None` when there is none.
    pub(super) fn selected_of(&self, lines: &[&Line]) -> Option<usize> {
        let last = lines.len().checked_sub(1)?;
        let selected = self.selected.as_ref();
        let found = lines
            .iter()
            .position(|line| Some(&line.identity) == selected);
        Some(found.unwrap_or(self.row).min(last))
    }

    /// The owner whose sockets are shown.
    pub(super) fn chosen(&self) -> Option<&Line> {
        let lines = self.shown().lines.iter();
        let mut chosen = lines.filter(|line| Some(&line.identity) == self.selected.as_ref());
        chosen.next()
    }
}

/// Where a key leads from a row; `None` where it leads nowhere.
fn moved(key: Key, now: usize, last: usize) -> Option<usize> {
    let to = match key {
        Key::Up | Key::Char('k') => now.saturating_sub(1),
        Key::Down | Key::Char('j') => now.saturating_add(1),
        Key::PageUp => now.saturating_sub(PAGE),
        Key::PageDown => now.saturating_add(PAGE),
        Key::Home => 0,
        Key::End => last,
        _ => return None,
    };
    Some(to.min(last))
}

/// Whether a name of an owner has these letters, all of them small.
fn passes(line: &Line, wanted: &str) -> bool {
    let owner = &line.owner;
    let contact = owner.contact_words();
    let names = [
        Some(&owner.name),
        owner.k8s_namespace_name.as_ref(),
        owner.k8s_workload.as_ref(),
        owner.container_name.as_ref(),
        contact.as_ref(),
    ];
    let mut names = names.into_iter().flatten();
    wanted.is_empty() || names.any(|name| name.to_lowercase().contains(wanted))
}
