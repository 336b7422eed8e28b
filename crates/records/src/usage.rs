//! How much of its usage an account has used up, as far as the provider told.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// What the provider last told of an account's usage windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// When.
    pub at: Timestamp,
    /// The windows, the shortest first.
    pub windows: Vec<Window>,
}

/// A span of time in which only so much may be used. It is known by its length: which of them the provider calls
/// primary differs from plan to plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// How long it is.
    pub minutes: Minutes,
    /// How much of it is used.
    pub used_percent: Percent,
    /// When it begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

/// The length of a window, by which it is known. Printed as `5h` or `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Minutes(u32);

/// A part of a hundred, to a tenth; rounded down, for 99.96 is not used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    tenths: u16,
}

impl Usage {
    /// Usage of these windows, as it was told at that time; `None` if nothing was told.
    #[must_use]
    pub fn told(at: Timestamp, windows: impl IntoIterator<Item = Window>) -> Option<Self> {
        let mut windows: Vec<_> = windows.into_iter().collect();
        windows.sort_by_key(|window| (window.minutes, std::cmp::Reverse(window.used_percent)));
        windows.dedup_by_key(|window| window.minutes);
        (!windows.is_empty()).then_some(Self { at, windows })
    }

    /// What of it still holds: a window that has begun anew since says nothing.
    #[must_use]
    pub fn still(mut self, now: Timestamp) -> Option<Self> {
        let at = self.at;
        let end = |window: &Window| window.resets_at.unwrap_or(at.plus(window.minutes.duration()));
        self.windows.retain(|window| end(window) > now);
        (!self.windows.is_empty()).then_some(self)
    }
}

impl Minutes {
    /// The window that most plans cap first.
    pub const FIVE_HOURS: Self = Self(300);

    /// The one that caps for days.
    pub const WEEK: Self = Self(7 * 24 * 60);

    /// A window of this length; none is shorter than a minute.
    #[must_use]
    pub fn new(minutes: u32) -> Option<Self> {
        (minutes > 0).then_some(Self(minutes))
    }

    fn duration(self) -> Duration {
        Duration::from_mins(self.0.into())
    }
}

impl Percent {
    /// This much of a hundred, if it is a number that can be that.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        // What a float cannot hold exactly must not fall below itself.
        let tenths = (percent * 10.0 + 1e-6).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (0.0..=10_000.0).contains(&tenths).then_some(Self { tenths: tenths as u16 })
    }
}

impl Percent {
    /// A thousandth each.
    #[must_use]
    pub fn tenths(self) -> u16 {
        self.tenths
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
    fn the_order_in_which_windows_are_told_does_not_matter() {
        let at = Timestamp::from_seconds(1);
        let (five, week) = (window(300, 100.0, Some(9)), window(10_080, 42.0, None));
        assert_eq!(Usage::told(at, [week.clone(), five.clone()]), Usage::told(at, [five, week]));
        assert_eq!(Usage::told(at, []), None);
    }

    #[test]
    fn a_window_that_began_anew_says_nothing() {
        let at = Timestamp::from_seconds(0);
        let usage = Usage::told(at, [window(300, 100.0, Some(600)), window(60, 10.0, None)]).unwrap();
        let left = |now| usage.clone().still(Timestamp::from_seconds(now)).map_or(0, |u| u.windows.len());
        assert_eq!([left(599), left(600), left(3600)], [2, 1, 0]);
    }
}
