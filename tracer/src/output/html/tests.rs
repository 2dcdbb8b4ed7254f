//! What a page is made of. That a browser takes it as it is meant is seen by one, in the tests of the lab.

use super::{STYLE, policy, report as html};
use crate::{
    output::text,
    report::{
        Report, StallBucket,
        tests::{hostile, incident::incident},
    },
};

/// Elements that a page may have.
const ELEMENTS: [&str; 41] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "section",
    "h1",
    "h2",
    "p",
    "bdi",
    "dl",
    "dt",
    "dd",
    "ol",
    "ul",
    "li",
    "pre",
    "code",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "div",
    "span",
    "figure",
    "figcaption",
    "details",
    "summary",
    "svg",
    "desc",
    "rect",
    "line",
    "polyline",
    "circle",
    "text",
    "!doctype",
];
/// Attributes that they may have: none runs anything, none loads anything.
const ATTRIBUTES: [&str; 23] = [
    "class",
    "id",
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "scope",
    "role",
    "aria-labelledby",
    "viewBox",
    "x",
    "y",
    "x1",
    "y1",
    "x2",
    "y2",
    "cx",
    "cy",
    "r",
    "width",
    "height",
    "points",
];

/// The tags of a page in their order, each with its name alone; every one must be well formed and known.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let body = page.replace(STYLE, "");
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("{part}"));
        assert!(!text.contains('>') && !text.contains('"'), "{part}");
        let tag = tag.trim_end_matches('/');
        let name = tag.split(' ').next().unwrap();
        assert!(ELEMENTS.contains(&name.trim_start_matches('/')), "{name}");
        let mut rest = tag[name.len()..].trim_start();
        while !rest.is_empty() && name != "!doctype" {
            let (attribute, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
            assert!(ATTRIBUTES.contains(&attribute), "{attribute}");
            let (_, after) = after.split_once('"').unwrap_or_else(|| panic!("{tag}"));
            rest = after.trim_start();
        }
        tags.push(name.to_owned());
    }
    tags
}

/// Checks a page whatever the report says.
pub(crate) fn check(report: &Report) {
    let page = html(report);
    let hostile = page.chars().find(|c| *c != '\n' && text::is_hostile(*c));
    assert_eq!(hostile, None);
    let tags = tags(&page);
    let count = |name: &str| tags.iter().filter(|tag| *tag == name).count();
    assert_eq!(count("svg"), count("desc"), "each chart is described");
    assert_eq!(count("table"), count("caption"), "each table has a title");
    assert_eq!(count("figure"), count("svg"));
    for open in ELEMENTS
        .iter()
        .filter(|name| !["meta", "rect", "line", "polyline", "circle", "!doctype"].contains(*name))
    {
        assert_eq!(count(open), count(&format!("/{open}")), "{open}");
    }
    // Nothing is named that could be fetched.
    for scheme in ["http:", "https:", "data:", "url(", "@import"] {
        assert!(!STYLE.contains(scheme));
    }
}

#[test]
fn charts_show_what_the_report_says() {
    let mut report = incident().report();
    let page = html(&report);
    let chart = |page: &str, id: &str| -> String {
        let (_, after) = page.split_once(&format!("<section id=\"{id}\">")).unwrap();
        after.split_once("</section>").unwrap().0.to_owned()
    };
    let bars = |page: &str, id: &str| chart(page, id).matches("class=\"bar ").count();
    // Ten steps of two owners; four states of three holders; two buckets.
    assert_eq!(bars(&page, "course"), 20);
    assert_eq!(bars(&page, "holders"), 2 + 1 + 1);
    assert_eq!(bars(&page, "stalls"), 2);
    let course = chart(&page, "course");
    assert!(
        course.contains("shop/leaky: 200 segments refused, 0.0 s to 1.0 s"),
        "{course}"
    );
    assert!(
        course.contains("47.9 MiB of 46.9 MiB compared at a failure"),
        "{course}"
    );
    assert!(chart(&page, "holders").contains("shop/leaky: 43.5 MiB in 380 sockets CLOSE-WAIT"));
    assert!(chart(&page, "stalls").contains("810 prunes of 28.7 us to 32.8 us"));

    report.series = None;
    report.holders.clear();
    for victim in &mut report.victims {
        victim.stall_buckets.clear();
    }
    let page = html(&report);
    check(&report);
    for (id, why) in [
        ("course", "Nothing was traced"),
        ("holders", "No sockets were read"),
        ("stalls", "No prune was timed"),
    ] {
        assert!(chart(&page, id).contains(why) && !chart(&page, id).contains("<svg"));
    }
}

#[test]
fn odd_numbers_stay_within_their_charts() {
    let mut report = incident().report();
    let series = report.series.as_mut().unwrap();
    series.steps[3].fill = Some(f64::MAX);
    series.steps[4].end_ns = 0;
    series.steps[5].end_ns = u64::MAX;
    series.owners[0].refused = vec![u64::MAX; 3];
    series.others = vec![u64::MAX; 99];
    report.holders[0].states[0].held_bytes = u64::MAX;
    report.victims[0].stall_buckets = vec![StallBucket {
        from_ns: 7,
        to_ns: 8,
        count: u64::MAX,
    }];
    report.tcp_memory.tcp_mem_bytes.as_mut().unwrap().max = 0;
    report.evidence[0].tcp_mem_max_bytes = Some(0);
    report.window.end = jiff::Timestamp::MIN;
    report.evidence[0].at = jiff::Timestamp::MAX;
    check(&report);
    let page = html(&report);
    assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
}

#[test]
fn the_policy_allows_nothing_but_the_style_sheet() {
    assert!(
        policy().starts_with("default-src 'none'; style-src 'sha256-"),
        "{}",
        policy()
    );
    assert!(!policy().contains("unsafe"));
    assert!(!STYLE.contains('<'), "an end of the element within it");
}

#[test]
fn no_string_of_a_report_is_more_than_words() {
    let plain = html(&hostile::poisoned(&incident().report(), "x"));
    let plain = tags(&plain);
    for evil in hostile::EVILS.iter().filter(|evil| !evil.is_empty()) {
        let report = hostile::poisoned(&incident().report(), evil);
        assert_eq!(tags(&html(&report)), plain, "{evil}");
    }
}

#[test]
fn what_is_very_long_is_cut() {
    let mut report = incident().report();
    report.verdict.headline = "\u{1f980}<".repeat(30_000);
    report.victims[0]
        .owner
        .name
        .clone_from(&report.verdict.headline);
    check(&report);
    let page = html(&report);
    assert!(page.contains("\u{1f980}…</p>") && page.contains("\u{1f980}…</bdi>"));
}
