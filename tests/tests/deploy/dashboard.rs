//! The dashboard. No package of Debian, PyPI or npm brings a Grafana, so none loads it here: its structure is looked at, by what Grafana's
//! documentation says of the model of dashboards, and its queries are parsed by promtool.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::{Value, json};

use super::{folder::Folder, text, tools};

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/tcpress.json")).expect("JSON")
}

/// All panels, those within closed rows too.
fn panels(dashboard: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        all.push(panel.clone());
        all.extend(panel["panels"].as_array().into_iter().flatten().cloned());
    }
    all
}

#[test]
fn panels_stand_beside_each_other_and_show_something() {
    let dashboard = dashboard();
    for (key, value) in [
        ("uid", json!("tcpress")),
        ("title", json!("tcpress")),
        ("id", Value::Null),
        ("editable", json!(true)),
    ] {
        assert_eq!(dashboard[key], value, "{key}");
    }
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let (mut ids, mut titles, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut shown = 0;
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id");
        assert!(titles.insert(title.clone()), "{title} twice");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (x, y, width, height) = (place("x"), place("y"), place("w"), place("h"));
        assert!(x + width <= 24 && width > 0 && height > 0, "{title}");
        for column in x..x + width {
            for line in y..y + height {
                assert!(cells.insert((column, line)), "{title} covers another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        shown += 1;
        assert!(
            ["timeseries", "stat", "table", "bargauge", "heatmap"]
                .contains(&panel["type"].as_str().unwrap()),
            "{title}"
        );
        assert!(panel["description"].is_string(), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        let mut letters = BTreeSet::new();
        for target in targets {
            assert!(letters.insert(target["refId"].as_str().unwrap().to_owned()));
            for source in [&panel["datasource"], &target["datasource"]] {
                // Whatever Prometheus one has: the one that is chosen above.
                assert_eq!(
                    *source,
                    json!({"type": "prometheus", "uid": "${datasource}"}),
                    "{title}"
                );
            }
        }
    }
    assert!(shown >= 10, "{shown}");
}

#[test]
fn variables_that_are_used_are_defined() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let mut defined: BTreeSet<&str> = variables
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    // Grafana's own.
    defined.extend(["__rate_interval", "__range", "__all"]);
    let text = dashboard.to_string();
    let mut used = BTreeSet::new();
    for rest in text.split('$').skip(1) {
        let name: String = rest
            .trim_start_matches('{')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        used.insert(name);
    }
    assert!(used.contains("instance") && used.contains("namespace"));
    for name in used {
        assert!(defined.contains(name.as_str()), "${name}");
    }
}

#[test]
fn promtool_takes_every_query() {
    let Some(promtool) = tools::find("promtool takes every query", "promtool") else {
        return;
    };
    let mut rules = Vec::new();
    for panel in panels(&dashboard()) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            let query = query
                .replace("$__rate_interval", "5m")
                .replace("$__range", "1h");
            // What stands in quotes may keep its variables.
            let name = format!("query:{}:{}", panel["id"], rules.len());
            rules.push(json!({"record": name, "expr": query}));
        }
    }
    let folder = Folder::new();
    let path = folder.path().join("queries.yaml");
    let check = |rules: &[Value]| {
        let file = json!({"groups": [{"name": "queries", "rules": rules}]});
        fs::write(&path, file.to_string()).unwrap();
        tools::run(Command::new(&promtool).args(["check", "rules"]).arg(&path))
    };
    let (good, said) = check(&rules);
    assert!(good, "{said}");
    let count = format!("{} rules found", rules.len());
    assert!(said.contains(&count), "{said}");
    // The test of the test.
    rules.push(json!({"record": "wrong", "expr": "sum by (a (b)"}));
    assert!(!check(&rules).0);
}
