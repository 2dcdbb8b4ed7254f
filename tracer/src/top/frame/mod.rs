//! A frame: what a state looks like on a screen of some size.

mod figures;
mod help;
mod memory;
mod owners;
mod sockets;
mod verdict;

use ratatui::{
    buffer::{Buffer, Cell},
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget},
};

use super::state::{Page, State};
use crate::{
    output::{size, text},
    report::{Basis, Kind, Report},
};

/// Lines above the owners: title, headline, memory, status.
const HEADLINE: u16 = 2;
/// Sentences are broken into lines for the narrowest usual screen, however wide this one is: so their number is always the same.
const TEXT: usize = 80;
/// A screen that is lower has no lines to spare for the last minutes.
const LOW: u16 = 18;

/// A state as a widget.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    state: &'a State,
    colour: bool,
}

impl<'a> View<'a> {
    /// With colours or without.
    #[must_use]
    pub const fn new(state: &'a State, colour: bool) -> Self {
        Self { state, colour }
    }

    /// One frame as plain text.
    #[must_use]
    pub fn plain(state: &State, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        View::new(state, false).render(area, &mut buffer);
        let mut out = String::new();
        for row in 0..height {
            let cells = (0..width).filter_map(|column| buffer.cell((column, row)));
            let line: String = cells.map(Cell::symbol).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// A colour, or none where none are wanted.
    fn fg(&self, color: Color) -> Style {
        match self.colour {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}

impl Widget for View<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let last_minutes = match area.height < LOW {
            true => 0,
            false => memory::LAST_MINUTES,
        };
        let [title, headline, memory, minutes, status, page, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(HEADLINE),
            Constraint::Length(memory::HEIGHT),
            Constraint::Length(last_minutes),
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(area);
        let shown = self.state.shown();
        self.title(shown.report.as_ref(), title, buffer);
        if let Some(report) = &shown.report {
            self.headline(report, headline, buffer);
            memory::account(&self, &report.tcp_memory, memory, buffer);
            memory::last_minutes(&self, &shown.history, minutes, buffer);
        }
        self.status(shown.report.as_ref(), status, buffer);
        match self.state.page {
            Page::Owners => owners::table(&self, page, buffer),
            Page::Sockets => scrolled(sockets::lines(&self, page.width), self.state, page, buffer),
            Page::Verdict => scrolled(verdict::lines(&self), self.state, page, buffer),
            Page::Help => scrolled(help::lines(), self.state, page, buffer),
        }
        self.foot(foot, buffer);
    }
}

/// How many lines the page has that can be scrolled.
pub(super) fn length(state: &State) -> usize {
    match state.page {
        Page::Owners => state.lines().len(),
        Page::Sockets => sockets::lines(&View::new(state, false), u16::MAX).len(),
        Page::Verdict => verdict::lines(&View::new(state, false)).len(),
        Page::Help => help::lines().len(),
    }
}

fn scrolled(lines: Vec<Line<'static>>, state: &State, area: Rect, buffer: &mut Buffer) {
    let lines: Vec<Line<'_>> = lines.into_iter().skip(state.scrolled).collect();
    Paragraph::new(lines).render(area, buffer);
}

impl View<'_> {
    fn title(&self, report: Option<&Report>, area: Rect, buffer: &mut Buffer) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut words = vec![Span::styled("tcpress top", bold)];
        if let Some(report) = report {
            let node = &report.node;
            let name = node.k8s_node_name.as_ref().unwrap_or(&node.host_name);
            words.push(Span::raw(format!(
                "  {}  {}",
                text::clean(name, 24),
                text::clean(&node.kernel, 24)
            )));
            let end = report.window.end.strftime("%H:%M:%SZ");
            words.push(Span::raw(match report.window.duration_ns {
                0 => format!("  {end}"),
                length => format!("  {} to {end}", size::nanos(length)),
            }));
        }
        if self.state.is_paused() {
            let style = self.fg(Color::Yellow).add_modifier(Modifier::REVERSED);
            words.push(Span::raw("  "));
            words.push(Span::styled("PAUSED", style));
        }
        Line::from(words).render(area, buffer);
    }

    fn headline(&self, report: &Report, area: Rect, buffer: &mut Buffer) {
        let verdict = &report.verdict;
        let color = match verdict.kind {
            Kind::Healthy => Color::Green,
            Kind::Inconclusive => Color::Yellow,
            _ => Color::Red,
        };
        let style = self.fg(color).add_modifier(Modifier::BOLD);
        let width = usize::from(area.width);
        let room = usize::from(HEADLINE);
        let mut lines = text::wrap(&verdict.headline, width);
        if lines.len() > room {
            let rest = lines.split_off(room - 1).join(" ");
            lines.push(text::clean(&rest, width));
        }
        let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
        Paragraph::new(lines).style(style).render(area, buffer);
    }

    /// How far the figures can be trusted.
    fn status(&self, report: Option<&Report>, area: Rect, buffer: &mut Buffer) {
        if let Some(words) = &self.state.words {
            Line::styled(words.clone(), self.fg(Color::Yellow)).render(area, buffer);
            return;
        }
        let Some(report) = report else { return };
        let refused = self.state.shown().owners.total.refused;
        let mut words = vec![format!("{} refused in all", figures::count(refused))];
        let mut style = Style::new();
        if report.verdict.evidence == Basis::Probes {
            let probes = &report.plan.probes;
            let attached = probes.iter().filter(|it| it.missing.is_none()).count();
            words.push(format!("{attached} of {} probes", probes.len()));
            let (residual, exact) = residual(report);
            words.push(residual);
            let lost = lost(report);
            if lost > 0 {
                words.push(format!("{} lost", figures::count(lost)));
            }
            if lost > 0 || !exact {
                style = self.fg(Color::Yellow);
            }
        } else {
            words.push("not traced (v says why)".to_owned());
        }
        match report.losses.gaps.len() {
            0 => {}
            1 => words.push("1 gap".to_owned()),
            gaps => words.push(format!("{gaps} gaps")),
        }
        match report.tcp_memory.found_at {
            Some(at) => {
                let age = report.window.end.duration_since(at).as_secs().max(0);
                words.push(format!("sockets read {age} s before"));
            }
            None => words.push("sockets not read".to_owned()),
        }
        let line = text::clean(&words.join(", "), usize::from(area.width));
        Line::styled(line, style).render(area, buffer);
    }

    fn foot(&self, area: Rect, buffer: &mut Buffer) {
        let state = self.state;
        let width = usize::from(area.width);
        let filter = text::clean(&state.filter, width / 2);
        let words = match state.page {
            _ if state.typing => format!("/{filter}_   Enter keeps it, Esc drops it"),
            Page::Owners if !state.filter.is_empty() => format!(
                "filter {filter}: {} of {} owners   Esc drops it   ? help   q quit",
                state.lines().len(),
                state.all()
            ),
            Page::Owners => {
                "Enter sockets  v verdict  s sort  t sums  / filter  space pause  ? help  q quit"
                    .to_owned()
            }
            Page::Sockets => "Esc back  up/down scroll  space pause  ? help  q quit".to_owned(),
            Page::Verdict | Page::Help => "Esc back  up/down scroll  q quit".to_owned(),
        };
        let style = Style::new().add_modifier(Modifier::REVERSED);
        let line = text::clean(&words, width);
        Line::styled(format!("{line:width$}"), style).render(area, buffer);
    }
}

/// Whether our counts are the kernel's, in words; and whether they may be.
fn residual(report: &Report) -> (String, bool) {
    let rows = || {
        let rows = report.reconciliation.iter();
        rows.filter_map(|row| Some((row.residual?.unsigned_abs(), row.bound.unwrap_or(0))))
    };
    if rows().all(|(residual, _)| residual == 0) {
        return ("residual 0".to_owned(), true);
    }
    let beyond = rows().filter(|(residual, bound)| residual > bound);
    match beyond.map(|(residual, _)| residual).max() {
        None => ("residual within its bounds".to_owned(), true),
        Some(most) => (format!("residual {most}: not exact"), false),
    }
}

/// Whatever found no room; evidence that was held back on purpose is not lost.
fn lost(report: &Report) -> u64 {
    let named = report.losses.named().into_iter();
    let kept_back = ["suppressed_evidence", "possible_misses", "unattributed"];
    let lost = named.filter(|(name, _)| !kept_back.contains(name));
    lost.filter_map(|(_, count)| count)
        .fold(0, u64::saturating_add)
}
