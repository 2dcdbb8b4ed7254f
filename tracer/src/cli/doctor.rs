//! `tcpress doctor`: what this kernel allows, the plan, its price, what is missing.

use std::{io::Write as _, process::ExitCode};

use clap::ValueEnum;

use super::{Bounds, Paths};
use crate::{
    agent::privileges::{self, NEEDS, Need},
    indicators::memory,
    kernel::{Facts, Plan, plan},
    output::{self, json},
    probe::{Price, Tracer},
    report::{self, Checkup, checkup, checkup::Privilege, plan::Maps},
    session::{node, settings},
};

/// What this kernel allows, the plan that follows, its price, and what is missing.
///
/// Loads the kernel programs for a moment, because only the kernel itself can say whether it takes
/// them. Exit status 0 when it can trace, even if not all is exact; 1 when it cannot.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Shape::Table)]
    output: Shape,
    #[command(flatten)]
    bounds: Bounds,
}

/// How a check-up is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Words and columns for people.
    Table,
    /// One JSON document.
    Json,
}

pub(super) fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    paths.sources()?;
    let facts = paths.facts();
    let (plan, loaded) = try_plan(paths, args, &facts);
    let can_trace = plan.impossible.is_none();
    let held = privileges::held().ok();
    let needs = held.iter().flat_map(|held| {
        let of = |need: &Need| Privilege::of(need, held.contains(need.capability));
        NEEDS.iter().map(of)
    });
    let checkup = Checkup {
        schema: checkup::SCHEMA.to_owned(),
        tcpress: env!("CARGO_PKG_VERSION").to_owned(),
        node: node(&paths.proc, memory::read(&paths.proc).page_size),
        can_trace,
        checks: checkup::checks(&facts),
        plan: report::Plan {
            maps: loaded.as_ref().map(|(_, maps)| *maps),
            ..(&plan).into()
        },
        price: loaded.as_ref().map(|(price, _)| price.into()),
        privileges: needs.collect(),
        privileges_not_needed: held.map_or_else(Vec::new, privileges::not_needed),
    };
    let text = match args.output {
        Shape::Table => output::checkup::table(&checkup),
        Shape::Json => json::pretty(&checkup)?,
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(if can_trace {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The plan as the kernel takes it, and its price.
fn try_plan(paths: &Paths, args: &Args, facts: &Facts) -> (Plan, Option<(Price, Maps)>) {
    let plan = plan::plan(facts, args.bounds.probe_flavour);
    let (None, Ok(types)) = (&plan.impossible, &facts.types) else {
        return (plan, None);
    };
    let layout = &types.resolved.layout;
    match Tracer::load(
        plan,
        layout,
        &settings(facts.addresses, false),
        &args.bounds.sizes(),
        &paths.btf,
    ) {
        Ok(tracer) => {
            let loaded = (tracer.price(), tracer.maps());
            (tracer.plan.clone(), Some(loaded))
        }
        Err(error) => (
            Plan::impossible(format!("{:#}", anyhow::Error::from(error))),
            None,
        ),
    }
}
