//! What is kept (pure), and that every thread of a real process gives the rest back: in a child, because it cannot be taken back.

use std::{env, fs::File, os::fd::AsRawFd as _, process::Command, sync::mpsc, thread};

use super::*;

/// Set for the child.
const CHILD: &str = "TCPRESS_TEST_DROP";

fn with(drop: bool, setns: bool) -> Privileges {
    Privileges { setns, drop }
}

#[test]
fn periodic_work_keeps_what_it_needs() {
    let all = NEEDS
        .iter()
        .fold(CapabilitySet::NET_RAW, |all, need| all | need.capability);
    let entering = CapabilitySet::SYS_ADMIN;
    let always = CapabilitySet::BPF | CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
    assert_eq!(kept(&with(true, true), all), Some(always | entering));
    assert_eq!(kept(&with(true, false), all), Some(always));
    assert_eq!(kept(&with(false, true), all), None);
    assert_eq!(
        kept(&with(false, false), all),
        Some(all.difference(entering))
    );
    // Nothing is kept that was not held.
    let few = CapabilitySet::BPF | CapabilitySet::NET_RAW;
    assert_eq!(kept(&with(true, true), few), Some(CapabilitySet::BPF));
    // Where CAP_BPF does not exist, maps could not be read without the other one.
    for drop in [true, false] {
        let held = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE;
        assert_eq!(kept(&with(drop, false), held), Some(held));
    }
}

#[test]
fn needs_are_numbered_as_in_the_kernel() {
    // include/uapi/linux/capability.h
    for (name, number) in [
        ("CAP_DAC_READ_SEARCH", 2),
        ("CAP_SYS_PTRACE", 19),
        ("CAP_SYS_ADMIN", 21),
        ("CAP_SYSLOG", 34),
        ("CAP_PERFMON", 38),
        ("CAP_BPF", 39),
    ] {
        let need = NEEDS.iter().find(|need| need.name == name).unwrap();
        assert_eq!(need.capability.bits(), 1 << number, "{name}");
    }
    let some = CapabilitySet::BPF | CapabilitySet::CHOWN;
    assert_eq!(names(some), ["capability 0", "CAP_BPF"]);
}

#[test]
fn every_thread_gives_back() {
    let before = held().unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "agent::privileges::tests::child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&child.stdout).into_owned();
    let err = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{out}{err}");
    assert!(out.contains("GAVE BACK"), "{out}{err}");
    if before.is_empty() {
        println!("SKIP: this process holds no capability that it could give back");
    }
    // Ours are as they were.
    assert_eq!(held().unwrap(), before);
}

/// Does nothing unless it is the child.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let before = held().unwrap();
    // One that waits for ever, one that runs.
    let (keep_waiting, waits) = mpsc::channel::<()>();
    let waiting = thread::spawn(move || {
        // The signal must not end its wait.
        assert!(waits.recv().is_ok());
        held().unwrap()
    });
    let (stop, stopped) = mpsc::channel::<()>();
    let running = thread::spawn(move || {
        while stopped.try_recv().is_err() {
            std::hint::spin_loop();
        }
        held().unwrap()
    });
    let keep = CapabilitySet::DAC_READ_SEARCH;
    let dropped = drop_all(keep).unwrap();
    assert!(dropped.threads >= 3);
    let want = before & keep;
    assert_eq!(dropped.kept, want);
    assert!(!dropped.bounding_set_stays || !before.contains(CapabilitySet::SETPCAP));
    // Made later.
    let later = thread::spawn(|| held().unwrap()).join().unwrap();
    keep_waiting.send(()).unwrap();
    stop.send(()).unwrap();
    for got in [
        held().unwrap(),
        waiting.join().unwrap(),
        running.join().unwrap(),
        later,
    ] {
        assert_eq!(got, want);
    }
    // The kernel means it: entering any network namespace takes CAP_SYS_ADMIN.
    let own = File::open("/proc/self/ns/net").unwrap();
    // SAFETY: the descriptor is open; setns touches no memory of ours.
    let entered = unsafe { libc::setns(own.as_raw_fd(), libc::CLONE_NEWNET) };
    let error = std::io::Error::last_os_error();
    assert_eq!((entered, error.raw_os_error()), (-1, Some(libc::EPERM)));
    // Programs that are run get nothing either.
    let status = Command::new("/bin/cat")
        .arg("/proc/self/status")
        .output()
        .unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    let effective = crate::kernel::facts::effective_capabilities(&status).unwrap();
    assert_eq!(effective & !keep.bits(), 0);
    // Asked again, there is nothing left to do; less is possible.
    assert_eq!(
        drop_all(CapabilitySet::empty()).unwrap().kept,
        CapabilitySet::empty()
    );
    println!("GAVE BACK");
}
