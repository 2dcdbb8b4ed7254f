//! Less of a report: what is left out is told, and what stays is what it was.

use super::{
    fixture::{Fixture, LEAKY, key},
    golden,
    incident::incident,
    schema,
};
use crate::{
    output::{Format, Style, json, render_in, table},
    report::{
        Report, View,
        schema::Document,
        view::{Filter, Sort},
    },
};

/// Owners in each list where nothing else is asked for.
const USUAL: usize = 20;

/// The incident, with failures of two owners sampled.
fn whole() -> Report {
    let mut node = incident();
    let mut event = node.events[0];
    event.owner = key(LEAKY);
    node.events.push(event);
    node.report()
}

fn of(filter: Filter) -> Report {
    let view = View {
        filter,
        ..View::default()
    };
    view.of(whole(), USUAL)
}

fn names<'a>(owners: impl Iterator<Item = &'a crate::report::Owner>) -> Vec<&'a str> {
    owners.map(|owner| owner.name.as_str()).collect()
}

/// Puts back what a view may touch, so that all the rest can be compared.
fn rest(mut report: Report, of: &Report) -> Report {
    report.narrowed = None;
    report.victims = of.victims.clone();
    report.holders = of.holders.clone();
    report.memcg_pressure = of.memcg_pressure.clone();
    report.timeline = of.timeline.clone();
    report.evidence = of.evidence.clone();
    report.series = of.series.clone();
    report
}

#[test]
fn without_a_wish_nothing_changes() {
    let report = incident().report();
    assert_eq!(View::default().of(report.clone(), USUAL), report);
    assert_eq!(report.narrowed, None);
}

#[test]
fn a_culprit_outside_of_the_filter_is_still_named() {
    let whole = whole();
    let shown = of(Filter {
        namespaces: vec!["cache".into()],
        ..Filter::default()
    });
    assert_eq!(
        names(shown.victims.iter().map(|it| &it.owner)),
        ["cache/redis-0"]
    );
    assert_eq!(
        names(shown.holders.iter().map(|it| &it.owner)),
        ["cache/redis-0"]
    );
    let culprits = shown.culprits.iter().map(|it| &it.holder.owner);
    assert_eq!(names(culprits), ["shop/leaky"]);
    assert!(shown.verdict.headline.contains("shop/leaky"));
    assert_eq!(rest(shown.clone(), &whole), whole);
    // Those who stay are what they were.
    let redis = |report: &Report| {
        let mut holders = report.holders.iter();
        holders.find(|it| it.owner.name == "cache/redis-0").cloned()
    };
    assert_eq!(redis(&shown), redis(&whole));

    let narrowed = shown.narrowed.as_ref().unwrap();
    assert_eq!(narrowed.filters, ["namespace=cache"]);
    assert_eq!(narrowed.victims, (whole.victims.len() - 1) as u64);
    assert_eq!(narrowed.holders, (whole.holders.len() - 1) as u64);
    let others = whole.evidence.iter();
    let others = others.filter(|it| it.owner.name != "cache/redis-0").count();
    assert!(others > 0);
    assert_eq!(narrowed.evidence, others as u64);
    golden::check("narrowed", &shown);
}

#[test]
fn every_filter_narrows_by_its_own_figure() {
    let whole = incident().report();
    let netns = whole.victims[0].netns.clone();
    let id = whole.culprits[0].holder.owner.cgroup_id.clone().unwrap();
    let path = whole.culprits[0].holder.owner.cgroup_path.clone().unwrap();
    let select = |selector: &str| Filter {
        labels: Some(selector.parse().unwrap()),
        ..Filter::default()
    };
    let holders = |filter: Filter| {
        let report = of(filter);
        let mut names: Vec<String> = report
            .holders
            .iter()
            .map(|it| it.owner.name.clone())
            .collect();
        names.sort();
        (names, report.narrowed.unwrap().labels_unknown)
    };
    let pods = |pods: &[&str]| Filter {
        pods: pods.iter().map(ToString::to_string).collect(),
        ..Filter::default()
    };
    let cgroup = |cgroup: String| Filter {
        cgroups: vec![cgroup],
        ..Filter::default()
    };
    let all = ["cache/redis-0", "shop/leaky", "shop/web-7"];
    for (filter, wanted) in [
        (pods(&["redis-*"]), &all[..1]),
        (pods(&["shop/*"]), &all[1..]),
        (pods(&["cache/leaky"]), &[]),
        (pods(&["leaky", "web-7"]), &all[1..]),
        (cgroup(id), &all[1..2]),
        (cgroup(path), &all[1..2]),
        (cgroup("/kubepods.slice".into()), &all[..]),
    ] {
        let words = filter.words();
        assert_eq!(holders(filter).0, wanted, "{words:?}");
    }
    // Nobody told the labels of web-7.
    assert_eq!(holders(select("app=redis")).0, all[..1]);
    assert_eq!(holders(select("app=nginx")), (Vec::new(), 1));
    assert_eq!(holders(select("app=app")), (vec!["shop/leaky".into()], 1));
    assert_eq!(
        holders(select("team!=shop")),
        (vec!["cache/redis-0".into()], 1)
    );
    let here = of(Filter {
        netns: netns.clone(),
        ..Filter::default()
    });
    assert!(here.victims.iter().all(|it| it.netns == netns));
    let elsewhere = of(Filter {
        netns: vec!["1".into()],
        ..Filter::default()
    });
    assert!(elsewhere.victims.is_empty() && elsewhere.holders.is_empty());
    assert!(elsewhere.evidence.is_empty() && !elsewhere.culprits.is_empty());
}

