//! What has recovered since an earlier report.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Owner};

/// This report against an earlier one of the same node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// When the window of the earlier one ended.
    pub since: Timestamp,
    /// What was the matter then.
    #[serde(default)]
    pub kind: Kind,
    /// Its headline.
    #[serde(default)]
    pub headline: String,
    /// Whether all of `items` have recovered; null where that is not known of one of them and none is still ill.
    #[serde(default)]
    pub recovered: Option<bool>,
    /// Windows in a row, this one the last, in which that held; null where one window was compared.
    #[serde(default)]
    pub held_windows: Option<u32>,
    /// All of it in one sentence.
    #[serde(default)]
    pub summary: String,
    /// Figure by figure.
    #[serde(default)]
    pub items: Vec<Item>,
}

/// One figure then and now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Item {
    /// Which.
    pub figure: Figure,
    /// Whose; null for the node.
    pub owner: Option<Owner>,
    /// Then; null where it was not known.
    pub before: Option<f64>,
    /// Now; null where it is not known.
    pub after: Option<f64>,
    /// Whether it has recovered; null where one of the two is not known.
    pub recovered: Option<bool>,
}

/// A figure that shows whether something has recovered.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Fill of the node's TCP memory, 0 to 1 and above.
    Fill,
    /// Segments refused in a second.
    RefusalsPerSecond,
    /// What was lost besides in a second: at full backlogs, at windows of 0, for want of memory.
    OtherLossesPerSecond,
    /// TCP memory held by an owner, in bytes.
    HeldBytes,
    /// A figure that this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

impl Figure {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::RefusalsPerSecond => "segments refused in a second",
            Self::OtherLossesPerSecond => "other losses in a second",
            Self::HeldBytes => "held",
            Self::Other => "a figure not known to this version",
        }
    }
}
