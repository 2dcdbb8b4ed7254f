//! Nodes of the Atlassian Document Format, version 1, as far as tickets need them. Text is text there: nothing in it is
//! taken for markup.

use serde_json::{Value, json};

/// A document of block nodes.
pub(super) fn document(content: Vec<Value>) -> Value {
    json!({"type": "doc", "version": 1, "content": content})
}

/// A heading of level 3: the ticket's own title stands above it.
pub(super) fn heading(words: &str) -> Value {
    json!({"type": "heading", "attrs": {"level": 3}, "content": text(words)})
}

/// A paragraph.
pub(super) fn paragraph(words: &str) -> Value {
    json!({"type": "paragraph", "content": text(words)})
}

/// A coloured box around a paragraph: `error`, `warning`, `success` or `info`.
pub(super) fn panel(kind: &str, words: &str) -> Value {
    json!({"type": "panel", "attrs": {"panelType": kind}, "content": [paragraph(words)]})
}

/// A command to copy.
pub(super) fn command(line: &str) -> Value {
    json!({"type": "codeBlock", "attrs": {"language": "shell"}, "content": text(line)})
}

/// Items without an order, each of block nodes.
pub(super) fn bullets(items: Vec<Vec<Value>>) -> Value {
    json!({"type": "bulletList", "content": list_items(items)})
}

/// Items in their order.
pub(super) fn numbered(items: Vec<Vec<Value>>) -> Value {
    json!({"type": "orderedList", "attrs": {"order": 1}, "content": list_items(items)})
}

fn list_items(items: Vec<Vec<Value>>) -> Vec<Value> {
    let item = |content| json!({"type": "listItem", "content": content});
    items.into_iter().map(item).collect()
}

/// A text node; none where there is no text, because an empty one is not allowed.
fn text(words: &str) -> Value {
    match words {
        "" => json!([]),
        words => json!([{"type": "text", "text": words}]),
    }
}
