//! A capture of a leak: replayed, it gives the report that was printed beside it. Both are left in the shared folder, for whoever wants to
//! replay it elsewhere.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Outcome;
use super::flood::{SETTLE, Watch};
use super::leak::Leak;
use crate::{
    check::Checks, network::Network, pod::Pod, recipe::tcp_mem::TcpMem, report::Report, tcpress,
};

/// Where results are handed out of the machine.
const OUT: &str = "/share/out";

/// Until something is refused.
const REFUSED: Duration = Duration::from_secs(60);

/// Recorded while segments are refused; cut short, it says what it lacks.
pub(super) fn recorded() -> Result<Outcome> {
    fs::create_dir_all(OUT)?;
    let capture = format!("{OUT}/recorded.ndjson.zst");
    let printed = format!("{OUT}/recorded.json");
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(&leaky)?;
    let words = format!("record {capture} -o json --out {printed} --duration 300s");
    let running = tcpress::call(&words).tracing()?;
    let watch = Watch::new(&leaky)?;
    leak.go_on()?;
    let end = Instant::now() + REFUSED;
    while watch.grown()?.refusals() == 0 && Instant::now() < end {
        std::thread::sleep(SETTLE);
    }
    running.interrupt()?.expect_code(0)?;
    drop(leak);

    let replayed = tcpress::call(&format!("replay {capture} -o json")).run()?;
    replayed.expect_code(0)?;
    let printed = fs::read_to_string(&printed)?;
    ensure!(
        replayed.stdout.join("\n") == printed.trim_end(),
        "the replayed report is another one"
    );
    let report = Report::new(serde_json::from_str(&printed)?)?;
    let mut checks = Checks::new();
    checks.that(report.victims(&leaky).count() > 0, || {
        "nothing was refused: the capture shows little".to_owned()
    });
    let cut = Path::new("/tmp/lab-cut.zst");
    let whole = fs::read(&capture)?;
    fs::write(cut, &whole[..whole.len() * 2 / 3])?;
    let damaged = tcpress::call("replay /tmp/lab-cut.zst -o json").run()?;
    damaged.expect_code(1)?;
    let damaged = Report::new(serde_json::from_str(&damaged.stdout.join("\n"))?)?;
    checks.that(damaged.summary().contains("damaged capture"), || {
        format!(
            "a capture without its end is taken for a whole one: {}",
            damaged.summary()
        )
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}
