//! What keeps a reader from reading: each state of the five-state model of an application, made on purpose.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::sys;

/// Why a reader does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Hindrance {
    /// It computes, and never gets to read.
    Cpu,
    /// It waits for a lock that another thread holds for ever.
    Lock,
    /// It sleeps.
    Sleep,
    /// It takes more and more memory.
    Memory,
    /// It writes to `/dev/nullb0`, block by block, and waits for each.
    Io,
}

/// One page, as everywhere where this runs.
const PAGE: usize = 4096;
/// Most memory that is taken.
const MOST: usize = 256 << 20;
/// The slow device.
const DEVICE: &str = "/dev/nullb0";

impl Hindrance {
    /// Suffers it until stopped.
    pub(crate) fn suffer(self) -> Result<()> {
        match self {
            Self::Cpu => {
                while !sys::stopped() {
                    compute(Duration::from_millis(100));
                }
            }
            Self::Lock => wait_for_lock()?,
            Self::Sleep => {
                while !sys::stopped() {
                    thread::sleep(Duration::from_secs(1));
                }
            }
            Self::Memory => take_memory(),
            Self::Io => write_blocks()?,
        }
        Ok(())
    }
}

fn compute(time: Duration) {
    let end = Instant::now() + time;
    let mut number = 1_u64;
    while Instant::now() < end {
        for _ in 0..1000 {
            number = black_box(
                number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
    }
}

/// A signal does not end the wait for a mutex, so the holder lets it go when stopped.
fn wait_for_lock() -> Result<()> {
    let lock = Arc::new(Mutex::new(()));
    let (held, is_held) = mpsc::channel();
    let theirs = Arc::clone(&lock);
    let holder = thread::spawn(move || {
        let _guard = theirs.lock().unwrap_or_else(PoisonError::into_inner);
        // The reader waits for this word; nobody else could miss it.
        let _ = held.send(());
        while !sys::stopped() {
            thread::sleep(Duration::from_secs(1));
        }
    });
    is_held.recv().context("the holder ended")?;
    drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
    holder
        .join()
        .map_err(|_| anyhow::anyhow!("the holder panicked"))
}

fn take_memory() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while !sys::stopped() {
        if taken.len() * PAGE >= MOST {
            taken.clear();
        }
        // Written to, or there would be no page.
        taken.push(black_box(vec![1; PAGE]));
    }
}

fn write_blocks() -> Result<()> {
    let device = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_SYNC)
        .open(DEVICE)
        .with_context(|| format!("no {DEVICE}: modprobe null_blk"))?;
    // A direct write wants its memory at the boundary of a block.
    let room = vec![0_u8; 2 * PAGE];
    let block = &room[room.as_ptr().align_offset(PAGE)..][..PAGE];
    while !sys::stopped() {
        device
            .write_all_at(block, 0)
            .with_context(|| format!("cannot write to {DEVICE}"))?;
    }
    Ok(())
}
