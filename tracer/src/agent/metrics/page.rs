//! A page: families of series with their values at one instant, and how they are written. The crate `prometheus-client` knows both formats
//! and how labels are escaped; it is given the page as a whole and keeps nothing.

use std::{borrow::Cow, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, prometheus_text, text,
    },
    metrics::exemplar::Exemplar,
    registry::Registry,
};

use super::{
    Format,
    catalogue::{self, Kind, Metric},
};
use crate::agent::ledger::{Figures, OwnerLabels, STALL_BOUNDS};

/// A label with its value.
pub type Label = (&'static str, Cow<'static, str>);

/// What a series says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count, or a size.
    Whole(u64),
    /// A difference.
    Signed(i64),
    /// A time in seconds.
    Seconds(f64),
    /// Counts up to each of [`STALL_BOUNDS`] and beyond, each without those below, and the sum of all times in nanoseconds.
    Stalls([u64; STALL_BOUNDS.len() + 1], u64),
    /// Nothing but labels.
    Info,
}

/// One series; a histogram is several.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose it is.
    pub owner: Option<Arc<OwnerLabels>>,
    /// Further labels.
    pub labels: Vec<Label>,
    /// What it says.
    pub value: Value,
}

impl Sample {
    /// How many series it is in Prometheus.
    #[must_use]
    pub const fn series(&self) -> usize {
        match self.value {
            Value::Stalls(..) => catalogue::HISTOGRAM_SERIES,
            _ => 1,
        }
    }
}

/// All series of one metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// Which.
    pub metric: &'static Metric,
    /// Its series.
    pub samples: Vec<Sample>,
}

/// Everything that is shown at one instant.
#[derive(Clone, Debug)]
pub struct Page {
    /// By the order of the catalogue, without those that have nothing to say.
    pub families: Vec<Family>,
}

impl Page {
    /// Makes the series of all figures.
    #[must_use]
    pub fn of(figures: &Figures) -> Self {
        let mut families: Vec<Family> = catalogue::all()
            .map(|metric| Family {
                metric,
                samples: (metric.samples)(figures),
            })
            .collect();
        // It is known only now, and is one of them.
        let series = families.iter().map(Family::series).sum::<usize>();
        for family in &mut families {
            if family.metric.base == catalogue::SERIES {
                family.samples = vec![Sample {
                    owner: None,
                    labels: Vec::new(),
                    value: Value::Whole(series as u64),
                }];
            }
        }
        families.retain(|family| !family.samples.is_empty());
        Self { families }
    }

    /// How many series it has.
    #[must_use]
    pub fn series(&self) -> usize {
        self.families.iter().map(Family::series).sum()
    }
}

impl Family {
    fn series(&self) -> usize {
        self.samples.iter().map(Sample::series).sum()
    }
}

/// Writes a page.
#[must_use]
pub fn render(page: Page, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut written = String::new();
    let done = match format {
        Format::OpenMetrics => text::encode(&mut written, &registry),
        Format::Text => prometheus_text::encode(&mut written, &registry),
    };
    // A string takes whatever is written; what can fail is to write a kind of value that the format has not, and both have all of ours.
    debug_assert_eq!(done, Ok(()));
    written
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { metric, samples } in &self.families {
            let unit = metric.unit.map(catalogue::Unit::of_client);
            let (base, kind) = (metric.base, metric.kind.of_client());
            let mut encoder = encoder.encode_descriptor(base, metric.help, unit.as_ref(), kind)?;
            for sample in samples {
                sample.encode(metric.kind, &mut encoder)?;
            }
        }
        Ok(())
    }
}

/// All labels of a series.
struct Labels<'a>(&'a Sample);

impl EncodeLabelSet for Labels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> fmt::Result {
        if let Some(owner) = &self.0.owner {
            owner.encode(encoder)?;
        }
        let pairs = self.0.labels.iter().map(|(name, value)| (*name, &**value));
        pairs.collect::<Vec<_>>().encode(encoder)
    }
}

impl Sample {
    fn encode(&self, kind: Kind, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let labels = Labels(self);
        if self.value == Value::Info {
            return encoder.encode_info(&labels);
        }
        let mut series = encoder.encode_family(&labels)?;
        let no_exemplar = None::<&Exemplar<NoLabelSet, f64>>;
        match (&self.value, kind) {
            (Value::Whole(value), Kind::Counter) => series.encode_counter(value, no_exemplar),
            (Value::Seconds(value), Kind::Counter) => series.encode_counter(value, no_exemplar),
            (Value::Whole(value), _) => series.encode_gauge(value),
            (Value::Signed(value), _) => series.encode_gauge(value),
            (Value::Seconds(value), _) => series.encode_gauge(value),
            (Value::Stalls(counts, sum_ns), _) => {
                let bounds = STALL_BOUNDS.into_iter().map(seconds);
                let bounds = bounds.chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
                let count = counts
                    .iter()
                    .fold(0, |sum: u64, &by| sum.saturating_add(by));
                series.encode_histogram::<NoLabelSet>(seconds(*sum_ns), count, &buckets, None)
            }
            (Value::Info, _) => Ok(()),
        }
    }
}

/// Nanoseconds as seconds.
#[must_use]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
