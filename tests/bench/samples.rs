//! Measurements of one thing, and how they are summarized.

use std::fmt;
use std::time::Duration;

/// Some measurements, sorted; never none.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this part of a hundred does not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// `a` beside `b`, as in `1.05×`.
pub(crate) fn ratio(a: f64, b: f64) -> String {
    let ratio = a / b;
    if ratio < 10.0 { format!("{ratio:.2}×") } else { format!("{ratio:.0}×") }
}

/// Seconds, for people, with their spread from the 5th to the 95th percentile.
pub(crate) fn seconds(samples: &Samples) -> String {
    let [low, high] = [5, 95].map(|percent| time(samples.percentile(percent)));
    format!("{} ({low} to {high})", time(samples.median()))
}

/// KiB, for people.
pub(crate) fn kib(samples: &Samples) -> String {
    let [low, median, high] = [0, 50, 100].map(|percent| thousands(samples.percentile(percent)));
    if low == high { median } else { format!("{median} ({low} to {high})") }
}

pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.2} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// A whole number with its thousands apart.
pub(crate) fn thousands(number: impl fmt::Display) -> String {
    let digits = format!("{number:.0}");
    let mut apart = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

pub(crate) fn in_seconds(durations: impl IntoIterator<Item = Duration>) -> Samples {
    Samples::of(durations.into_iter().map(|duration| duration.as_secs_f64()))
}
