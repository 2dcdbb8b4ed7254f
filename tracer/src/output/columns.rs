//! Lines of columns: the first to the left, the others to the right, all within the width of a page.

use super::text;

/// Widest line, in characters.
pub(super) const PAGE: usize = 100;
/// Narrowest first column, however wide the others are.
const NARROWEST: usize = 12;

/// A table that is laid out when it is complete.
pub(super) struct Columns {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Lines that follow a row, by the number of the row.
    notes: Vec<(usize, String)>,
}

impl Columns {
    /// A table with these heads.
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row; the cells are made safe here.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.rows
            .push(cells.iter().map(|cell| text::clean(cell, PAGE)).collect());
    }

    /// Adds a sentence under the last row.
    pub(super) fn note(&mut self, sentence: &str) {
        for line in text::wrap(sentence, PAGE - 4) {
            self.notes.push((self.rows.len(), format!("    {line}")));
        }
    }

    /// Writes it out.
    pub(super) fn write(&self, out: &mut String) {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| self.width(column))
            .collect();
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        let first = widths.first().copied().unwrap_or(0);
        let first = first.min(PAGE.saturating_sub(others + 2)).max(NARROWEST);
        let heads: Vec<String> = self.head.iter().map(ToString::to_string).collect();
        line(out, &heads, first, &widths);
        for (number, row) in self.rows.iter().enumerate() {
            line(out, row, first, &widths);
            for (_, note) in self.notes.iter().filter(|(after, _)| *after == number + 1) {
                out.push_str(note);
                out.push('\n');
            }
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.head.get(column).map_or(0, |head| head.chars().count()))
    }
}

/// One line, indented by two.
fn line(out: &mut String, cells: &[String], first: usize, widths: &[usize]) {
    let mut text_line = String::from("  ");
    for (column, cell) in cells.iter().enumerate() {
        if column == 0 {
            text_line.push_str(&format!("{:first$}", text::clean(cell, first)));
        } else {
            let width = widths.get(column).copied().unwrap_or(0);
            text_line.push_str(&format!("  {cell:>width$}"));
        }
    }
    out.push_str(text_line.trim_end());
    out.push('\n');
}
