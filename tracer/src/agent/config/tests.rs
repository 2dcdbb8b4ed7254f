//! Texts that are right, and each way of being wrong.

use std::{fs, path::Path, time::Duration};

use toml::de::DeValue;

use super::*;
use crate::agent::privileges;

fn wrong(text: &str) -> Vec<String> {
    let errors = Config::parse(text).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn only(text: &str) -> String {
    let mut errors = wrong(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn nothing_said_is_the_defaults() {
    for text in [
        "",
        "\n# words\n",
        "[scan]\n[http]\n",
        "\u{feff}enabled = true",
    ] {
        assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text:?}");
    }
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = Config::default();
    assert_eq!(config.scan.interval, Duration::from_secs(60));
    assert_eq!(config.http.listen.unwrap().to_string(), "127.0.0.1:9943");
    assert_eq!(config.recorder.size, 67_108_864);
    assert_eq!(config.trigger.cool_down, Duration::from_secs(300));
    // Each passes its own bounds, and they go together.
    let whole: String = KEYS
        .iter()
        .map(|key| format!("{} = {}\n", key.name, key.default()))
        .collect();
    assert_eq!(Config::parse(&whole).unwrap(), config);
}

#[test]
fn every_key_has_a_name_of_its_own_and_reaches_a_field_of_its_own() {
    let mut names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
    for key in &KEYS {
        let mut config = Config::default();
        let other = another(key);
        // Not by the parser, which also asks what keys say together.
        let value = DeValue::parse(&other).unwrap();
        (key.slot)(&mut config).take(value.get_ref()).unwrap();
        let changed: Vec<&str> = KEYS
            .iter()
            .filter(|key| key.shown(&config) != key.default())
            .map(|key| key.name)
            .collect();
        assert_eq!(changed, [key.name], "{other}");
    }
}

/// A value that is allowed and not the default.
fn another(key: &Key) -> String {
    let allowed = key.allowed();
    let default = key.default();
    let candidates = [
        "true",
        "false",
        "\"json\"",
        "\"jira\"",
        "\"debug\"",
        "600",
        "\"7s\"",
        "\"11m\"",
        "\"17MiB\"",
        "0.25",
        "\"/x/y\"",
        "\"[::1]:1\"",
        "\"https://example.com/\"",
        "\"word\"",
        "12",
    ];
    let fits = |value: &&&str| {
        **value != default
            && match Config::parse(&format!("{} = {value}\n", key.name)) {
                Ok(_) => true,
                Err(errors) => errors[0].place == Place::Together,
            }
    };
    let found = candidates.iter().find(fits);
    (*found.unwrap_or_else(|| panic!("{}: {allowed}", key.name))).to_owned()
}

#[test]
fn values_are_taken() {
    let config = Config::parse(
        "enabled = false\n[log]\nformat = 'json'\n[scan]\ninterval = \"2m\"\ninterval_under_pressure = \"1500ms\"\nfill = 1\n\
         [http]\nlisten = \"\"\n[recorder]\nsize = 16777216\n[trigger]\nstall_p99 = \"0s\"\ngrowth_per_minute = 0\n\
         [limits]\nmap_memory = \"8MiB\"\n[export]\nto = \"https://example.com/in\"\n",
    )
    .unwrap();
    assert!(!config.enabled);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.scan.interval, Duration::from_secs(120));
    assert_eq!(
        config.scan.interval_under_pressure,
        Duration::from_millis(1500)
    );
    assert!((config.scan.fill - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.http.listen, None);
    assert_eq!(config.recorder.size, 16 << 20);
    assert_eq!(config.trigger.stall_p99, Duration::ZERO);
    assert_eq!(config.limits.map_memory, Some(8 << 20));
    assert!(config.export.to.unwrap().is_encrypted());
}

#[test]
fn an_unknown_name_is_told_with_its_line_and_the_nearest() {
    for (text, want) in [
        (
            "\n\n[scan]\nintervall = \"60s\"",
            "line 4: there is no key scan.intervall; the nearest is scan.interval",
        ),
        (
            "enabeld = true",
            "line 1: there is no key enabeld; the nearest is enabled",
        ),
        (
            "[htpp]\nlisten = \"\"",
            "line 1: there is no table htpp; the nearest is http",
        ),
        (
            "http.lisen = \"\"",
            "line 1: there is no key http.lisen; the nearest is http.listen",
        ),
        // In the wrong table.
        (
            "series_budget = 7000",
            "line 1: there is no key series_budget; the nearest is metrics.series_budget",
        ),
        (
            "[http]\nseries_budget = 7000",
            "line 2: there is no key http.series_budget; the nearest is metrics.series_budget",
        ),
        (
            "[quux]\na = 1",
            "line 1: there is no table quux; docs/agent.md has all",
        ),
        ("http = 1", "line 1: http is a table: write [http]"),
        (
            "[[http]]\nlisten = \"\"",
            "line 1: http is a table: write [http]",
        ),
    ] {
        assert_eq!(only(text), want, "{text}");
    }
}

#[test]
fn a_value_that_is_not_allowed_is_told_with_what_is() {
    for (text, starts, ends) in [
        (
            "enabled = 1",
            "line 1: enabled: it is a whole number",
            "allowed: true or false",
        ),
        (
            "[scan]\ninterval = 60",
            "line 2: scan.interval: it has no unit",
            "allowed: \"1s\" to \"60m\"",
        ),
        (
            "[scan]\ninterval = \"60\"",
            "line 2: scan.interval: 60 is not a time",
            "allowed: \"1s\" to \"60m\"",
        ),
        (
            "[scan]\ninterval = \"-5s\"",
            "line 2: scan.interval: -5s is not a time",
            "allowed: \"1s\" to \"60m\"",
        ),
        (
            "[scan]\ninterval = \"2h\"",
            "line 2: scan.interval: it is out of bounds",
            "allowed: \"1s\" to \"60m\"",
        ),
        (
            "[scan]\nfill = nan",
            "line 2: scan.fill: it is out of bounds",
            "or 0 for never",
        ),
        (
            "[scan]\nfill = inf",
            "line 2: scan.fill: it is out of bounds",
            "or 0 for never",
        ),
        (
            "[scan]\nfill = \"much\"",
            "line 2: scan.fill: it is a text",
            "or 0 for never",
        ),
        (
            "[recorder]\nsize = \"64MB\"",
            "line 2: recorder.size: \"64MB\" is not a size",
            "allowed: \"1MiB\" to \"4GiB\"",
        ),
        (
            "[recorder]\nsize = \"99999999999GiB\"",
            "line 2: recorder.size: \"99999999999GiB\" is more than can be counted",
            "4GiB\"",
        ),
        (
            "[recorder]\nsize = -1",
            "line 2: recorder.size: it is out of bounds",
            "4GiB\"",
        ),
        (
            "[recorder]\nminutes = 1.5",
            "line 2: recorder.minutes: it is a number with a fraction",
            "1 to 60",
        ),
        (
            "[recorder]\nminutes = 61",
            "line 2: recorder.minutes: it is out of bounds",
            "1 to 60",
        ),
        (
            "[recorder]\npath = \"history\"",
            "line 2: recorder.path: it is no absolute path",
            "or \"\"",
        ),
        (
            "[http]\nlisten = \"localhost:9943\"",
            "line 2: http.listen: it is no number of an address with a port",
            "or \"\"",
        ),
        (
            "[http]\nlisten = 9943",
            "line 2: http.listen: it is a whole number",
            "or \"\"",
        ),
        (
            "[http]\ntimeout = 1979-05-27",
            "line 2: http.timeout: it is a date",
            "\"5m\"",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "line 2: log.level: it is none of these words",
            "\"error\", \"warn\", \"info\", \"debug\"",
        ),
        (
            "[log]\nlevel = [\"info\"]",
            "line 2: log.level: it is a list",
            "\"debug\"",
        ),
        (
            "[log]\nlevel = {}",
            "line 2: log.level: it is a table",
            "\"debug\"",
        ),
    ] {
        let told = only(text);
        assert!(told.starts_with(starts), "{told}");
        assert!(told.ends_with(ends), "{told}");
    }
    let long = format!("[socket]\npath = \"/{}\"", "x".repeat(100));
    assert!(only(&long).contains("too long"));
}

#[test]
fn no_secret_is_repeated() {
    for text in [
        "[http]\ntoken_file = \"hunter2\"",
        "[export]\nto = \"https://me:hunter2@example.com/\"",
        "[export]\nto = \"hunter2\"",
        "[log]\nlevel = \"hunter2\"",
    ] {
        let told = only(text);
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let told = wrong("[scan]\nfill = 9\nintervl = \"1s\"\n[log]\nformat = \"xml\"\n");
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, line) in told.iter().zip(["line 2: ", "line 3: ", "line 5: "]) {
        assert!(told.starts_with(line), "{told}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for (text, line) in [
        ("enabled = ", 1),
        ("\n[scan\ninterval = \"1s\"", 2),
        ("enabled = true\nenabled = true", 2),
        ("a = \"\0\"", 1),
        ("enabled = tru", 1),
    ] {
        let errors = Config::parse(text).unwrap_err();
        assert_eq!(errors[0].place, Place::Line(line), "{errors:?}");
        assert!(errors[0].what.starts_with("no TOML: "), "{errors:?}");
    }
}

#[test]
fn hostile_names_are_shown_safe_and_short() {
    let told = only(&format!("\"a\\u001b[2J{}\" = 1", "x".repeat(10_000)));
    assert!(told.len() < 600 && !told.contains('\x1b'), "{told}");
    let deep = format!("{}a = 1", "a.".repeat(5_000));
    assert!(Config::parse(&deep).is_err());
}

#[test]
fn what_does_not_go_together_is_told() {
    for (text, what) in [
        ("[scan]\ninterval = \"5s\"", "scan.interval_under_pressure"),
        ("[http]\ntls_cert = \"/a\"", "http.tls_key"),
        ("[trigger]\nbefore = \"11m\"", "recorder.minutes"),
        (
            "[export]\ntoken_file = \"/a\"\nbasic_file = \"/b\"",
            "exclude",
        ),
        (
            "[export]\nto = \"https://a/\"\nformat = \"jira\"",
            "export.project",
        ),
        (
            "[export]\nto = \"https://a/\"\nformat = \"pagerduty\"",
            "export.routing_key_file",
        ),
        (
            "[export]\nto = \"http://a/\"\ntoken_file = \"/a\"",
            "not encrypted",
        ),
    ] {
        let told = only(text);
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn the_command_line_outweighs_the_file() {
    let given = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(own).collect()
    };
    let set = given(&[
        ("http.listen", "10.1.2.3:9943"),
        ("enabled", "false"),
        ("scan.interval", "30s"),
        ("recorder.minutes", "5"),
    ]);
    let config = Config::parse_with("[scan]\ninterval = \"50s\"\n", &set).unwrap();
    assert_eq!(config.http.listen.unwrap().to_string(), "10.1.2.3:9943");
    assert_eq!(config.scan.interval, Duration::from_secs(30));
    assert_eq!((config.enabled, config.recorder.minutes), (false, 5));
    // $(POD_IP):9943 of IPv6.
    let set = given(&[("http.listen", "fd00::7:9943")]);
    let config = Config::parse_with("", &set).unwrap();
    assert_eq!(config.http.listen.unwrap().to_string(), "[fd00::7]:9943");
    let errors = Config::parse_with("", &given(&[("http.lisen", "")])).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "on the command line: there is no key http.lisen; the nearest is http.listen"
    );
}

#[test]
fn a_reload_applies_what_it_can_and_names_the_rest() {
    let old = Config::default();
    let same = old.reload(&old.clone());
    assert_eq!((same.applied.len(), same.needs_restart.len()), (0, 0));
    let new = Config::parse(
        "enabled = false\n[scan]\ninterval = \"30s\"\n[http]\nlisten = \"\"\nmax_connections = 3\n[recorder]\npath = \"/x\"\n\
         [privileges]\nsetns = false\n[limits]\nmap_memory = \"8MiB\"\n",
    )
    .unwrap();
    let done = old.reload(&new);
    assert_eq!(
        done.applied,
        ["enabled", "scan.interval", "http.max_connections"]
    );
    assert_eq!(
        done.needs_restart,
        [
            "http.listen",
            "recorder.path",
            "limits.map_memory",
            "privileges.setns"
        ]
    );
    let want = Config {
        enabled: false,
        scan: new.scan.clone(),
        http: Http {
            max_connections: 3,
            ..old.http.clone()
        },
        ..old.clone()
    };
    assert_eq!(done.config, want);
    // Asked again, the rest still waits.
    assert_eq!(done.config.reload(&new).needs_restart, done.needs_restart);
    assert!(done.config.reload(&new).applied.is_empty());
}

#[test]
fn what_needs_a_restart() {
    let keys: Vec<&str> = KEYS
        .iter()
        .filter(|key| !key.reloads)
        .map(|key| key.name)
        .collect();
    assert_eq!(
        keys,
        [
            "http.listen",
            "socket.path",
            "metrics.series_budget",
            "recorder.path",
            "recorder.size",
            "recorder.minutes",
            "incidents.path",
            "limits.map_memory",
            "privileges.setns",
            "privileges.drop"
        ]
    );
}

#[test]
fn what_should_be_known_is_cautioned() {
    let of = |text: &str| Config::parse(text).unwrap().cautions().len();
    assert_eq!(of(""), 0);
    assert_eq!(of("[http]\nlisten = \"0.0.0.0:1\""), 1);
    assert_eq!(of("[http]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"/t\""), 1);
    let all =
        "[http]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"/t\"\ntls_cert = \"/c\"\ntls_key = \"/k\"";
    assert_eq!(of(all), 0);
}

#[test]
fn a_file_that_is_none_is_told() {
    let folder = crate::fixture::Fixture::new();
    folder.file("large", &" ".repeat((1 << 20) + 1));
    fs::write(folder.path().join("bytes"), [0xff, 0xfe]).unwrap();
    for name in ["absent", "large", "bytes", "."] {
        let path = folder.path().join(name);
        let told = format!("{:#}", read(&path).unwrap_err());
        assert!(told.contains(&path.display().to_string()), "{told}");
    }
}

/// The folder of documents.
fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// A text in which what stands between two marks is written anew.
fn between(text: &str, mark: &str, new: &str) -> String {
    let (begin, end) = (
        format!("<!-- {mark} -->"),
        format!("<!-- end of {mark} -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{new}{end}{after}")
}

#[test]
fn the_documents_are_made_from_the_tables() {
    let agent = docs().join("agent.md");
    let text = fs::read_to_string(&agent).unwrap();
    let row = |need: &privileges::Need| {
        let (name, when, why) = (need.name, need.when.words(), need.why);
        format!("| `{name}` | {when} | {why} |\n")
    };
    let needs: String = privileges::NEEDS.iter().map(row).collect();
    let want = between(&text, "keys", &format!("\n{}", document::reference()));
    let want = between(
        &want,
        "needs",
        &format!("\n| capability | when | what for |\n|---|---|---|\n{needs}"),
    );
    let want = between(&want, "blind", privileges::BLIND_WITHOUT_SETNS);
    let example = docs().join("agent.example.toml");
    if std::env::var_os("TCPRESS_BLESS").is_some() {
        fs::write(&agent, &want).unwrap();
        fs::write(&example, document::example()).unwrap();
    }
    let text = fs::read_to_string(agent).unwrap();
    assert_eq!(text, want, "TCPRESS_BLESS=1 writes it anew");
    assert_eq!(fs::read_to_string(example).unwrap(), document::example());
}

#[test]
fn the_files_that_are_deployed_are_right() {
    for path in ["kubernetes/agent/agent.toml", "systemd/agent.toml"] {
        let path = docs().join("../deploy").join(path);
        let text = read(&path).unwrap();
        let taken = Config::parse(&text);
        assert!(taken.is_ok(), "{}: {taken:?}", path.display());
    }
}

#[test]
fn the_example_says_the_defaults() {
    let example = document::example();
    assert_eq!(Config::parse(&example).unwrap(), Config::default());
    let spoken: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(Config::parse(&spoken).unwrap(), Config::default());
    for key in &KEYS {
        let (_, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        let line = format!("\n#{name} = {}\n", key.default());
        assert!(example.contains(&line), "{line}");
    }
}
