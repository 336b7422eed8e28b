//! Lanes: records that are published beside each other, so that several accounts serve at once.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most lanes that a pool has: each is a deployment for each model in LiteLLM's configuration.
const MOST: u8 = 16;

/// One of the lanes: a number from 1 to 16. The account in the first is the active one, whose record is `auth.json` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Lane(NonZeroU8);

/// How many lanes a pool has. One means that `auth.json` is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCount(Lane);

/// A number that is not that of a lane, or not a number of lanes.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a number of lanes from 1 to {MOST}")]
pub struct NotALane;

impl Lane {
    /// The lane of the active account.
    pub const FIRST: Self = Self(NonZeroU8::MIN);

    /// Every lane that there may be, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=MOST).filter_map(|number| Self::try_from(number).ok())
    }

    /// The lane whose record has this file name: `lane-N.json`, N without leading zeros.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let number: u8 = name.strip_prefix("lane-")?.strip_suffix(".json")?.parse().ok()?;
        Self::try_from(number).ok().filter(|lane| lane.file_name() == name)
    }

    /// The name of the file with its record.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{self}.json")
    }

    /// The bare number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0.get()
    }
}

impl LaneCount {
    /// The default.
    pub const ONE: Self = Self(Lane::FIRST);

    /// The lanes, in order.
    pub fn lanes(self) -> impl Iterator<Item = Lane> {
        Lane::all().take_while(move |lane| *lane <= self.0)
    }

    /// The lane whose record is in the file of this one: itself, or for one that is no longer used another, so that a
    /// LiteLLM that still reads the file finds a record.
    #[must_use]
    pub fn record_for(self, lane: Lane) -> Lane {
        let number = (lane.number() - 1) % self.0.number() + 1;
        Lane::try_from(number).unwrap_or(Lane::FIRST)
    }
}

impl Default for LaneCount {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u8> for Lane {
    type Error = NotALane;

    fn try_from(number: u8) -> Result<Self, NotALane> {
        NonZeroU8::new(number).filter(|number| number.get() <= MOST).map(Self).ok_or(NotALane)
    }
}

impl From<Lane> for u8 {
    fn from(lane: Lane) -> Self {
        lane.number()
    }
}

/// `lane-N`, the name that files, log lines and LiteLLM's deployments use.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lane-{}", self.0)
    }
}

impl FromStr for LaneCount {
    type Err = NotALane;

    fn from_str(text: &str) -> Result<Self, NotALane> {
        let number: u8 = text.parse().map_err(|_| NotALane)?;
        Lane::try_from(number).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_from_one_to_sixteen_lanes() {
        let names = |count: &str| count.parse::<LaneCount>().map(|count| count.lanes().count());
        assert_eq!([names("1"), names("3"), names("16")], [Ok(1), Ok(3), Ok(16)]);
        for text in ["0", "17", "-1", "", "two", "1.5", "300"] {
            assert_eq!(names(text), Err(NotALane), "{text:?}");
        }
        assert!(Lane::all().all(|lane| Lane::from_file_name(&lane.file_name()) == Some(lane)));
        for name in ["lane-0.json", "lane-17.json", "lane-01.json", "lane-1.json.new", "auth.json"] {
            assert_eq!(Lane::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_file_beyond_the_last_lane_has_the_record_of_another() {
        let count: LaneCount = "3".parse().unwrap();
        let records = Lane::all().take(7).map(|lane| count.record_for(lane).number());
        assert_eq!(records.collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 1]);
        assert!(Lane::all().all(|lane| LaneCount::ONE.record_for(lane) == Lane::FIRST));
    }
}
