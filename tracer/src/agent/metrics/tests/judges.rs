//! Pages in the judgement of parsers that others have made: promtool reads the text format, the reference parser of OpenMetrics, that of
//! Prometheus' client for Python, the other.

use std::{
    env,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{FORMATS, Format, everything, node, page};
use crate::{
    agent::ledger::{AgentFigures, Figures, Ledger},
    fixture::Fixture,
    report::tests::hostile::EVILS,
};

/// Pages of every kind: with everything, with next to nothing, and with names that are chosen to break them.
fn pages(format: Format) -> Vec<String> {
    let mut hostile = everything(2_000);
    for (at, (owner, _)) in hostile.owners.iter_mut().enumerate() {
        let mut labels = (**owner).clone();
        // Not cleaned: what escapes must be enough by itself, as far as a format can tell lines.
        labels.pod = EVILS[at % EVILS.len()].to_owned();
        *owner = labels.into();
    }
    let empty = Ledger::new(0, std::time::Duration::ZERO);
    let empty = empty.figures(node(), AgentFigures::default());
    let all: [Figures; 3] = [everything(10_000), empty, hostile];
    all.iter().map(|figures| page(figures, format)).collect()
}

/// Where a program is: in the cache of `cargo xtask setup`, or on PATH.
fn find(program: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let ours = cache.map(|cache| cache.join("tcpress/tools/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = ours.into_iter().chain(env::split_paths(&path));
    let mut places = folders.map(|folder| folder.join(program));
    places.find(|path| path.is_file())
}

/// Says that a test could not be made, past cargo, which keeps what passing tests print.
fn skip(test: &str, program: &str) {
    // Whoever reads it may be gone; that is no reason to fail.
    let _ = writeln!(
        std::io::stdout(),
        "SKIP: {test}: no {program} here (`cargo xtask setup`, or this machine's packages)"
    );
}

/// Gives a page to a program. `None` when there is none.
fn judge(program: &str, arguments: &[&str], page: &str) -> Option<(bool, String)> {
    let mut child = Command::new(find(program)?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let page = page.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    Some((output.status.success(), words))
}

#[test]
fn promtool_finds_nothing_wrong() {
    let check = |page: &str| judge("promtool", &["check", "metrics"], page);
    let Some((good, _)) = check("tcpress_bad{ 1\n") else {
        skip("promtool_finds_nothing_wrong", "promtool");
        return;
    };
    assert!(!good, "a judge that refuses nothing is none");
    for page in pages(Format::Text) {
        let (good, words) = check(&page).unwrap();
        assert!(good && words.trim().is_empty(), "{words}");
    }
}

/// Queries in docs/metrics.md.
fn queries() -> impl Iterator<Item = &'static str> {
    let blocks = include_str!("document.md").split("```promql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap())
}

#[test]
fn promtool_understands_every_query_of_the_page() {
    let folder = Fixture::new();
    let check = |queries: &mut dyn Iterator<Item = &str>| {
        let rules = queries.enumerate();
        let rules: Vec<_> = rules
            .map(|(at, query)| json!({ "record": format!("query{at}"), "expr": query }))
            .collect();
        let file = json!({ "groups": [{ "name": "page", "rules": rules }] });
        // JSON is YAML.
        folder.file("rules.yml", &file.to_string());
        let path = folder.path().join("rules.yml");
        judge("promtool", &["check", "rules", path.to_str().unwrap()], "")
    };
    let Some((good, _)) = check(&mut ["sum by ("].into_iter()) else {
        skip("promtool_understands_every_query_of_the_page", "promtool");
        return;
    };
    assert!(!good, "a judge that refuses nothing is none");
    let (good, words) = check(&mut queries()).unwrap();
    assert!(good, "{words}");
    assert!(
        words.contains(&format!("{} rules found", queries().count())),
        "{words}"
    );
}

/// Python with Prometheus' client.
const CLIENT: &str = "prometheus-client";

/// Prints how many series there are.
const READ: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text
read = {'openmetrics': openmetrics, 'text': text}[sys.argv[1]]
page = sys.stdin.buffer.read().decode()
print(sum(len(family.samples) for family in read(page)))
";

#[test]
fn the_reference_parser_reads_every_series() {
    let read = |name: &str, page: &str| judge(CLIENT, &["-c", READ, name], page);
    let Some((good, words)) = read("openmetrics", "# EOF\n") else {
        skip("the_reference_parser_reads_every_series", CLIENT);
        return;
    };
    assert!(good && words.trim() == "0", "{words}");
    let (good, _) = read("openmetrics", "tcpress_bad{ 1\n# EOF\n").unwrap();
    assert!(!good, "a judge that refuses nothing is none");
    for format in FORMATS {
        let name = match format {
            Format::OpenMetrics => "openmetrics",
            Format::Text => "text",
        };
        for page in pages(format) {
            let (good, words) = read(name, &page).unwrap();
            assert!(good, "{name}: {words}");
            let series = super::series(&page).len();
            assert_eq!(words.trim(), series.to_string(), "{name}");
        }
    }
}
