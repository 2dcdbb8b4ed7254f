//! In which format a page is written.

/// A format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' own text format, version 0.0.4; also what node_exporter's textfile collector reads.
    Text,
}

impl Format {
    /// Its name in `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_client::encoding::prometheus_text::CONTENT_TYPE,
        }
    }

    /// What to answer to a request with this `Accept` header (RFC 9110): OpenMetrics where it is asked for by name and nothing is said to be
    /// better; the text format, which everything reads, to all others.
    ///
    /// ```
    /// use tracer::agent::metrics::Format;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    /// assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    /// assert_eq!(Format::accepted("*/*"), Format::Text);
    /// ```
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let ranges = accept.split(',').filter_map(range);
        let best = |format: Self| {
            let weights = ranges.clone().filter(|(of, _)| *of == format);
            weights.map(|(_, weight)| weight).fold(0.0, f32::max)
        };
        match best(Self::OpenMetrics) {
            weight if weight > 0.0 && weight >= best(Self::Text) => Self::OpenMetrics,
            _ => Self::Text,
        }
    }
}

/// A media range that names one of the formats in a version that we write, and how much it is wanted.
fn range(text: &str) -> Option<(Format, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let (format, versions) = match parts.next()?.to_ascii_lowercase().as_str() {
        // Version 0.0.1 is what Prometheus called 1.0.0 before it was published.
        "application/openmetrics-text" => (Format::OpenMetrics, ["1.0.0", "0.0.1"]),
        "text/plain" => (Format::Text, ["0.0.4", "0.0.4"]),
        _ => return None,
    };
    let mut weight = 1.0;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
            "version" if !versions.contains(&value) => return None,
            _ => {}
        }
    }
    Some((format, weight))
}
