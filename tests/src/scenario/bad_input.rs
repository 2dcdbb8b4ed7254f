//! What the doctor says, and what the machine lacks: type information, capabilities.

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use crate::check::Checks;
use crate::tcpress;

/// Instructions that the verifier walks at most (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`).
const WALKED: u64 = 1_000_000;
/// No program may take more than this part of it.
const MARGIN: u64 = 10;
/// Programs that are named.
const DEAREST: usize = 8;

/// The doctor prints the plan and, without capabilities, explains itself.
pub(super) fn doctor() -> Result<Outcome> {
    let mut checks = Checks::new();
    let table = tcpress::call("doctor").run()?;
    checks.succeeds("doctor", table.expect_code(0));
    let text = table.stdout.join("\n");
    for word in [
        "tcp_try_rmem_schedule",
        "tcp_prune_ofo_queue",
        "TCPOFODrop",
        "TCPRcvQDrop",
    ] {
        checks.that(text.contains(word), || {
            format!("the plan does not speak of {word}")
        });
    }
    let json = tcpress::call("doctor -o json").run()?;
    checks.succeeds("doctor -o json", json.expect_code(0));
    let parsed = serde_json::from_str::<Value>(&json.stdout.join("\n"));
    if let Some(parsed) = checks.succeeds("what doctor -o json says", parsed.map_err(Into::into)) {
        verified(&mut checks, &parsed["price"]);
    }

    let nobody = tcpress::call("doctor").unprivileged().run()?;
    checks.succeeds("doctor without capabilities", nobody.expect_code(1));
    let words = [nobody.stdout, nobody.stderr].concat().join("\n");
    checks.that(words.contains("CAP_"), || {
        format!("no word on capabilities: {words}")
    });
    checks.that(!words.contains("panicked"), || format!("a panic: {words}"));
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// No program is near what the verifier walks at most. Its time is most of what a start takes.
fn verified(checks: &mut Checks, price: &Value) {
    let programs = price["by_program"].as_array();
    let mut walked: Vec<_> = programs
        .into_iter()
        .flatten()
        .map(|it| {
            (
                it["verified_instructions"].as_u64(),
                it["program"].to_string(),
            )
        })
        .collect();
    checks.equal(
        "programs told one by one",
        &Value::from(walked.len()),
        &price["programs"],
    );
    walked.sort_unstable();
    walked.reverse();
    eprintln!(
        "lab: {} programs, {} instructions verified, most of them for {:?}",
        price["programs"],
        price["verified_instructions"],
        &walked[..walked.len().min(DEAREST)]
    );
    for (walked, program) in walked {
        checks.that(walked.is_none_or(|it| it <= WALKED / MARGIN), || {
            format!("the verifier walks {walked:?} instructions of {program}")
        });
    }
}

/// Without type information the report falls back to counters and says why; the doctor fails and says why.
pub(super) fn no_btf() -> Result<Outcome> {
    let mut checks = Checks::new();
    let finished = tcpress::call("--btf /nonexistent report --duration 1s -o json").run()?;
    if let Some(report) = checks.succeeds("report without BTF", tcpress::parse(&finished)) {
        checks.equal(
            "the evidence",
            report.at("/verdict/evidence"),
            &"counters".into(),
        );
        let why = report.at("/plan/impossible").as_str().unwrap_or_default();
        checks.that(why.contains("/nonexistent") || why.contains("BTF"), || {
            format!("plan.impossible is {why:?}")
        });
    }
    let doctor = tcpress::call("--btf /nonexistent doctor").run()?;
    checks.succeeds("doctor without BTF", doctor.expect_code(1));
    let words = [doctor.stdout, doctor.stderr].concat().join("\n");
    checks.that(words.contains("BTF"), || {
        format!("the doctor does not speak of BTF: {words}")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}
