//! What a parser of GitHub Flavored Markdown that others have made finds in a document.

use comrak::{
    Arena, Options,
    nodes::{AstNode, NodeValue},
    parse_document,
};

use super::{LIMIT, page::units, report as markdown};
use crate::{
    output::text,
    report::{
        Kind, Report,
        tests::{hostile, incident::incident},
    },
};

/// Everything that GitHub or GitLab adds to the plain language.
fn options() -> Options<'static> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    for add in [
        &mut extension.table,
        &mut extension.autolink,
        &mut extension.tasklist,
        &mut extension.strikethrough,
        &mut extension.footnotes,
        &mut extension.inline_footnotes,
        &mut extension.alerts,
        &mut extension.math_dollars,
        &mut extension.math_code,
        &mut extension.multiline_block_quotes,
        &mut extension.description_lists,
    ] {
        *add = true;
    }
    options
}

/// What was found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    headings: Vec<String>,
    /// Cells of each row of each table.
    tables: Vec<Vec<usize>>,
    /// Language and text of each block of code.
    blocks: Vec<(String, String)>,
    /// Spans of code.
    codes: Vec<String>,
    html: Vec<String>,
    /// Words outside of code.
    text: String,
    /// Anything that has no place in a report.
    odd: Vec<String>,
}

fn found(markdown: &str) -> Found {
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options());
    let mut found = Found::default();
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::Heading(_) => found.headings.push(words(node)),
            NodeValue::Table(_) => found
                .tables
                .push(node.children().map(|row| row.children().count()).collect()),
            NodeValue::CodeBlock(block) => {
                assert!(block.fenced && block.closed, "{block:?}");
                found
                    .blocks
                    .push((block.info.clone(), block.literal.clone()));
            }
            NodeValue::Code(code) => found.codes.push(code.literal.clone()),
            NodeValue::HtmlBlock(html) => found.html.push(html.literal.clone()),
            NodeValue::Text(text) => {
                found.text.push_str(text);
                found.text.push('\n');
            }
            NodeValue::Document
            | NodeValue::Paragraph
            | NodeValue::List(_)
            | NodeValue::Item(_)
            | NodeValue::Strong
            | NodeValue::TableRow(_)
            | NodeValue::TableCell => {}
            other => found.odd.push(format!("{other:?}")),
        }
    }
    found
}

/// The words below a node.
fn words<'a>(node: &'a AstNode<'a>) -> String {
    node.descendants()
        .map(|node| match &node.data.borrow().value {
            NodeValue::Text(text) => text.to_string(),
            NodeValue::Code(code) => code.literal.clone(),
            _ => String::new(),
        })
        .collect()
}

/// Checks a document by what is found in it, whatever the report says.
pub(crate) fn check(report: &Report) {
    let text = markdown(report);
    assert!(units(&text) <= LIMIT, "{} units", units(&text));
    let hostile = text.chars().find(|c| *c != '\n' && text::is_hostile(*c));
    assert_eq!(hostile, None);

    let found = found(&text);
    // GitLab would take such a line as a command.
    assert!(
        !found.text.lines().any(|line| line.starts_with('/')),
        "{text}"
    );
    assert_eq!(found.odd, Vec::<String>::new(), "{text}");
    for rows in &found.tables {
        assert!(
            rows.iter().all(|cells| *cells == rows[0]),
            "{rows:?}\n{text}"
        );
    }
    // Links and calls are made of what was rendered, where it is not code.
    for reference in ["@", "#", "!", "~", "$", "^", "://", "www."] {
        assert!(
            !found.text.contains(reference),
            "{reference}: {}",
            found.text
        );
    }
    assert!(found.headings[0].starts_with("TCP memory of "));

    let (scripts, documents): (Vec<_>, Vec<_>) =
        found.blocks.iter().partition(|(info, _)| info == "sh");
    // Commands stand whole, or not at all.
    let verdict = &report.verdict;
    let advised = verdict.advice.iter().filter_map(|it| it.command.as_ref());
    let known = advised.chain(verdict.checks.iter().map(|check| &check.command));
    let known: Vec<String> = known.map(|line| text::clean(line, usize::MAX)).collect();
    for (_, script) in &scripts {
        assert!(
            known
                .iter()
                .any(|line| line == script.trim_end_matches('\n')),
            "{script}"
        );
    }
    // The document is a smaller report, folded by nothing but what we wrote.
    for (_, json) in &documents {
        let back: Report = serde_json::from_str(json).unwrap();
        assert_eq!(back.verdict, report.verdict);
        assert_eq!(back.tcp_memory, report.tcp_memory);
    }
    assert_eq!(found.html.len(), 2 * documents.len());
    if let [(info, _)] = documents.as_slice() {
        assert_eq!(info, "json");
        assert!(found.html[0].starts_with("<details>\n<summary>The report as JSON ("));
        assert_eq!(found.html[0].matches('<').count(), 3, "{}", found.html[0]);
        assert_eq!(found.html[1], "</details>\n");
    } else {
        assert!(documents.is_empty());
        assert!(text.contains("the report as JSON"), "that it lacks is said");
    }
}

