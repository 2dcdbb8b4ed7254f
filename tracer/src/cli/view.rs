//! What of a report is shown, and how it looks: options that all commands share which print one.

use std::io::IsTerminal as _;

use clap::ValueEnum;

use crate::{
    output::Style,
    report::{self, inputs::MAX_OWNERS, view},
};

/// Whose lines are shown.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What is shown (sums, the verdict and culprits stay whole)")]
pub(super) struct Filter {
    /// Only pods of this namespace; may be given more than once.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Only this pod, also as NAMESPACE/NAME; `*` stands for any characters; may be given more than once.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pod: Vec<String>,
    /// Only pods whose labels are so: `app=web,tier!=cache`, `zone in (a,b)`, `!canary`.
    #[arg(short = 'l', long = "label", value_name = "SELECTOR")]
    label: Option<view::Selector>,
    /// Only this cgroup and all below it, by its path from the root of its hierarchy, or its id; may be given more than once.
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Only those who live in this network namespace, by its inode number; may be given more than once.
    #[arg(long, value_name = "INODE", value_parser = netns)]
    netns: Vec<String>,
}

impl Filter {
    /// As the model has it.
    pub(super) fn filter(&self) -> view::Filter {
        view::Filter {
            namespaces: self.namespace.clone(),
            pods: self.pod.clone(),
            labels: self.label.clone(),
            cgroups: self.cgroup.clone(),
            netns: self.netns.clone(),
        }
    }
}

/// Whose lines are shown, in which order, and how many.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What is shown (sums, the verdict and culprits stay whole)")]
pub(super) struct View {
    #[command(flatten)]
    filter: Filter,
    /// Sort owners by this instead, most first.
    #[arg(long, value_enum, value_name = "BY")]
    sort: Option<view::Sort>,
    /// Owners in each list at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    top: Option<u32>,
}

impl View {
    fn view(&self) -> report::View {
        report::View {
            filter: self.filter.filter(),
            sort: self.sort,
            top: self.top.map(|top| top as usize),
        }
    }

    /// Owners in each list that a report must have.
    pub(super) fn owners_wanted(&self) -> usize {
        self.view().owners_wanted(MAX_OWNERS)
    }

    /// Owners in each list that a capture is to give.
    pub(super) fn owners_recorded(&self) -> usize {
        self.top
            .map_or(MAX_OWNERS, |top| MAX_OWNERS.max(top as usize))
    }

    /// A report as it is shown.
    pub(super) fn of(&self, report: report::Report) -> report::Report {
        self.view().of(report, MAX_OWNERS)
    }
}

/// How text looks.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Look {
    /// No heads above columns.
    #[arg(long)]
    no_headers: bool,
    /// Whether what matters stands out by colour; auto: on a terminal, unless NO_COLOR is set or TERM is dumb.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
}

/// When there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Whether there is colour on what may be a terminal.
    pub(super) fn wanted(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && wants_colour(),
        }
    }
}

impl Look {
    /// Whether columns have heads.
    pub(super) const fn heads(self) -> bool {
        !self.no_headers
    }

    /// How a table is laid out that goes to stdout, or to a file.
    pub(super) fn style(self, to_file: bool) -> Style {
        Style {
            wide: false,
            heads: self.heads(),
            colour: self
                .color
                .wanted(!to_file && std::io::stdout().is_terminal()),
        }
    }
}

/// Whether the environment has nothing against colour (<https://no-color.org>).
fn wants_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

fn netns(text: &str) -> Result<String, String> {
    match text.parse::<u32>() {
        Ok(inum) => Ok(inum.to_string()),
        Err(_) => {
            Err("it must be the inode number that `readlink /proc/PID/ns/net` shows".to_owned())
        }
    }
}
