//! The whole program.

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tcpress_lab::cri::{BadSocket, Habit, Manner, Runtime};
use tracer::attribute::{cri::reader::GRACE, sources::CRI_PATIENCE};

use crate::{
    common,
    folder::Folder,
    node::{SLACK, pod},
};

/// A report is complete within its time, whoever listens.
#[test]
fn the_report_is_complete_within_its_time() {
    let report = |socket: &Path| -> (Value, Duration) {
        let start = Instant::now();
        let output = Command::new(common::tcpress())
            .args([
                "report",
                "--no-bpf",
                "--duration",
                "0",
                "-o",
                "json",
                "--cri-socket",
            ])
            .arg(socket)
            .output()
            .unwrap();
        let took = start.elapsed();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words}");
        (serde_json::from_slice(&output.stdout).unwrap(), took)
    };
    let gaps = |report: &Value| report["losses"]["gaps"].to_string();
    let folder = Folder::new();
    let socket = folder.path().join("cri.sock");
    let (none, without) = report(Path::new("none"));
    assert!(
        !gaps(&none).contains("container runtime"),
        "{}",
        gaps(&none)
    );
    let (absent, _) = report(&socket);
    assert!(gaps(&absent).contains("No such file"), "{}", gaps(&absent));
    for habit in [Habit::Hang, Habit::Garbage, Habit::CloseEarly] {
        let _bad = BadSocket::new(&socket, habit).unwrap();
        let (bad, took) = report(&socket);
        assert!(gaps(&bad).contains("cri.sock"), "{habit:?}: {}", gaps(&bad));
        assert!(
            took < without + CRI_PATIENCE + GRACE + SLACK,
            "{habit:?}: {took:?}"
        );
        assert_eq!(bad["schema"], "tcpress.report/v1");
        assert!(bad["holders"].is_array() && bad["tcp_memory"]["tcp_mem_bytes"].is_object());
    }
    let runtime = Runtime::start(&socket, Manner::Honest).unwrap();
    runtime.add(pod());
    // On a machine that does much else, two seconds may be too short once.
    let reports = (0..20).map(|_| report(&socket).0);
    let answered = |report: &Value| report["attribution"]["runtimes"][0].is_string();
    let good = reports.into_iter().find(answered).unwrap();
    assert_eq!(
        good["attribution"]["runtimes"][0],
        format!("lab 1.0 at {}", socket.display())
    );
}

/// Processes and log folders that come and go at every moment of a reading: it is complete all the same, however they fall. Some
/// have a name and no cgroup, some only descriptors, as what is seen of one that ends.
#[test]
fn the_report_is_complete_while_everything_vanishes() {
    let folder = Folder::new();
    let proc = folder.path().join("proc");
    let logs = folder.path().join("logs");
    for (file, text) in [
        ("sys/kernel/osrelease", "6.1.0\n"),
        ("sys/net/ipv4/tcp_mem", "100\t200\t300\n"),
        ("net/sockstat", "TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 9\n"),
        ("cgroups", "memory\t0\t90\t1\n"),
    ] {
        let path = proc.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir_all(&logs).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (proc, logs, stop) = (&proc, &logs, &stop);
            scope.spawn(move || {
                for round in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    vanish(proc, logs, 1000 + worker * 100 + round % 100);
                }
            });
        }
        // Also where the rest of this panics.
        let stop = Stop(&stop);
        let reports: Vec<_> = (0..5)
            .map(|_| {
                Command::new(common::tcpress())
                    .args(["report", "--no-bpf", "--duration", "0", "-o", "json"])
                    .args(["--cri-socket", "none", "--proc"])
                    .arg(&proc)
                    .arg("--pod-logs")
                    .arg(&logs)
                    .output()
                    .unwrap()
            })
            .collect();
        drop(stop);
        for output in reports {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{words}");
            assert!(!words.contains("panicked"), "{words}");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["schema"], "tcpress.report/v1");
            assert_eq!(report["tcp_memory"]["sockets"], 7);
            let gaps = report["losses"]["gaps"].as_array().unwrap();
            assert!(gaps.len() < 20, "what vanishes is no gap each: {gaps:?}");
        }
    });
}

/// Ends the workers.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Something of a process and of a pod comes, and goes again.
fn vanish(proc: &Path, logs: &Path, number: i32) {
    let pid = proc.join(number.to_string());
    let log = logs.join(format!("shop_pod-{number}_uid-{number}"));
    // Whoever runs out of files here has no matter to us.
    let come = || -> std::io::Result<()> {
        std::fs::create_dir_all(&log)?;
        std::fs::create_dir_all(pid.join("fd"))?;
        std::fs::create_dir_all(pid.join("ns"))?;
        symlink("net:[4026531999]", pid.join("ns/net"))?;
        symlink(format!("socket:[{number}]"), pid.join("fd/3"))?;
        if number % 2 == 0 {
            std::fs::write(pid.join("comm"), "brief\n")?;
        }
        if number % 3 == 0 {
            std::fs::write(pid.join("cgroup"), "0::/kubepods/pod1/c1\n")?;
        }
        Ok(())
    };
    let _ = come();
    let _ = std::fs::remove_dir_all(&pid);
    let _ = std::fs::remove_dir_all(&log);
}
