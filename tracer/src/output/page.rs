//! A page of text for a terminal: how wide it is, what is shown on it, and what stands out.

/// Widest line of an ordinary page, in characters.
pub(super) const PAGE: usize = 100;
/// Widest line of a wide page.
const WIDE: usize = 240;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether there are more columns, and longer lines.
    pub wide: bool,
    /// Whether columns have heads.
    pub heads: bool,
    /// Whether what matters stands out by colour.
    pub colour: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            wide: false,
            heads: true,
            colour: false,
        }
    }
}

/// What makes text stand out: parameters of ANSI's SGR (ECMA-48, 8.3.117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Bold.
    Bold,
    /// Bold and green.
    Good,
    /// Bold and yellow.
    Doubtful,
    /// Bold and red.
    Bad,
}

impl Ink {
    const fn parameters(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Good => "1;32",
            Self::Doubtful => "1;33",
            Self::Bad => "1;31",
        }
    }
}

/// Lines that have been written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// How they are laid out.
    pub(super) style: Style,
}

impl Page {
    /// An empty one.
    pub(super) const fn new(style: Style) -> Self {
        Self {
            text: String::new(),
            style,
        }
    }

    /// Widest line.
    pub(super) const fn width(&self) -> usize {
        if self.style.wide { WIDE } else { PAGE }
    }

    /// Adds text as it is.
    pub(super) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a character.
    pub(super) fn push(&mut self, letter: char) {
        self.text.push(letter);
    }

    /// Adds text that stands out where there is colour; it must be safe already.
    pub(super) fn push_in(&mut self, ink: Ink, text: &str) {
        if self.style.colour {
            let parameters = ink.parameters();
            self.text
                .push_str(&format!("\u{1b}[{parameters}m{text}\u{1b}[0m"));
        } else {
            self.text.push_str(text);
        }
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}
