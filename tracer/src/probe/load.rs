//! Loads the object, sets its constants, attaches what the plan says.

use std::{path::Path, sync::OnceLock};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError},
};
use thiserror::Error;
use tracer_common::{Layout, Settings};

use super::{Sizes, Tracer, skipped::Links};
use crate::kernel::{
    Plan,
    plan::{Flavour, Probe, ProbeFlavour},
};

/// The kernel object, built beside this binary.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcpress-ebpf"));

/// Why nothing can be traced.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The kernel's BTF cannot be used.
    #[error("cannot use the kernel's BTF")]
    Btf(#[from] aya::BtfError),
    /// The object or its maps are refused.
    #[error("the kernel refuses the maps of the kernel object")]
    Object(#[from] aya::EbpfError),
    /// A program without which nothing is counted is refused.
    #[error("{0}")]
    Impossible(String),
}

impl Tracer {
    /// Loads and attaches what the plan says. A probe that the kernel refuses makes the plan weaker, not
    /// impossible, unless nothing can be counted without it.
    ///
    /// # Errors
    /// When nothing can be traced on this kernel.
    pub fn load(
        mut plan: Plan,
        layout: &Layout,
        settings: &Settings,
        sizes: &Sizes,
        btf: &Path,
    ) -> Result<Self, LoadError> {
        let btf = Btf::parse_file(btf, Endianness::default())?;
        let (mut layout, mut settings) = (*layout, *settings);
        if plan.flavour == ProbeFlavour::Kprobe {
            // To a kprobe a socket is an address, not a type.
            layout.has_socket_cookie_helper = 0;
            settings.kprobes = 1;
        }
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("LAYOUT", &layout, true)
            .override_global("SETTINGS", &settings, true)
            .map_max_entries("TALLIES", sizes.owners)
            .map_max_entries("OVERFLOW", sizes.namespaces)
            .map_max_entries("MARKS", sizes.marks())
            .map_max_entries("SOCKETS", sizes.sockets)
            .map_max_entries("FRAMES", sizes.calls)
            .map_max_entries("PENDING", sizes.calls)
            .map_max_entries("IN_SEND_RCVQ", sizes.calls)
            .map_max_entries("ZERO_WINDOW", sizes.calls)
            .map_max_entries("PRESSURE_CALLS", sizes.calls)
            .map_max_entries("FAILED_CHARGES", sizes.calls)
            .map_max_entries("BEGUN", sizes.calls)
            .map_max_entries("CALLS", sizes.calls.saturating_mul(2))
            .map_max_entries("EVENTS", sizes.ring_bytes)
            .load(OBJECT)?;
        #[cfg(feature = "log")]
        super::log::forward(&mut ebpf);
        for probe in plan.probes.clone() {
            if let Err(error) = attach(&mut ebpf, &btf, &probe) {
                plan = plan.refused(&probe.hook, probe.flavour, &in_one_line(&error));
                if let Some(why) = plan.impossible {
                    return Err(LoadError::Impossible(why));
                }
            }
        }
        let kprobes = match plan.flavour {
            ProbeFlavour::Fentry => Links::default(),
            ProbeFlavour::Kprobe => Links::open(&ebpf),
        };
        Ok(Self {
            ebpf,
            kprobes,
            maps: OnceLock::new(),
            sizes: *sizes,
            plan,
        })
    }
}

/// Attaches every program of a probe; if one fails, the others of it are of no use and go again.
fn attach(ebpf: &mut Ebpf, btf: &Btf, probe: &Probe) -> Result<(), ProgramError> {
    for name in &probe.programs {
        if let Err(error) = attach_one(ebpf, btf, probe, name) {
            unload(ebpf, probe);
            return Err(error);
        }
    }
    Ok(())
}

/// Detaches the programs of a probe, the last one first. One that was never loaded is left alone.
fn unload(ebpf: &mut Ebpf, probe: &Probe) {
    for name in probe.programs.iter().rev() {
        let _ = match ebpf.program_mut(name) {
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

impl Drop for Tracer {
    /// The outermost probe goes last, so that none sees the end of a call whose beginning another has missed.
    fn drop(&mut self) {
        self.kprobes = Links::default();
        for probe in self.plan.probes.iter().rev() {
            unload(&mut self.ebpf, probe);
        }
    }
}

fn attach_one(ebpf: &mut Ebpf, btf: &Btf, probe: &Probe, name: &str) -> Result<(), ProgramError> {
    let Some(program) = ebpf.program_mut(name) else {
        return Err(ProgramError::NotLoaded);
    };
    match probe.flavour {
        Flavour::Fentry => {
            let program: &mut FEntry = program.try_into()?;
            program.load(&probe.hook, btf)?;
            program.attach()?;
        }
        Flavour::Fexit => {
            let program: &mut FExit = program.try_into()?;
            program.load(&probe.hook, btf)?;
            program.attach()?;
        }
        Flavour::Kprobe | Flavour::Kretprobe => {
            let program: &mut KProbe = program.try_into()?;
            program.load()?;
            program.attach(&probe.hook, 0)?;
        }
        Flavour::TpBtf => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(&probe.hook, btf)?;
            program.attach()?;
        }
    }
    Ok(())
}

/// The last words of the verifier say why; the rest of its log is for developers.
pub(super) fn in_one_line(error: &ProgramError) -> String {
    if let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    {
        let log = verifier_log.to_string();
        if std::env::var_os("TCPRESS_VERIFIER_LOG").is_some() {
            eprintln!("{log}");
        }
        let statistics = ["processed ", "verification time", "stack depth"];
        let last = log.lines().rev().map(str::trim).find(|line| {
            !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start))
        });
        return match last {
            Some(last) => format!("{io_error}: {last}"),
            None => io_error.to_string(),
        };
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
