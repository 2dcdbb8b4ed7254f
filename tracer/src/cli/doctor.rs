//! `tcpress doctor`: what this kernel allows, the plan, its price, what is missing.

use std::{io::Write as _, process::ExitCode};

use super::{Bounds, Format, Paths};
use crate::{
    kernel::{Facts, Plan, facts::Types, plan},
    probe::{Price, Tracer},
};
use tracer_common::Settings;

/// What this kernel allows, the plan that follows, its price, and what is missing.
///
/// Loads the kernel programs for a moment, because only the kernel itself can say whether it takes
/// them. Exit status 0 when it can trace, even if not all is exact; 1 when it cannot.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    let facts = paths.facts();
    let (plan, price) = try_plan(paths, args, &facts);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{plan:#?} {price:#?}")?;
    Ok(if plan.impossible.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The plan as the kernel takes it, and its price.
fn try_plan(paths: &Paths, args: &Args, facts: &Facts) -> (Plan, Option<Price>) {
    let plan = plan::plan(facts);
    let (None, Ok(types)) = (&plan.impossible, &facts.types) else {
        return (plan, None);
    };
    let Types { resolved, .. } = types;
    let settings = Settings {
        evidence_interval_ns: 100_000_000,
        evidence_burst: 16,
    };
    match Tracer::load(
        plan,
        &resolved.layout,
        &settings,
        &args.bounds.sizes(),
        &paths.btf,
    ) {
        Ok(tracer) => {
            let price = tracer.price();
            (tracer.plan, Some(price))
        }
        Err(error) => (
            Plan::impossible(format!("{:#}", anyhow::Error::from(error))),
            None,
        ),
    }
}
