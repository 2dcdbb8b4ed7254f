//! The pages among the golden files, as a browser sees them: it must have nothing to complain of, fetch nothing, show every part, and
//! give the report back as it was. Pictures of them, in light and dark, are kept in `target/html`.
//!
//! Where there is no browser each test is reported as ignored, with the reason, as the test harness of Rust does it.

mod browser;

use std::{
    collections::BTreeSet,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use browser::Browser;
use serde_json::Value;

/// What a page tells of itself.
const PROBE: &str = include_str!("probe.js");

/// Parts that no page lacks.
const PARTS: [&str; 9] = [
    "verdict", "victims", "culprits", "course", "holders", "stalls", "losses", "plan", "raw",
];
/// What makes the two colours of a scheme.
const COLOURS: &str = "(() => { const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]; })()";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn main() -> ExitCode {
    let wanted = env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut tests: Vec<(String, PathBuf)> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "html")
        })
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                path,
            )
        })
        .collect();
    tests.sort();
    assert!(
        tests.len() >= 5,
        "pages of at least five reports: {tests:?}"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("html");
    fs::create_dir_all(&folder).unwrap();
    tests.insert(0, ("complaints".to_owned(), folder.join("complaints.html")));
    tests.retain(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted)));
    println!("\nrunning {} tests", tests.len());
    if env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let Some(program) = browser::find() else {
        for (name, _) in &tests {
            println!(
                "test {name} ... ignored, no Chromium here: `cargo xtask setup` unpacks one, or TCPRESS_CHROMIUM names it"
            );
        }
        println!(
            "\ntest result: ok. 0 passed; 0 failed; {} ignored; 0 measured; 0 filtered out",
            tests.len()
        );
        return ExitCode::SUCCESS;
    };
    let mut failed = 0;
    for (name, page) in &tests {
        let test = || match name.as_str() {
            "complaints" => complaints_are_heard(&program, &folder),
            name => the_page_is_whole(&program, &folder, name, page),
        };
        let good = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        failed += usize::from(!good);
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out",
        tests.len() - failed
    );
    ExitCode::from(u8::from(failed > 0))
}

/// What a browser holds against a page: entries of its console, errors of scripts, and whatever was fetched besides the page.
fn complaints(events: &[Value], page: &Path) -> Vec<String> {
    let own = format!("file://{}", page.display());
    let complaint = |event: &Value| match event["method"].as_str().unwrap_or_default() {
        "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => {
            Some(event["params"].to_string())
        }
        "Network.requestWillBeSent" => {
            let url = event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            (url != own).then(|| format!("fetched {url}"))
        }
        _ => None,
    };
    events.iter().filter_map(complaint).collect()
}

/// The test of the test: each thing that a page must not do is noticed.
fn complaints_are_heard(program: &Path, folder: &Path) {
    let page = folder.join("complaints.html");
    let head = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">";
    let mut browser = Browser::start(program, folder);
    for (wrong, word) in [
        ("<style>p { color: red }</style>", "style"),
        (
            "<p onclick=\"alert(1)\">x</p><script>alert(1)</script>",
            "script",
        ),
        ("<img src=\"file:///tmp/none.png\">", "img"),
    ] {
        fs::write(&page, format!("<!doctype html>{head}{wrong}")).unwrap();
        let heard = complaints(&browser.open(&page), &page);
        assert!(
            heard
                .iter()
                .any(|it| it.contains("Content Security Policy") && it.contains(word)),
            "{wrong}: {heard:?}"
        );
    }
    fs::write(&page, format!("<!doctype html>{head}<p>nothing wrong</p>")).unwrap();
    assert_eq!(
        complaints(&browser.open(&page), &page),
        Vec::<String>::new()
    );
    fs::remove_file(&page).unwrap();
}

fn the_page_is_whole(program: &Path, folder: &Path, name: &str, page: &Path) {
    let mut browser = Browser::start(program, folder);
    let heard = complaints(&browser.open(page), page);
    assert_eq!(heard, Vec::<String>::new());
    let found = browser.evaluate(PROBE);
    let list = |value: &Value| -> Vec<String> {
        let all = value.as_array().unwrap().iter();
        all.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let ids: BTreeSet<String> = list(&found["ids"]).into_iter().collect();
    for part in PARTS {
        assert!(ids.contains(part), "{part} lacks: {ids:?}");
    }
    for none in ["repeated", "active", "handlers"] {
        assert_eq!(list(&found[none]), Vec::<String>::new(), "{none}");
    }
    assert_eq!(found["wide"], 0, "it is wider than the window");
    assert_eq!(found["heads"], true, "tables have titles and heads");

    // What was written comes back, whatever is in it.
    let golden: Value =
        serde_json::from_slice(&fs::read(page.with_extension("json")).unwrap()).unwrap();
    let raw: Value = serde_json::from_str(found["raw"].as_str().unwrap()).unwrap();
    assert_eq!(raw, golden);
    charts(&found["charts"], &golden);
    let text = found["text"].as_str().unwrap();
    let headline: String = golden["verdict"]["headline"]
        .as_str()
        .unwrap()
        .chars()
        .take(60)
        .collect();
    assert!(text.contains(&headline), "{headline}");

    let colours = ["light", "dark"].map(|scheme| {
        browser.prefer(scheme);
        let end = if scheme == "dark" { "-dark" } else { "" };
        let picture = BASE64_STANDARD.decode(browser.picture()).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        fs::write(folder.join(format!("{name}{end}.png")), picture).unwrap();
        list(&browser.evaluate(COLOURS))
    });
    assert_eq!(colours[0].len(), 2);
    assert_ne!(colours[0], colours[1], "dark is another scheme");
}

/// Each chart is there when the report has what it shows, with a bar for each figure, all of it in sight.
fn charts(charts: &Value, report: &Value) {
    let series = &report["series"];
    let refused = series["owners"].as_array().into_iter().flatten();
    let refused = refused
        .map(|owner| &owner["refused"])
        .chain([&series["others"]]);
    let refused = refused
        .filter_map(Value::as_array)
        .flatten()
        .filter(|count| count.as_u64() > Some(0))
        .count();
    let holders = report["holders"].as_array().unwrap();
    let states = holders
        .iter()
        .take(12)
        .flat_map(|holder| holder["states"].as_array().unwrap());
    let states = states
        .filter(|state| state["held_bytes"].as_u64() > Some(0))
        .count();
    let buckets = report["victims"].as_array().unwrap().iter();
    let buckets: BTreeSet<u64> = buckets
        .flat_map(|victim| victim["stall_buckets"].as_array().unwrap())
        .map(|bucket| bucket["from_ns"].as_u64().unwrap())
        .collect();
    for (name, there, bars) in [
        ("course", !series.is_null(), refused),
        ("holders", !holders.is_empty(), states),
        ("stalls", !buckets.is_empty(), buckets.len()),
    ] {
        let chart = &charts[name];
        assert_eq!(chart.is_null(), !there, "{name}: {chart}");
        if !there {
            continue;
        }
        assert_eq!(chart["bars"], bars, "{name}");
        assert_eq!(chart["shown"], true, "{name}");
        assert_eq!(chart["described"], true, "{name}");
        assert!(
            chart["table"].as_u64() > Some(0),
            "{name}: the figures stand beside it"
        );
        assert_eq!(chart["outside"], serde_json::json!([]), "{name}");
        let colours = chart["colours"].as_array().unwrap();
        assert!(
            !colours.iter().any(|colour| colour == "rgb(0, 0, 0)"),
            "{name}: a bar without its colour"
        );
    }
}
