//! That a report does not show all that there was.

use crate::{
    output::{size, text},
    report::Narrowed,
};

/// Which filters, how much was left out, and what stayed whole.
pub(in crate::output) fn sentence(narrowed: &Narrowed) -> String {
    let mut said = match narrowed.filters.as_slice() {
        [] => "the first of each list".to_owned(),
        filters => {
            let filters: Vec<String> = filters.iter().map(|it| text::name(it)).collect();
            format!("only {}", filters.join(", "))
        }
    };
    let left_out = [
        (narrowed.victims, "victim"),
        (narrowed.holders, "holder"),
        (narrowed.memcg_pressure, "memory cgroup"),
        (narrowed.timeline, "moment"),
        (narrowed.evidence, "sampled failure"),
    ];
    let left_out: Vec<String> = left_out
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, one)| size::count(count, one))
        .collect();
    if left_out.is_empty() {
        said.push_str("; nothing was left out");
    } else {
        said.push_str(&format!("; left out: {}", left_out.join(", ")));
    }
    if narrowed.labels_unknown > 0 {
        said.push_str(&format!(
            "; labels of {} are not known",
            size::count(narrowed.labels_unknown, "pod")
        ));
    }
    said.push_str("; the verdict, culprits, sums and reconciliation are of the whole node");
    said
}
