//! Charts as inline SVG, each made of what the model has, each with its figures in a table beside it. Colours are classes of the style sheet.

pub(super) mod course;
pub(super) mod holders;
pub(super) mod stalls;
mod svg;

use super::{
    escape::{plain, sentence},
    table::Table,
};
use svg::Svg;

/// Colours there are.
const COLOURS: usize = 8;

/// The class of a colour: that of the rest where there are no more.
fn colour(number: usize) -> String {
    match number {
        0..COLOURS => format!("c{number}"),
        _ => "rest".to_owned(),
    }
}

/// A chart with its title, its legend and its figures.
struct Figure<'a> {
    /// Its id in the page.
    id: &'a str,
    title: &'a str,
    /// What it shows, in a sentence.
    about: &'a str,
    svg: Svg,
    /// Class of the key, and what it means, not escaped.
    legend: Vec<(String, String)>,
    tables: Vec<Table>,
}

impl Figure<'_> {
    fn html(&self) -> String {
        let Self {
            id, title, about, ..
        } = self;
        let mut out = format!(
            "<section id=\"{id}\">\n<h2>{}</h2>\n<figure>\n{}<figcaption>{}</figcaption>\n",
            sentence(title),
            self.svg.html(id, title, about),
            sentence(about)
        );
        if !self.legend.is_empty() {
            out.push_str("<ul class=\"legend\">");
            for (class, words) in &self.legend {
                out.push_str(&format!(
                    "<li><span class=\"key {class}\"></span>{}</li>",
                    plain(words, 120)
                ));
            }
            out.push_str("</ul>\n");
        }
        out.push_str("</figure>\n<details><summary>The figures</summary>\n");
        for table in &self.tables {
            out.push_str(&table.html());
        }
        out.push_str("</details>\n</section>\n");
        out
    }
}

/// A section that says why there is no chart.
fn none(id: &str, title: &str, why: &str) -> String {
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n<p>{}</p>\n</section>\n",
        sentence(title),
        sentence(why)
    )
}

/// A count as a length.
#[allow(
    clippy::cast_precision_loss,
    reason = "a pixel is coarser than what is lost"
)]
fn length(count: u64) -> f64 {
    count as f64
}
