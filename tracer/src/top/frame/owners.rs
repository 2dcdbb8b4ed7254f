//! The table of owners.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Cell, Row, StatefulWidget, Table, TableState, Widget as _},
};

use super::{View, figures, figures::ABSENT};
use crate::{
    output::{size, text},
    top::{
        owners,
        state::{Sort, State},
    },
};

/// From this width on there is room for more than what everybody must see.
const WIDE: u16 = 100;
/// Columns of the mark before a name: selected, accused.
const MARK: u16 = 2;

/// A column of figures.
struct Column {
    sort: Option<Sort>,
    width: u16,
    wide_only: bool,
}

const fn column(sort: Option<Sort>, width: u16, wide_only: bool) -> Column {
    Column {
        sort,
        width,
        wide_only,
    }
}

/// The columns after the name; the widest figure and the head with its arrow fit into each.
const COLUMNS: [Column; 7] = [
    column(Some(Sort::Refused), 10, false),
    column(Some(Sort::Prunes), 9, false),
    column(Some(Sort::Stall), 9, false),
    column(Some(Sort::Held), 10, false),
    column(Some(Sort::Growth), 11, false),
    column(None, 9, true),
    column(None, 10, true),
];

/// Draws it.
pub(super) fn table(view: &View<'_>, area: Rect, buffer: &mut Buffer) {
    let state = view.state;
    let lines = state.lines();
    if state.all() == 0 && state.shown().report.is_some() {
        Line::raw("nobody holds TCP memory, and nobody has suffered").render(area, buffer);
        return;
    }
    let selected = state.selected_of(&lines);
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|&at| area.width >= WIDE || !COLUMNS[at].wide_only)
        .collect();
    let figures_width: u16 = shown.iter().map(|&at| COLUMNS[at].width + 1).sum();
    let name_width = area.width.saturating_sub(MARK + 1 + figures_width);
    let seconds = seconds(state);
    let rows = lines.iter().enumerate().map(|(at, line)| {
        let mark = match (selected == Some(at), line.accused) {
            (true, true) => ">!",
            (true, false) => "> ",
            (false, true) => " !",
            (false, false) => "  ",
        };
        let name = text::clean(&line.owner.name, usize::from(name_width));
        let figures = figures_of(line, state.totals, seconds);
        let cells = shown.iter().map(|&at| right(figures[at].clone()));
        let cells = [Cell::from(mark), Cell::from(name)]
            .into_iter()
            .chain(cells);
        let harm = if state.totals { line.total } else { line.now };
        let mut style = match (line.accused, harm.refused > 0) {
            (true, _) => view.fg(Color::Red).add_modifier(Modifier::BOLD),
            (false, true) => view.fg(Color::Yellow),
            (false, false) => Style::new(),
        };
        if selected == Some(at) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        Row::new(cells.collect::<Vec<_>>()).style(style)
    });
    let mut widths = vec![Constraint::Length(MARK), Constraint::Length(name_width)];
    widths.extend(
        shown
            .iter()
            .map(|&at| Constraint::Length(COLUMNS[at].width)),
    );
    let rows: Vec<Row<'_>> = rows.collect();
    let heads = shown.iter().map(|&at| right(head(state, at)));
    let heads = [Cell::from(""), Cell::from(name_head(state))]
        .into_iter()
        .chain(heads);
    let style = Style::new().add_modifier(Modifier::BOLD);
    let header = Row::new(heads.collect::<Vec<_>>()).style(style);
    let table = Table::new(rows, widths).header(header).column_spacing(1);
    let mut place = TableState::default().with_selected(selected);
    StatefulWidget::render(table, area, buffer, &mut place);
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

/// Length of the window that is shown, in seconds.
#[allow(clippy::cast_precision_loss, reason = "few digits are shown")]
fn seconds(state: &State) -> f64 {
    let report = state.shown().report.as_ref();
    report.map_or(0.0, |report| report.window.duration_ns as f64 / 1e9)
}

fn name_head(state: &State) -> String {
    format!("OWNER{}", arrow(state, Some(Sort::Name)))
}

fn head(state: &State, at: usize) -> String {
    let name = match (at, state.totals) {
        (0, false) => "REFUSED/S",
        (0, true) => "REFUSED",
        (1, false) => "PRUNES/S",
        (1, true) => "PRUNES",
        (2, false) => "STALL/S",
        (2, true) => "STALL",
        (3, _) => "HELD",
        (4, _) => "GROWTH/S",
        (5, _) => "SOCKETS",
        _ => "UNREAD",
    };
    format!("{name}{}", arrow(state, COLUMNS[at].sort))
}

fn arrow(state: &State, sort: Option<Sort>) -> &'static str {
    match (sort == Some(state.sort), state.reversed) {
        (false, _) => "",
        // A name begins with the first of the alphabet, a figure with the most.
        (true, reversed) if reversed == (state.sort == Sort::Name) => "▼",
        (true, _) => "▲",
    }
}

fn figures_of(line: &owners::Line, totals: bool, seconds: f64) -> [String; COLUMNS.len()] {
    let absent = || ABSENT.to_owned();
    let bytes = |value: Option<u64>| value.map_or_else(absent, size::bytes);
    let (count, time): (&dyn Fn(u64) -> String, &dyn Fn(u64) -> String) = match totals {
        true => (&figures::count, &figures::time),
        false => (&|number| figures::rate(number, seconds), &|ns| {
            figures::time_a_second(ns, seconds)
        }),
    };
    let harm = if totals { line.total } else { line.now };
    [
        count(harm.refused),
        harm.prunes.map_or_else(absent, count),
        harm.stall_ns.map_or_else(absent, time),
        bytes(line.held),
        line.growth.map_or_else(absent, figures::growth),
        line.sockets.map_or_else(absent, figures::count),
        bytes(line.unread),
    ]
}
