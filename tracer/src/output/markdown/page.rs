//! A document of a bounded size.

/// Room for the sentence that says what was left out.
const LAST_WORDS: usize = 500;

/// A document that takes whole sections as long as there is room.
pub(super) struct Page {
    text: String,
    left: usize,
    left_out: Vec<&'static str>,
}

impl Page {
    /// An empty one of so many units of UTF-16.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            left: limit.saturating_sub(LAST_WORDS),
            left_out: Vec::new(),
        }
    }

    /// Adds a section, which may be empty; one that does not fit is left out.
    pub(super) fn section(&mut self, name: &'static str, text: String) {
        if text.is_empty() {
            return;
        }
        let gap = if self.text.is_empty() { "" } else { "\n" };
        if !self.add(&format!("{gap}{}\n", text.trim_end())) {
            self.left_out.push(name);
        }
    }

    /// Adds text if there is room for all of it.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let Some(left) = self.left.checked_sub(units(text)) else {
            return false;
        };
        self.left = left;
        self.text.push_str(text);
        true
    }

    /// Units of UTF-16 that there is room for.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Notes what was left out without having been offered.
    pub(super) fn leave_out(&mut self, names: &[&'static str]) {
        self.left_out.extend(names);
    }

    /// The document, with a line on what was left out.
    pub(super) fn done(mut self) -> String {
        if !self.left_out.is_empty() {
            self.text.push_str(&format!(
                "\nLeft out, because there is no more room here: {}. The JSON document of the report has all of it.\n",
                self.left_out.join(", ")
            ));
        }
        self.text
    }
}

/// Units of UTF-16 in a text.
pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
