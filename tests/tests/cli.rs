//! The command line of tcpress as a user without a virtual machine meets it.

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use tcpress_lab::sys;

fn tcpress(arguments: &str) -> Command {
    let mut command = Command::new(common::tcpress());
    command.args(arguments.split_ascii_whitespace());
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("tcpress can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_of_each_command_is_data_on_stdout() {
    let words = [
        (
            "--help",
            vec![
                "report",
                "trace",
                "doctor",
                "completions",
                "man",
                "--quiet",
                "Exit status: 0 done",
                "--proc",
                "--cgroup-root",
                "--pod-logs",
                "--cri-socket",
                "--contact-key",
                "--btf",
            ],
        ),
        (
            "report --help",
            vec![
                "--duration",
                "--output",
                "--out",
                "--no-bpf",
                "--max-owners",
                "--top",
                "--namespace",
                "--sort",
                "--exit-code",
                "--interval",
                "--ring-bytes",
            ],
        ),
        ("trace --help", vec!["--duration", "ndjson"]),
        (
            "schema --help",
            vec!["report", "capture", "trace", "doctor"],
        ),
        ("doctor --help", vec!["json"]),
    ];
    for (arguments, wanted) in words {
        let got = output(tcpress(arguments));
        assert_eq!(got.status.code(), Some(0), "{arguments}");
        for word in wanted {
            assert!(
                text(&got.stdout).contains(word),
                "{arguments} does not mention {word}"
            );
        }
        assert_eq!(text(&got.stderr), "", "{arguments}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        "",
        "nonsense",
        "--nonsense",
        "report --nonsense",
        "report --duration ten",
        "report -o yaml",
        "report -l a=b,",
        "report -q -v",
        "report --netns default",
        "report --interval 1s --until-recovered",
        "report --interval 1s --duration 5s",
        "report --interval 0",
        "report --color sometimes",
        "completions cmd",
        "trace -o json",
        "report --max-owners -1",
        "report --top 0",
        "report --top many",
        "doctor extra",
    ] {
        let got = output(tcpress(arguments));
        assert_eq!(got.status.code(), Some(2), "{arguments}");
        assert_eq!(text(&got.stdout), "", "{arguments}: words belong on stderr");
        assert!(!got.stderr.is_empty(), "{arguments}: nothing is said");
    }
}

#[test]
fn version_is_told() {
    let got = output(tcpress("--version"));
    assert_eq!(got.status.code(), Some(0));
    assert_eq!(
        text(&got.stdout).trim(),
        concat!("tcpress ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn schemas_are_those_in_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for (arguments, file) in [
        ("schema", "report-v1.json"),
        ("schema report", "report-v1.json"),
        ("schema capture", "capture-v1.json"),
        ("schema trace", "trace-v1.json"),
        ("schema doctor", "doctor-v1.json"),
    ] {
        let got = output(tcpress(arguments));
        assert_eq!(got.status.code(), Some(0), "{arguments}");
        let published = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text(&got.stdout) == published, "{arguments}");
    }
}

#[test]
fn doctor_without_capabilities_explains_itself() {
    let mut command = tcpress("doctor");
    if sys::is_root() {
        // The binary may lie where nobody else can reach it, so it is opened before the rights are given up.
        let copy = std::env::temp_dir().join(format!("tcpress-cli-{}", std::process::id()));
        // By another process: a descriptor of ours, open for writing, might be inherited by what another test
        // starts meanwhile, and the copy could then not be run.
        let copied = Command::new("cp")
            .arg(common::tcpress())
            .arg(&copy)
            .status();
        assert!(copied.expect("cp").success());
        command = Command::new(&copy);
        command.arg("doctor").uid(65_534).gid(65_534);
        let got = output(command);
        std::fs::remove_file(&copy).expect("removed");
        return check(&got);
    }
    check(&output(command));

    fn check(got: &Output) {
        let words = text(&got.stdout) + &text(&got.stderr);
        assert_eq!(got.status.code(), Some(1), "{words}");
        assert!(words.contains("CAP_"), "no word on capabilities: {words}");
        assert!(!words.contains("panicked"), "{words}");
    }
}

/// Nothing can be said of a node whose procfs is not there: no answer rather than an empty one.
#[test]
fn a_missing_proc_is_an_error_in_words() {
    for command in ["report --no-bpf --duration 0 -o json", "trace", "doctor"] {
        let got = output(tcpress(&format!("--proc /nonexistent {command}")));
        assert_eq!(got.status.code(), Some(1), "{command}");
        assert!(got.stdout.is_empty(), "{command}: {}", text(&got.stdout));
        let words = text(&got.stderr);
        assert!(words.contains("/nonexistent"), "{command}: {words}");
        assert!(!words.contains("panicked"), "{command}: {words}");
    }
}

#[test]
fn a_shell_can_complete_and_manual_pages_can_be_made() {
    for (shell, word) in [
        ("bash", "complete -F _tcpress"),
        ("zsh", "#compdef tcpress"),
        ("fish", "complete -c tcpress"),
    ] {
        let got = output(tcpress(&format!("completions {shell}")));
        assert_eq!(got.status.code(), Some(0), "{shell}");
        let script = text(&got.stdout);
        assert!(script.contains(word), "{shell}");
        assert!(script.contains("exit-code"), "{shell}");
    }
    let folder = std::env::temp_dir().join(format!("tcpress-man-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let got = output(tcpress(&format!("man --out {}", folder.display())));
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    for (page, word) in [
        ("tcpress.1", "Exit status"),
        ("tcpress-report.1", "--duration"),
        ("tcpress-trace.1", "--namespace"),
        ("tcpress-replay.1", "--label"),
    ] {
        let page = fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
        // roff writes a hyphen as \-.
        assert!(page.replace("\\-", "-").contains(word), "{word}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
