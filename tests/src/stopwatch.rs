//! A stopwatch of the lab's own for the calls of a kernel function: two small BPF programs, written by hand, that share nothing with
//! those of tcpress. Attached last they are the first to run at the end of a call, before any other program takes its time.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};

use crate::bpf::{self, Kind};
use crate::btf;

/// Calls that are kept.
const MOST: u32 = 65_536;

// Numbers of `include/uapi/linux/bpf.h`.
const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_TRACING: u32 = 26;
const TRACE_FENTRY: u32 = 24;
const TRACE_FEXIT: u32 = 25;
const LOOKUP: u32 = 1;
const KTIME: u32 = 5;

/// One instruction: operation, destination, source, offset, number.
const fn op(code: u8, to: u8, from: u8, offset: i16, number: u32) -> u64 {
    code as u64
        | (to as u64) << 8
        | (from as u64) << 12
        | (offset as u16 as u64) << 16
        | (number as u64) << 32
}

/// `to = *(u64 *)(from + offset)`
const fn load(to: u8, from: u8, offset: i16) -> u64 {
    op(0x79, to, from, offset, 0)
}

/// `*(u64 *)(to + offset) = from`
const fn store(to: u8, offset: i16, from: u8) -> u64 {
    op(0x7b, to, from, offset, 0)
}

/// `to = from`
const fn copy(to: u8, from: u8) -> u64 {
    op(0xbf, to, from, 0, 0)
}

/// `to = number`
const fn set(to: u8, number: u32) -> u64 {
    op(0xb7, to, 0, 0, number)
}

/// `to += number`
const fn add(to: u8, number: i32) -> u64 {
    op(0x07, to, 0, 0, number as u32)
}

const fn call(helper: u32) -> u64 {
    op(0x85, 0, 0, 0, helper)
}

/// `to = map`, in two instructions.
fn map(to: u8, map: &OwnedFd) -> [u64; 2] {
    [op(0x18, to, 1, 0, map.as_raw_fd() as u32), 0]
}

const EXIT: u64 = 0x95;

/// Where the number of an entry stands on the stack.
const NUMBER: i16 = -8;

/// Finds the entry whose number is on the stack; where there is none the program goes on `rest` instructions later.
fn find(of: &OwnedFd, rest: usize) -> [u64; 6] {
    let [first, second] = map(1, of);
    // if r0 == 0 goto rest
    let absent = op(0x15, 0, 0, rest as i16, 0);
    [
        first,
        second,
        copy(2, 10),
        add(2, NUMBER as i32),
        call(LOOKUP),
        absent,
    ]
}

/// At the beginning of a call: notes when it is, last of all.
fn begins(start: &OwnedFd) -> Vec<u64> {
    let note = [copy(6, 0), call(KTIME), store(6, 0, 0)];
    let mut program = vec![set(1, 0), store(10, NUMBER, 1)];
    program.extend(find(start, note.len()));
    program.extend(note);
    program.extend([set(0, 0), EXIT]);
    program
}

/// At its end: looks at the clock first of all, and keeps how long the call took under the next free number.
fn ends(start: &OwnedFd, count: &OwnedFd, durations: &OwnedFd) -> Vec<u64> {
    let keep = [store(0, 0, 7)];
    let duration = find(durations, keep.len());
    let next = [
        load(1, 0, 0),
        copy(2, 1),
        add(2, 1),
        store(0, 0, 2),
        store(10, NUMBER, 1),
    ];
    let rest = next.len() + duration.len() + keep.len();
    let counter = find(count, rest);
    // r7 -= r1
    let took = [load(1, 0, 0), op(0x1f, 7, 1, 0, 0)];
    let rest = took.len() + counter.len() + rest;
    let mut program = vec![call(KTIME), copy(7, 0), set(1, 0), store(10, NUMBER, 1)];
    program.extend(find(start, rest));
    program.extend(took);
    program.extend(counter);
    program.extend(next);
    program.extend(duration);
    program.extend(keep);
    program.extend([set(0, 0), EXIT]);
    program
}

/// The calls of one function, timed until this is dropped. On one processor, where one call follows the other.
pub struct Stopwatch {
    count: OwnedFd,
    durations: OwnedFd,
    _links: [OwnedFd; 2],
}

impl Stopwatch {
    /// Starts to time the calls of a function.
    pub fn start(function: &str) -> Result<Self> {
        let types = std::fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?;
        let kind = |attach| {
            anyhow::Ok(Kind {
                program: PROG_TYPE_TRACING,
                attach,
                function: btf::function_id(&types, function)?,
            })
        };
        let start = bpf::map(MAP_TYPE_ARRAY, 4, 1)?;
        let count = bpf::map(MAP_TYPE_ARRAY, 4, 1)?;
        let durations = bpf::map(MAP_TYPE_ARRAY, 4, MOST)?;
        let entry = bpf::load(kind(TRACE_FENTRY)?, &begins(&start))?;
        let exit = bpf::load(kind(TRACE_FEXIT)?, &ends(&start, &count, &durations))?;
        let links = [bpf::attach(&exit)?, bpf::attach(&entry)?];
        Ok(Self {
            count,
            durations,
            _links: links,
        })
    }

    /// The nanoseconds of each call that has returned.
    pub fn times(&self) -> Result<Vec<u64>> {
        let count = bpf::array_word(&self.count, 0)?;
        ensure!(
            count <= u64::from(MOST),
            "{count} calls, more than are kept"
        );
        (0..count as u32)
            .map(|index| bpf::array_word(&self.durations, index))
            .collect()
    }
}
