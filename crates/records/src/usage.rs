//! How much of its usage windows an account has used, as the provider last reported.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// What the provider last reported of an account's usage windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it was reported.
    pub at: Timestamp,
    /// The shortest first.
    pub windows: Vec<Window>,
}

/// A span of time over which the provider counts an account's use. It is identified by its length, because which window
/// the provider calls primary differs from plan to plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub minutes: Minutes,
    pub used_percent: Percent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

/// The length of a window. Printed as `5h` or `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Minutes(u32);

/// A percentage to a tenth; rounded down, because a window at 99.96 % is not used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    tenths: u16,
}

impl Usage {
    /// The usage of these windows, as it was reported at that time; `None` without a window.
    #[must_use]
    pub fn reported(at: Timestamp, windows: impl IntoIterator<Item = Window>) -> Option<Self> {
        let mut windows: Vec<_> = windows.into_iter().collect();
        windows.sort_by_key(|window| (window.minutes, std::cmp::Reverse(window.used_percent)));
        windows.dedup_by_key(|window| window.minutes);
        (!windows.is_empty()).then_some(Self { at, windows })
    }

    /// The windows that have not been reset since.
    pub fn running(&self, now: Timestamp) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.end(self.at) > now)
    }

    /// What of it still holds: of a window that has been reset since then nothing is known.
    #[must_use]
    pub fn current(mut self, now: Timestamp) -> Option<Self> {
        let at = self.at;
        self.windows.retain(|window| window.end(at) > now);
        (!self.windows.is_empty()).then_some(self)
    }
}

impl Window {
    /// When it resets: at the latest its own length after it was read.
    #[must_use]
    pub fn end(&self, read_at: Timestamp) -> Timestamp {
        self.resets_at.unwrap_or(read_at.plus(self.minutes.duration()))
    }
}

impl Minutes {
    /// The window whose limit most plans reach first.
    pub const FIVE_HOURS: Self = Self(300);

    /// The window whose limit caps an account for days.
    pub const WEEK: Self = Self(7 * 24 * 60);

    /// A window of this length; none is shorter than a minute.
    #[must_use]
    pub fn new(minutes: u32) -> Option<Self> {
        (minutes > 0).then_some(Self(minutes))
    }

    /// How many.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The same as a span of time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_mins(self.0.into())
    }
}

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self { tenths: 0 };

    /// This percentage, unless it is negative, absurdly large or not a number.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        // A tenth that a float cannot hold exactly must not be rounded down to the one below.
        let tenths = (percent * 10.0 + 1e-6).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (0.0..=10_000.0).contains(&tenths).then_some(Self { tenths: tenths as u16 })
    }

    /// The same as a number.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.tenths) / 10.0
    }

    /// In tenths of a percent.
    #[must_use]
    pub fn tenths(self) -> u16 {
        self.tenths
    }
}

impl TryFrom<u32> for Minutes {
    type Error = &'static str;

    fn try_from(minutes: u32) -> Result<Self, Self::Error> {
        Self::new(minutes).ok_or("a window of no length")
    }
}

impl From<Minutes> for u32 {
    fn from(minutes: Minutes) -> Self {
        minutes.0
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            minutes if minutes % (24 * 60) == 0 => write!(f, "{}d", minutes / (24 * 60)),
            minutes if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.tenths / 10)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.tenths) / 10.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("not a percentage"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(minutes: u32, used: f64, resets_at: Option<i64>) -> Window {
        let resets_at = resets_at.map(Timestamp::from_seconds);
        Window { minutes: Minutes(minutes), used_percent: Percent::new(used).unwrap(), resets_at }
    }

    #[test]
    fn a_percentage_is_never_rounded_up_to_used_up() {
        assert_eq!(Percent::new(99.96), Percent::new(99.9));
        assert_eq!(Percent::new(99.6).unwrap().to_string(), "99%");
        assert_eq!(serde_json::to_string(&Percent::new(42.3)).unwrap(), "42.3");
        for nonsense in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Percent::new(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_window_is_named_by_its_length() {
        let names = [300, 10_080, 1440, 90].map(|minutes| Minutes(minutes).to_string());
        assert_eq!(names, ["5h", "7d", "1d", "90m"]);
    }

    #[test]
    fn the_order_in_which_windows_are_reported_does_not_matter() {
        let at = Timestamp::from_seconds(1);
        let (five, week) = (window(300, 100.0, Some(9)), window(10_080, 42.0, None));
        assert_eq!(Usage::reported(at, [week.clone(), five.clone()]), Usage::reported(at, [five, week]));
        assert_eq!(Usage::reported(at, []), None);
    }

    #[test]
    fn nothing_is_known_of_a_window_that_was_reset() {
        let at = Timestamp::from_seconds(0);
        let usage = Usage::reported(at, [window(300, 100.0, Some(600)), window(60, 10.0, None)]).unwrap();
        let left = |now| usage.clone().current(Timestamp::from_seconds(now)).map_or(0, |u| u.windows.len());
        assert_eq!([left(599), left(600), left(3600)], [2, 1, 0]);
    }
}
