//! Lines of columns: the first to the left, the others to the right, all within the width of a page.

use super::{
    page::{PAGE, Page},
    text,
};

/// Narrowest first column, however wide the others are.
const NARROWEST: usize = 12;

/// A table that is laid out when it is complete.
pub(super) struct Columns {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// What stands behind the first cell of a row where there is room, and under the row where there is none.
    asides: Vec<Option<String>>,
    /// Sentences that follow a row, by the number of the row.
    notes: Vec<(usize, String)>,
}

impl Columns {
    /// A table with these heads.
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
            asides: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row; the cells are made safe here.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.row_with(None, cells);
    }

    /// The same with an aside to its first cell.
    pub(super) fn row_with(&mut self, aside: Option<&str>, cells: &[String]) {
        self.rows
            .push(cells.iter().map(|cell| text::clean(cell, PAGE)).collect());
        self.asides
            .push(aside.map(|aside| text::clean(aside, PAGE)));
    }

    /// Adds a sentence under the last row.
    pub(super) fn note(&mut self, sentence: &str) {
        self.notes.push((self.rows.len(), sentence.to_owned()));
    }

    /// Writes it out.
    pub(super) fn write(&self, out: &mut Page) {
        let page = out.width();
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| self.width(column))
            .collect();
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        let room = page.saturating_sub(others + 2).max(NARROWEST);
        let titles: Vec<Option<String>> = (0..self.rows.len())
            .map(|row| self.title(row, room))
            .collect();
        let longest = titles
            .iter()
            .flatten()
            .map(|title| title.chars().count())
            .max();
        let first = widths
            .first()
            .copied()
            .unwrap_or(0)
            .max(longest.unwrap_or(0));
        let first = first.min(room).max(NARROWEST);
        if out.style.heads {
            let heads: Vec<String> = self.head.iter().map(ToString::to_string).collect();
            line(out, &heads, first, &widths);
        }
        for (number, (row, title)) in self.rows.iter().zip(titles).enumerate() {
            match (title, &self.asides[number]) {
                (Some(title), _) => {
                    let rest = row.iter().skip(1).cloned();
                    let cells: Vec<String> = std::iter::once(title).chain(rest).collect();
                    line(out, &cells, first, &widths);
                }
                (None, aside) => {
                    line(out, row, first, &widths);
                    for aside in aside.iter().flat_map(|aside| text::wrap(aside, page - 4)) {
                        out.push_str(&format!("    {aside}\n"));
                    }
                }
            }
            for (_, note) in self.notes.iter().filter(|(after, _)| *after == number + 1) {
                for note in text::wrap(note, page - 4) {
                    out.push_str(&format!("    {note}\n"));
                }
            }
        }
    }

    /// The first cell of a row with its aside, if that fits.
    fn title(&self, row: usize, room: usize) -> Option<String> {
        let aside = self.asides.get(row)?.as_ref()?;
        let title = format!("{} ({aside})", self.rows.get(row)?.first()?);
        (title.chars().count() <= room).then_some(title)
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.head.get(column).map_or(0, |head| head.chars().count()))
    }
}

/// One line, indented by two.
fn line(out: &mut Page, cells: &[String], first: usize, widths: &[usize]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, aside: Option<&str>) -> Vec<String> {
        let mut table = Columns::new(&["OWNER", "HELD"]);
        table.row_with(aside, &[name.to_owned(), "7".to_owned()]);
        table.row(&["other".to_owned(), "8".to_owned()]);
        let mut out = Page::default();
        table.write(&mut out);
        out.into_text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_aside_stands_behind_the_name_or_under_it() {
        let lines = shown("shop/a", Some("team shop"));
        assert_eq!(lines[1], "  shop/a (team shop)     7");
        assert_eq!(lines[2], "  other                  8");
        let long = "x".repeat(90);
        let lines = shown(&long, Some("team shop"));
        assert_eq!(lines[1], format!("  {long}     7"));
        assert_eq!(lines[2], "    team shop");
        assert_eq!(shown("shop/a", None).len(), 3);
        let lines = shown("a", Some("team \u{1b}[2J\n"));
        assert!(!lines[1].contains('\u{1b}'), "{lines:?}");
    }
}