#[test]
fn the_first_of_each_list() {
    let whole = incident().report();
    let view = View {
        top: Some(1),
        sort: Some(Sort::Name),
        ..View::default()
    };
    let shown = view.of(whole.clone(), USUAL);
    let mut sorted = names(whole.holders.iter().map(|it| &it.owner));
    sorted.sort_unstable();
    assert_eq!(names(shown.holders.iter().map(|it| &it.owner)), sorted[..1]);
    let narrowed = shown.narrowed.as_ref().unwrap();
    assert!(narrowed.filters.is_empty());
    assert_eq!(narrowed.holders, (whole.holders.len() - 1) as u64);
    assert_eq!(narrowed.evidence, 0);
    assert_eq!(rest(shown, &whole), whole);
    // A number that is not reached leaves nothing out.
    let enough = View {
        top: Some(50),
        ..View::default()
    };
    assert_eq!(enough.of(whole.clone(), USUAL), whole);
    assert_eq!(enough.owners_wanted(USUAL), 50);
    assert_eq!(view.owners_wanted(USUAL), USUAL);
}

#[test]
fn what_is_not_known_comes_last() {
    let mut report = incident().report();
    let growth = [Some(5), None, Some(-7)];
    for (holder, growth) in report.holders.iter_mut().zip(growth) {
        holder.growth_bytes = growth;
    }
    let view = View {
        sort: Some(Sort::Growth),
        ..View::default()
    };
    let sorted = view.of(report, USUAL);
    let growth: Vec<Option<i64>> = sorted.holders.iter().map(|it| it.growth_bytes).collect();
    assert_eq!(growth, [Some(5), Some(-7), None]);
    assert_eq!(sorted.narrowed, None, "all of it is there");
}

#[test]
fn a_filter_that_finds_nobody_says_so() {
    let report = Fixture::quiet().report();
    let view = View {
        filter: Filter {
            pods: vec!["x\u{1b}[2J".into()],
            ..Filter::default()
        },
        ..View::default()
    };
    let shown = view.of(report, USUAL);
    let table = table::report(&shown);
    assert!(
        table.contains("only pod=x\\u{1b}[2J; nothing was left out"),
        "{table}"
    );
    let value = serde_json::from_str(&json::pretty(&shown).unwrap()).unwrap();
    schema::valid("nobody", Document::Report, &value);
}

fn styled(style: Style) -> String {
    render_in(&incident().report(), Format::Table, style).unwrap()
}

/// Text without SGR sequences.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let (parameters, after) = after.split_once('m').unwrap();
        assert!(parameters.bytes().all(|c| c.is_ascii_digit() || c == b';'));
        rest = after;
    }
    plain + rest
}

#[test]
fn colour_changes_no_character() {
    let coloured = styled(Style {
        colour: true,
        ..Style::default()
    });
    let ordinary = styled(Style::default());
    assert!(!ordinary.contains('\u{1b}'));
    assert_eq!(plain(&coloured), ordinary);
    // SGR 31 is red, 1 bold; each line ends what it began.
    assert!(coloured.starts_with("\u{1b}[1;31mVERDICT: "));
    assert!(coloured.contains("\n\u{1b}[1mVICTIMS\u{1b}[0m\n"));
    for line in coloured.lines() {
        assert_eq!(
            line.contains('\u{1b}'),
            line.ends_with("\u{1b}[0m"),
            "{line}"
        );
    }
    let quiet = render_in(
        &Fixture::quiet().report(),
        Format::Table,
        Style {
            colour: true,
            ..Style::default()
        },
    );
    assert!(quiet.unwrap().starts_with("\u{1b}[1;32mVERDICT: "));
}

#[test]
fn heads_can_be_left_out() {
    let bare = styled(Style {
        heads: false,
        ..Style::default()
    });
    let ordinary = styled(Style::default());
    let heads: Vec<&str> = ordinary
        .lines()
        .filter(|line| !bare.lines().any(|other| other == *line))
        .collect();
    assert!(heads.len() >= 2, "{heads:?}");
    assert!(
        heads
            .iter()
            .all(|line| line.starts_with("  OWNER") || line.starts_with("  NETNS"))
    );
}

#[test]
fn a_wide_page_shows_more() {
    let wide = render_in(&incident().report(), Format::Wide, Style::default()).unwrap();
    golden::compare("incident.wide.txt", &wide);
    assert!(wide.contains("WINDOW 0") && wide.contains("NOT ACCEPTED"));
    let longest = wide.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest > 100, "{longest}");
}

#[test]
fn one_line_has_the_whole_document() {
    let report = incident().report();
    let line = render_in(&report, Format::Ndjson, Style::default()).unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.ends_with('\n'));
    assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
}

#[test]
fn only_what_is_certain_is_a_finding() {
    assert!(incident().report().verdict.kind.is_finding());
    assert!(!Fixture::quiet().report().verdict.kind.is_finding());
    assert!(!crate::report::Kind::Inconclusive.is_finding());
}

#[test]
fn the_course_names_nobody_outside_of_the_filter_and_keeps_its_sums() {
    let whole = whole().series.unwrap();
    let shown = of(Filter {
        namespaces: vec!["cache".into()],
        ..Filter::default()
    });
    let series = shown.series.unwrap();
    let [leaky, redis] = whole.owners.as_slice() else {
        panic!("{:?}", whole.owners);
    };
    assert_eq!(series.owners, std::slice::from_ref(redis));
    assert_eq!(series.others, leaky.refused);
    assert_eq!(series.steps, whole.steps);
    // By its network namespace as well, which the line among the victims tells.
    let netns = super::view::whole().victims[0].netns.clone();
    let shown = of(Filter {
        netns: netns.clone(),
        ..Filter::default()
    });
    assert!(!netns.is_empty());
    let owners = shown.series.unwrap().owners;
    assert_eq!(owners[0], *leaky);
}
