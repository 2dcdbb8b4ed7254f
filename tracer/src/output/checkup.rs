//! The answer of `tcpress doctor` for people.

use super::{page::Page, size, table, text};
use crate::report::Checkup;

/// At most 100 columns.
#[must_use]
pub fn table(checkup: &Checkup) -> String {
    let mut out = Page::default();
    let verdict = match (checkup.can_trace, &checkup.plan.impossible) {
        (true, _)
            if checkup
                .plan
                .counters
                .iter()
                .all(|counter| counter.why.is_none()) =>
        {
            "YES: every count will be exact".to_owned()
        }
        (true, _) => "YES, but not every count will be exact: see the plan".to_owned(),
        (false, Some(why)) => {
            format!("NO: {why}. `tcpress report` still answers from counters, sock_diag and /proc")
        }
        (false, None) => "NO".to_owned(),
    };
    table::paragraph(&mut out, "", &format!("CAN TRACE: {verdict}"));
    out.push_str(&format!(
        "\nnode      {}, kernel {} {}, {}, tcpress {}\n",
        text::name(&checkup.node.host_name),
        text::name(&checkup.node.kernel),
        text::name(&checkup.node.arch),
        size::count(u64::from(checkup.node.cpus), "CPU"),
        checkup.tcpress,
    ));
    table::heading(&mut out, "CHECKS");
    for check in &checkup.checks {
        let mark = if check.good { "ok" } else { "!!" };
        table::paragraph(
            &mut out,
            "  ",
            &format!("{mark} {}: {}", check.name, check.found),
        );
    }
    if !checkup.privileges.is_empty() {
        table::heading(&mut out, "PRIVILEGES");
    }
    for privilege in &checkup.privileges {
        let held = if privilege.held { "held" } else { "not held" };
        let line = format!(
            "{} {held}: {} (the agent needs it {})",
            privilege.capability, privilege.why, privilege.when
        );
        table::paragraph(&mut out, "  ", &line);
    }
    if !checkup.privileges_not_needed.is_empty() {
        let line = format!(
            "held and not needed: {}",
            checkup.privileges_not_needed.join(", ")
        );
        table::paragraph(&mut out, "  ", &line);
    }
    table::plan(&mut out, &checkup.plan);
    for probe in checkup
        .plan
        .probes
        .iter()
        .filter(|probe| probe.missing.is_none())
    {
        let line = format!(
            "{} {}: {}",
            probe.flavour,
            probe.hook,
            probe.programs.join(", ")
        );
        table::paragraph(&mut out, "  ", &line);
    }
    table::heading(&mut out, "PRICE");
    match &checkup.price {
        None => out.push_str("  nothing was loaded\n"),
        Some(price) => {
            let verified = price
                .verified_instructions
                .map_or_else(|| "–".to_owned(), |count| count.to_string());
            let maps = price.map_bytes.map_or_else(|| "–".to_owned(), size::bytes);
            out.push_str(&format!("  maps      {maps}\n"));
            out.push_str(&format!(
                "  programs  {}, {} of machine code, {verified} instructions verified\n",
                price.programs,
                size::bytes(price.code_bytes),
            ));
        }
    }
    out.into_text()
}
