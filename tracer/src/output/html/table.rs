//! A table of a page.

use super::escape::sentence;

/// Most rows; the document in the page has more.
const MAX_ROWS: usize = 200;

/// A table whose cells are HTML already.
pub(super) struct Table {
    caption: String,
    /// Heads; one that ends in `#` is that of a column of numbers.
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    more: usize,
}

impl Table {
    /// An empty one with heads of ours.
    pub(super) fn new(caption: &str, heads: &[&str]) -> Self {
        Self::with_heads(caption, heads.iter().map(|head| sentence(head)).collect())
    }

    /// The same with heads that are HTML already.
    pub(super) fn with_heads(caption: &str, head: Vec<String>) -> Self {
        Self {
            caption: sentence(caption),
            head,
            rows: Vec::new(),
            more: 0,
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(cells);
        } else {
            self.more += 1;
        }
    }

    /// The element.
    pub(super) fn html(&self) -> String {
        let mut out = format!(
            "<div class=\"wide\"><table>\n<caption>{}</caption>\n<thead><tr>",
            self.caption
        );
        for head in &self.head {
            let (class, head) = match head.strip_suffix('#') {
                Some(head) => (" class=\"n\"", head),
                None => ("", head.as_str()),
            };
            out.push_str(&format!("<th scope=\"col\"{class}>{head}</th>"));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for (cell, head) in row.iter().zip(&self.head) {
                let class = if head.ends_with('#') {
                    " class=\"n\""
                } else {
                    ""
                };
                out.push_str(&format!("<td{class}>{cell}</td>"));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        if self.more > 0 {
            out.push_str(&format!(
                "<p>… and {} more rows, in the document below.</p>\n",
                self.more
            ));
        }
        out
    }
}
