//! What the machine lacks: type information, capabilities.

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use crate::check::Checks;
use crate::tcpress;

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
    checks.that(parsed.is_ok_and(|value| value.is_object()), || {
        "doctor -o json gives no JSON object".into()
    });

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
