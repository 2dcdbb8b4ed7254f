//! Chooses between KVM and translation. A `/dev/kvm` that can be opened may still be useless: on a
//! nested host the guest hangs at its first instruction. So a guest is tried once per host boot.

use std::{fs, fs::File, io, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    cache::Cache,
    qemu::{self, Accelerator, Folder, Machine, Outcome},
};

/// A guest on working KVM is ready in about a second.
const TRIAL: Duration = Duration::from_secs(8);

/// The accelerator for this host; `machine` is what the trial boots.
pub(crate) fn choose(cache: &Cache, machine: &Machine<'_>, folder: &Folder) -> Result<Accelerator> {
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Translate);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let answer = cache.folder("kvm")?.join(boot.trim());
    let works = match fs::read_to_string(&answer) {
        Ok(text) => text == "yes",
        Err(_) => {
            let works = trial(machine, folder)?;
            fs::write(&answer, if works { "yes" } else { "no" })
                .with_context(|| format!("cannot write {}", answer.display()))?;
            works
        }
    };
    Ok(if works {
        Accelerator::Kvm
    } else {
        Accelerator::Translate
    })
}

fn trial(machine: &Machine<'_>, folder: &Folder) -> Result<bool> {
    eprintln!("trying KVM for {} s at most", TRIAL.as_secs());
    let trial = Machine {
        accelerator: Accelerator::Kvm,
        boot_limit: TRIAL,
        limit: Duration::ZERO,
        append: "",
        ..*machine
    };
    let outcome = qemu::run(&trial, folder, Box::new(io::sink()), Box::new(io::sink()))?;
    // With no time for the command, a guest that gets ready runs into the limit at once.
    let works = matches!(outcome, Outcome::TimedOut | Outcome::Ended { .. });
    if !works {
        eprintln!("KVM does not work here; guests run by translation");
    }
    Ok(works)
}
