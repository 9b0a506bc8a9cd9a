//! `Exposition`: Prometheus's text format 0.0.4, or OpenMetrics 1.0 where that is asked for.

use super::histogram::Histogram;

/// The two formats that monitoring systems read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

/// What a family of series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows. Its name is without `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts below bounds.
    Histogram,
}

/// The text so far.
pub(crate) struct Exposition {
    text: String,
    style: Style,
    name: &'static str,
    kind: Kind,
}

impl Style {
    /// What a request that accepts `accept` gets (RFC 9110 §12.5.1): OpenMetrics where it is named and not refused.
    pub(crate) fn accepted(accept: &str) -> Self {
        let wanted = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
            let is_zero = |part: &str| part.strip_prefix("q=").is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty());
            named && !parts.any(is_zero)
        };
        if accept.split(',').any(wanted) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Exposition {
    /// Nothing yet.
    pub(crate) fn new(style: Style) -> Self {
        Self { text: String::with_capacity(8 * 1024), style, name: "", kind: Kind::Gauge }
    }

    /// The series that follow are of this family. Each family comes once.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        (self.name, self.kind) = (name, kind);
        let suffix = self.total();
        // OpenMetrics names a counter without its suffix, Prometheus with it.
        let suffix = if self.style == Style::OpenMetrics { "" } else { suffix };
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {word}"));
    }

    /// A number of the family, under labels whose values are escaped here.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        let (name, suffix, labels) = (self.name, self.total(), braced(labels, None));
        self.line(format_args!("{name}{suffix}{labels} {value}"));
    }

    /// A histogram of the family; `unit` of what was counted are one of what is told.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        labels: &[(&str, &str)],
        (histogram, bounds): (&Histogram<N>, &[u64; N]),
        unit: u64,
    ) {
        let name = self.name;
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(histogram.buckets) {
            below += count;
            let labels = braced(labels, Some(&decimal(*bound, unit, self.style)));
            self.line(format_args!("{name}_bucket{labels} {below}"));
        }
        let all = braced(labels, Some("+Inf"));
        self.line(format_args!("{name}_bucket{all} {}", histogram.count));
        let labels = braced(labels, None);
        self.line(format_args!("{name}_sum{labels} {}", decimal(histogram.sum, unit, Style::Prometheus)));
        self.line(format_args!("{name}_count{labels} {}", histogram.count));
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        if self.style == Style::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn total(&self) -> &'static str {
        if self.kind == Kind::Counter { "_total" } else { "" }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.push_str(&text.to_string());
        self.text.push('\n');
    }
}

/// Labels in braces, `le` last; nothing where there are none.
fn braced(labels: &[(&str, &str)], le: Option<&str>) -> String {
    let all: Vec<String> = labels
        .iter()
        .copied()
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `value` in units of `unit`, which is a power of ten: exact, without a binary fraction. OpenMetrics wants bounds with a point.
fn decimal(value: u64, unit: u64, style: Style) -> String {
    let (whole, part) = (value / unit, value % unit);
    if part == 0 {
        return if style == Style::OpenMetrics { format!("{whole}.0") } else { whole.to_string() };
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{part:0digits$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(style: Style) -> String {
        let mut exposition = Exposition::new(style);
        exposition.family("a", Kind::Counter, "Some.");
        exposition.sample(&[("b", "c\"d\\\n")], 7);
        exposition.family("t_seconds", Kind::Histogram, "Times.");
        let mut histogram = Histogram::default();
        histogram.add(1_500_000, &[1_000_000, 2_500_000]);
        exposition.histogram(&[("x", "y")], (&histogram, &[1_000_000, 2_500_000]), 1_000_000);
        exposition.finish()
    }

    #[test]
    fn it_is_written_as_each_format_wants_it() {
        let sample = "a_total{b=\"c\\\"d\\\\\\n\"} 7\n# HELP t_seconds Times.\n# TYPE t_seconds histogram\n";
        let prometheus = format!("# HELP a_total Some.\n# TYPE a_total counter\n{sample}");
        let rest = |one: &str| {
            format!(
                "t_seconds_bucket{{x=\"y\",le=\"{one}\"}} 0\nt_seconds_bucket{{x=\"y\",le=\"2.5\"}} 1\n\
                 t_seconds_bucket{{x=\"y\",le=\"+Inf\"}} 1\nt_seconds_sum{{x=\"y\"}} 1.5\nt_seconds_count{{x=\"y\"}} 1\n"
            )
        };
        assert_eq!(written(Style::Prometheus), format!("{prometheus}{}", rest("1")));
        let open_metrics = format!("# HELP a Some.\n# TYPE a counter\n{sample}{}# EOF\n", rest("1.0"));
        assert_eq!(written(Style::OpenMetrics), open_metrics);
    }

    #[test]
    fn who_names_open_metrics_gets_it() {
        for (accept, style) in [
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", Style::OpenMetrics),
            ("Application/OpenMetrics-Text", Style::OpenMetrics),
            ("application/openmetrics-text; q=0.0", Style::Prometheus),
            ("text/plain", Style::Prometheus),
            ("*/*", Style::Prometheus),
            ("", Style::Prometheus),
        ] {
            assert_eq!(Style::accepted(accept), style, "{accept}");
        }
    }
}
