//! Texts as 6.12 and 6.1 write them, and texts that lie.

use super::*;

fn state(letter: char) -> State {
    State {
        letter,
        block_ticks: None,
    }
}

/// A sleeping thread in a system call.
fn asleep(number: i64, arguments: [u64; 6], channel: &str) -> Wait {
    kind(Some(Syscall { number, arguments }), channel, Some(true))
}

fn kind(syscall: Option<Syscall>, channel: &str, is_socket: Option<bool>) -> Wait {
    let look = Look {
        state: state('S'),
        channel: super::channel(channel),
        syscall,
        is_socket,
        siblings: &[4711, 4712],
    };
    classify(&look).0
}

#[test]
fn stat_is_read_past_any_name() {
    let tail = "0 0 0 -1 4194304 92 0 0 0 3 1 0 0 20 0 1 0 775 3416064 86 1 1 1 1 1 1 0 0 0 0 0 0 0 0 17 1 0 0 77 0 0 9";
    // From the parent's id, field 4, on: field 42 is the 38th word after it, which is 77.
    let fields: Vec<&str> = tail.split(' ').collect();
    assert_eq!(fields[38], "77");
    for name in ["cat", ") R (", "a b)\nR", "", "\u{fffd}"] {
        let text = format!("168 ({name}) D 124 {}", tail.split_once(' ').unwrap().1);
        let read = State::parse(&text).unwrap();
        assert_eq!((read.letter, read.block_ticks), ('D', Some(77)), "{name:?}");
    }
    assert_eq!(State::parse("1 (cat) S 2 3").unwrap().block_ticks, None);
    for bad in ["", "1", "1 (cat", "1 (cat)", "1 (cat) "] {
        assert_eq!(State::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn schedstat_is_three_numbers() {
    let read = Scheduled::parse("104019939 139339522 33\n").unwrap();
    assert_eq!((read.run_ns, read.delay_ns), (104_019_939, 139_339_522));
    for bad in ["", "0 0 0\n", "1 2", "1 x 3", "-1 2 3"] {
        assert_eq!(Scheduled::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn a_system_call_is_a_number_and_eight_words() {
    let text = "202 0x7f0a 0x80 0x2 0x0 0x0 0x0 0x7ffd88327dc8 0x7f06af6b1a90\n";
    let read = Syscall::parse(text).unwrap();
    assert_eq!((read.number, read.arguments[2]), (libc::SYS_futex, 2));
    for none in [
        "running\n",
        "-1 0x7ffd88327dc8 0x7f06af6b1a90\n",
        "202 0x1 0x2 0x3",
        "202 1 2 3 4 5 6 7 8",
        "",
        "0",
        // A program of 32 bits: 202 means another call there.
        "202 0x7f0a 0x80 0x2 0x0 0x0 0x0 0xffe1a010 0xf7f3b549\n",
    ] {
        assert_eq!(Syscall::parse(none), None, "{none:?}");
    }
    for end in 0..text.len() - " 0x7f06af6b1a90\n".len() {
        let cut = Syscall::parse(&text[..end]);
        assert!(
            cut.is_none_or(|cut| cut.arguments == read.arguments),
            "{end}"
        );
    }
}

#[test]
fn the_state_comes_first() {
    let of = |letter, channel: &str| {
        classify(&Look {
            state: state(letter),
            channel: super::channel(channel),
            syscall: Some(Syscall {
                number: libc::SYS_recvfrom,
                arguments: [0; 6],
            }),
            is_socket: None,
            siblings: &[],
        })
        .0
    };
    assert_eq!(of('R', "0"), Wait::Running);
    assert_eq!(of('T', "do_signal_stop"), Wait::Stopped);
    assert_eq!(of('S', "do_freezer_trap"), Wait::Stopped);
    assert_eq!(of('S', "0"), Wait::Receive);
    assert_eq!(of('Z', "0"), Wait::Other);
    assert_eq!(of('D', "jbd2_log_wait_commit"), Wait::Disk);
    assert_eq!(of('D', "0"), Wait::Disk);
    assert_eq!(of('D', "mem_cgroup_handle_over_high"), Wait::Memory);
    assert_eq!(of('D', "reclaim_throttle"), Wait::Memory);
    assert_eq!(of('D', "rwsem_down_read_slowpath"), Wait::KernelLock);
}

#[test]
fn a_futex_is_a_lock_by_its_value() {
    let of = |operation, value| {
        asleep(
            libc::SYS_futex,
            [0x1000, operation, value, 0, 0, 0],
            "futex_wait_queue",
        )
    };
    assert_eq!(
        of(128, 2),
        Wait::Lock,
        "FUTEX_WAIT_PRIVATE of a contended mutex"
    );
    assert_eq!(
        of(137, 2),
        Wait::Lock,
        "FUTEX_WAIT_BITSET_PRIVATE, as Rust's"
    );
    assert_eq!(of(6, 0), Wait::Lock, "FUTEX_LOCK_PI");
    assert_eq!(of(134, 0), Wait::Lock, "the same, private");
    assert_eq!(of(393, 0), Wait::Futex, "a condition of glibc");
    assert_eq!(of(128, 0), Wait::Futex, "an idle thread of Go");
    assert_eq!(of(265, 4712), Wait::Join, "pthread_join of a sibling");
    assert_eq!(of(265, 4713), Wait::Futex);
    assert_eq!(of(128, 0xffff_ffff_0000_0002), Wait::Lock, "32 bits count");
}

#[test]
fn what_is_asked_for_tells_what_is_waited_for() {
    for (number, want) in [
        (libc::SYS_recvfrom, Wait::Receive),
        (libc::SYS_accept4, Wait::Receive),
        (libc::SYS_epoll_wait, Wait::Receive),
        (libc::SYS_read, Wait::Receive),
        (libc::SYS_write, Wait::Send),
        (libc::SYS_sendto, Wait::Send),
        (libc::SYS_clock_nanosleep, Wait::Sleep),
        (libc::SYS_wait4, Wait::Sleep),
        (libc::SYS_flock, Wait::Lock),
        (libc::SYS_fsync, Wait::Disk),
        (libc::SYS_getpid, Wait::Other),
    ] {
        assert_eq!(asleep(number, [1; 6], ""), want, "{number}");
    }
    assert_eq!(
        asleep(libc::SYS_poll, [0, 0, 100, 0, 0, 0], ""),
        Wait::Sleep,
        "no descriptors"
    );
    assert_eq!(
        asleep(libc::SYS_poll, [9, 1, 100, 0, 0, 0], "do_sys_poll"),
        Wait::Receive
    );
    assert_eq!(asleep(libc::SYS_select, [0; 6], ""), Wait::Sleep);
    let pipe = Syscall {
        number: libc::SYS_read,
        arguments: [3, 0, 0, 0, 0, 0],
    };
    assert_eq!(pipe.descriptor(), Some(3));
    assert_eq!(kind(Some(pipe), "pipe_read", Some(false)), Wait::Other);
}

#[test]
fn the_wait_channel_stands_in() {
    for (channel, want) in [
        ("futex_wait_queue_me", Wait::Futex),
        ("hrtimer_nanosleep", Wait::Sleep),
        ("do_epoll_wait", Wait::Receive),
        ("inet_csk_accept", Wait::Receive),
        ("sk_stream_wait_memory", Wait::Send),
        ("0", Wait::Other),
        ("", Wait::Other),
        ("no_such_function", Wait::Other),
    ] {
        assert_eq!(kind(None, channel, None), want, "{channel}");
        let restart = asleep(libc::SYS_restart_syscall, [0; 6], channel);
        assert_eq!(
            restart, want,
            "{channel} of a call that goes on after a signal"
        );
    }
}
