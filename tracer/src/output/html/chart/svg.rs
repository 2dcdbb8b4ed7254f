//! Shapes of a chart. Numbers are kept finite and within the chart, whatever is drawn.

use crate::output::html::escape::{escape, sentence};

/// A drawing.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Values along an axis: `from` lies at pixel `start`, `to` at pixel `end`.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) start: f64,
    pub(super) end: f64,
}

impl Scale {
    /// Where a value lies; one beyond the axis lies at its end, one that is no number at its start.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = (value - self.from) / (self.to - self.from);
        let part = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.start + part * (self.end - self.start)
    }
}

/// Round values from 0 to at least `max`, five steps at most; the last one ends the axis.
pub(super) fn ticks(max: f64) -> Vec<f64> {
    let max = if max.is_finite() && max > 0.0 {
        max.min(1e18)
    } else {
        1.0
    };
    let rough = max / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * power);
    let step = step
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let count = (max / step).ceil();
    let mut ticks = Vec::new();
    let mut at = 0.0;
    while at <= count {
        ticks.push(at * step);
        at += 1.0;
    }
    ticks
}

/// A value of an axis, with as many decimals as it has of six.
pub(super) fn label(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Svg {
    pub(super) const fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// A rectangle of a class, with words that show when it is pointed at.
    pub(super) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        class: &str,
        words: &str,
    ) {
        self.body.push_str(&format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>\n",
            number(x),
            number(y),
            number(width.max(0.0)),
            number(height.max(0.0)),
            sentence(words)
        ));
    }

    /// A straight line, with words where there are some.
    pub(super) fn line(
        &mut self,
        (x1, y1): (f64, f64),
        (x2, y2): (f64, f64),
        class: &str,
        words: &str,
    ) {
        let title = match words {
            "" => String::new(),
            words => format!("<title>{}</title>", sentence(words)),
        };
        self.body.push_str(&format!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\">{title}</line>\n",
            number(x1),
            number(y1),
            number(x2),
            number(y2)
        ));
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", number(*x), number(*y)))
            .collect();
        self.body.push_str(&format!(
            "<polyline class=\"{class}\" points=\"{}\"/>\n",
            points.join(" ")
        ));
    }

    /// A small ring.
    pub(super) fn ring(&mut self, (x, y): (f64, f64), class: &str, words: &str) {
        self.body.push_str(&format!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"4\"><title>{}</title></circle>\n",
            number(x),
            number(y),
            sentence(words)
        ));
    }

    /// Words; `class` says where they begin: at the point, in the `middle` or at the `end`. They must be escaped.
    pub(super) fn text(&mut self, (x, y): (f64, f64), class: &str, words: &str) {
        self.body.push_str(&format!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\">{words}</text>\n",
            number(x),
            number(y)
        ));
    }

    /// The element, with a title and a description for those who cannot see it.
    pub(super) fn html(&self, id: &str, title: &str, about: &str) -> String {
        format!(
            "<svg role=\"img\" aria-labelledby=\"{id}-title {id}-about\" viewBox=\"0 0 {} {}\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-about\">{}</desc>\n{}</svg>\n",
            number(self.width),
            number(self.height),
            escape(title),
            escape(about),
            self.body
        )
    }
}

/// A number of pixels.
fn number(pixels: f64) -> String {
    let pixels = if pixels.is_finite() { pixels } else { 0.0 };
    format!("{:.1}", pixels.clamp(-10_000.0, 10_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        assert_eq!(ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(230.0), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ticks(odd).last(), Some(&1.0));
        }
        assert_eq!(
            ticks(1.0).into_iter().map(label).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!([10.0, 1e18].map(label), ["10", "1000000000000000000"]);
        assert!(ticks(f64::MAX).len() <= 7);
        assert!(ticks(f64::MIN_POSITIVE).iter().all(|tick| tick.is_finite()));
    }

    #[test]
    fn what_is_beyond_an_axis_stays_on_it() {
        let scale = Scale {
            from: 0.0,
            to: 10.0,
            start: 100.0,
            end: 0.0,
        };
        assert_eq!(
            [0.0, 5.0, 10.0, 99.0, -1.0, f64::NAN].map(|value| scale.at(value)),
            [100.0, 50.0, 0.0, 0.0, 100.0, 100.0]
        );
        assert_eq!(Scale { to: 0.0, ..scale }.at(1.0), 100.0);
    }
}
