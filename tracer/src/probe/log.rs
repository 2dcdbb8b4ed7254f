//! Forwards log lines of the kernel programs to stderr. For debugging them only: it costs a ring buffer
//! and a thread, and is built only with the feature `log`.

use std::{thread, time::Duration};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("kernel: {} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Starts to forward, until the process ends.
pub(super) fn forward(ebpf: &mut Ebpf) {
    match EbpfLogger::init_with_logger(ebpf, ToStderr) {
        Ok(mut logger) => {
            thread::spawn(move || {
                loop {
                    logger.flush();
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
        Err(error) => eprintln!("no log lines from the kernel programs: {error}"),
    }
}
