//! The unit of systemd, by systemd's own tool.

use std::{fs, process::Command};

use super::{folder::Folder, text, tools};

/// What `systemd-analyze security` may say at most, in tenths: what the agent does is what the rest of it stands for.
const EXPOSURE: u32 = 40;
const NAME: &str = "tcpress-agent.service";

#[test]
fn systemd_takes_the_unit() {
    let Some(analyze) = tools::find("systemd takes the unit", "systemd-analyze") else {
        return;
    };
    let unit = text("systemd/tcpress-agent.service");
    let (program, own) = (
        "ExecStart=/usr/local/bin/tcpress ",
        std::env::current_exe().unwrap(),
    );
    assert!(unit.contains(program));
    // What it starts must be there, and here it need not be.
    let unit = unit.replace(program, &format!("ExecStart={} ", own.display()));
    let folder = Folder::new();
    let verify = |unit: &str| {
        let path = folder.path().join(NAME);
        fs::write(&path, unit).unwrap();
        tools::run(
            Command::new(&analyze)
                .args(["verify", "--man=no"])
                .arg(&path),
        )
    };
    let (good, said) = verify(&unit);
    // Of units of the machine it may say this and that.
    let about: Vec<&str> = said.lines().filter(|line| line.contains(NAME)).collect();
    assert!(good && about.is_empty(), "{said}");
    // The test of the test.
    let (_, said) = verify(&unit.replace("WatchdogSec=60s", "WatchdogSek=60s"));
    assert!(said.contains("WatchdogSek"), "{said}");
}

#[test]
fn the_unit_is_exposed_little() {
    let Some(analyze) = tools::find("the unit is exposed little", "systemd-analyze") else {
        return;
    };
    let folder = Folder::new();
    let path = folder.path().join(NAME);
    fs::write(&path, text("systemd/tcpress-agent.service")).unwrap();
    let (good, said) = tools::run(
        Command::new(analyze)
            .args([
                "security",
                "--offline=true",
                &format!("--threshold={EXPOSURE}"),
            ])
            .arg(&path)
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", ""),
    );
    if said.contains("unrecognized option") {
        tcpress_lab::skip("the unit is exposed little: systemd before 250 looks at no file");
        return;
    }
    let overall = said
        .lines()
        .find(|line| line.contains("Overall exposure level"));
    let overall = overall.unwrap_or_else(|| panic!("{said}"));
    tools::say(overall.trim_start_matches(|c: char| !c.is_ascii()).trim());
    assert!(good, "{said}");
}

#[test]
fn it_is_watched_and_may_do_what_it_is_for() {
    let unit = text("systemd/tcpress-agent.service");
    for line in [
        "Type=notify",
        "WatchdogSec=60s",
        "Restart=always",
        // The calls by which programs are loaded, namespaces entered and descriptors looked at are in no set for services.
        "SystemCallFilter=@system-service",
        "SystemCallFilter=bpf perf_event_open setns pidfd_open pidfd_getfd",
        "RestrictNamespaces=net cgroup",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}
