//! A capture of a leak: replayed, it gives the report that was printed beside it. Both are left in the shared folder, for whoever wants to
//! replay it elsewhere.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::Outcome;
use crate::{
    check::Checks, network::Network, pod::Pod, recipe::tcp_mem::TcpMem, report::Report, tcpress,
};

/// Pages of `net.ipv4.tcp_mem`; see the demo for why.
const TCP_MEM: [u64; 3] = [2800, 2950, 3072];
const GO: &str = "/tmp/lab-recorded-on";
/// Where results are handed out of the machine.
const OUT: &str = "/share/out";

/// Recorded while segments are refused; cut short, it says what it lacks.
pub(super) fn recorded() -> Result<Outcome> {
    fs::create_dir_all(OUT)?;
    let capture = format!("{OUT}/recorded.ndjson.zst");
    let printed = format!("{OUT}/recorded.json");
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::set(TCP_MEM[0], TCP_MEM[1], TCP_MEM[2])?;
    let leak = leaky.recipe("leak-server --listen 0.0.0.0:8080")?;
    let _ = fs::remove_file(GO);
    let outside = leaky.outside(&format!(
        "tun --to 10.99.0.1:8080 --connections 320 --do feed:18200 --do until:{GO} --do feed:30000"
    ))?;
    outside.step("feed", Duration::from_secs(60))?;
    let words = format!("record {capture} -o json --out {printed} --duration 5s");
    let running = tcpress::call(&words).tracing()?;
    fs::write(GO, "").context("cannot give the word")?;
    running.finish()?.expect_code(0)?;
    drop((outside, leak));
    let _ = fs::remove_file(GO);

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