#[test]
fn tables_and_commands_of_the_incident_are_found_by_another_parser() {
    let report = incident().report();
    let found = found(&markdown(&report));
    let titles: Vec<&str> = found.headings.iter().map(String::as_str).collect();
    assert_eq!(
        titles,
        [
            "TCP memory of node-7: tcp_mem_leak",
            "What to do, the least harmful first",
            "Victims",
            "Culprits",
            "Evidence",
            "Ruled out",
            "Check by hand",
            "Reconciliation (the kernel's count minus ours, per network namespace)",
            "Losses",
            "Plan",
        ]
    );
    // Facts (limit, memory, explained, sockets, owners, window, node), two victims, one culprit, each below its head.
    let sizes: Vec<(usize, usize)> = found
        .tables
        .iter()
        .map(|rows| (rows.len(), rows[0]))
        .collect();
    assert_eq!(sizes, [(8, 2), (3, 8), (2, 7)]);
    let scripts = found.blocks.iter().filter(|(info, _)| info == "sh");
    let scripts: Vec<&str> = scripts.map(|(_, script)| script.trim_end()).collect();
    let verdict = &report.verdict;
    let advised = verdict.advice.iter().filter_map(|it| it.command.as_deref());
    let checked = verdict.checks.iter().map(|check| check.command.as_str());
    assert_eq!(scripts, advised.chain(checked).collect::<Vec<_>>());
    assert!(found.codes.iter().any(|code| code == "shop/leaky"));
    // A document of this size is there as a whole.
    let (_, json) = found.blocks.last().unwrap();
    let back: Report = serde_json::from_str(json).unwrap();
    assert_eq!(back.verdict, report.verdict);
}

#[test]
fn what_has_no_room_is_left_out_and_named() {
    let mut report = incident().report();
    let event = report.evidence[0].clone();
    report.evidence = vec![event; 100];
    check(&report);
    let text = markdown(&report);
    assert!(text.contains(", without evidence</summary>"), "{text}");
    let found = found(&text);
    let back: Report = serde_json::from_str(&found.blocks.last().unwrap().1).unwrap();
    assert_eq!(back.evidence, []);
    assert_eq!(
        back.holders, report.holders,
        "what comes after it is still there"
    );

    let gap = "no such thing ".repeat(80);
    report.losses.gaps = vec![gap; 100];
    let victim = report.victims[0].clone();
    report.victims = vec![victim; 100];
    check(&report);
    let text = markdown(&report);
    assert!(text.contains("… and 80 more"));
    assert!(
        text.contains("Left out, because there is no more room here: "),
        "{text}"
    );
    assert!(text.contains("the report as JSON."), "{text}");
}

#[test]
fn a_command_is_whole_or_absent() {
    let mut report = incident().report();
    report.verdict.checks[0].command = "x".repeat(100_000);
    check(&report);
    assert!(markdown(&report).contains("The command is too long for this place"));
}

#[test]
fn a_healthy_report_has_nothing_to_check() {
    let mut report = incident().report();
    report.verdict.kind = Kind::Healthy;
    let text = markdown(&report);
    assert!(!text.contains("### Evidence") && !text.contains("### Check by hand"));
}

#[test]
fn long_runs_of_what_fences_are_made_of_are_no_more_than_words() {
    for evil in ["`".repeat(500), "\u{1f980}|".repeat(250)] {
        check(&hostile::poisoned(&incident().report(), &evil));
    }
    let mut report = incident().report();
    report.verdict.headline = "`|\u{1f980}".repeat(30_000);
    report.verdict.advice[0].command = Some("`".repeat(900));
    check(&report);
}
