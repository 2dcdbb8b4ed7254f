//! Text that a browser shows as it was given: in elements and in attributes within double quotes alike.

use crate::output::{text, words::ABSENT};

/// Longest name, in characters.
const MAX_NAME: usize = 120;
/// Longest sentence, in characters.
const MAX_SENTENCE: usize = 6_000;

/// A sentence.
pub(super) fn sentence(words: &str) -> String {
    escape(&text::clean(words, MAX_SENTENCE))
}

/// A name, which may be written from right to left without turning what stands beside it.
pub(super) fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", plain(name, MAX_NAME))
}

/// A name of at most so many characters, without any element around it. In the cell of a table it must not become a formula when the
/// table is copied into a spreadsheet.
pub(super) fn plain(name: &str, max: usize) -> String {
    if name.trim().is_empty() {
        return ABSENT.to_owned();
    }
    let safe = text::clean(name, max);
    match safe.chars().next() {
        Some(first @ ('=' | '+' | '-' | '@')) => {
            let rest = escape(&safe[first.len_utf8()..]);
            format!("{}{rest}", first.escape_unicode())
        }
        _ => escape(&safe),
    }
}

/// A text of any length whose lines are kept, of visible characters already.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup_or_a_formula() {
        assert_eq!(
            sentence("<b onclick='x'>\"&amp;\n\u{202e}"),
            "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;amp;\\n\\u{202e}"
        );
        assert_eq!(
            name("=cmd|' /C calc'!A0"),
            "<bdi>\\u{3d}cmd|&#39; /C calc&#39;!A0</bdi>"
        );
        assert_eq!(plain("\t@SUM", 10), "\\t@SUM");
        assert_eq!(plain("shop/redis-0", 100), "shop/redis-0");
        assert_eq!(plain(" ", 10), ABSENT);
    }
}
