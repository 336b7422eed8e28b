//! How fast a pool uses its accounts' windows up: percentage points an hour, by the length of the window. Bounded, and
//! never decided by.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::usage::{Minutes, Usage};

/// How many hours are remembered.
const HOURS: usize = 24;

const HOUR: Duration = Duration::from_hours(1);

/// How much was used in each hour, in tenths of a percent of one account's window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consumption(pub(crate) BTreeMap<u32, Vec<(Timestamp, u32)>>);

impl Consumption {
    /// Adds what one account used between two readings. A window that reset in between began anew.
    pub fn add(&mut self, before: Option<&Usage>, after: &Usage) {
        let Some(before) = before.filter(|before| before.at < after.at) else { return };
        for window in &after.windows {
            let earlier = before.windows.iter().find(|earlier| earlier.minutes == window.minutes);
            let Some(earlier) = earlier.filter(|earlier| earlier.end(before.at) > after.at) else { continue };
            let used = window.used_percent.tenths().saturating_sub(earlier.used_percent.tenths());
            if used > 0 {
                self.count(window.minutes, after.at, used.into());
            }
        }
    }

    fn count(&mut self, window: Minutes, at: Timestamp, tenths: u32) {
        let hour = Timestamp::from_seconds(at.seconds() / 3600 * 3600);
        let hours = self.0.entry(window.number()).or_default();
        match hours.last_mut() {
            Some((last, used)) if *last == hour => *used = used.saturating_add(tenths),
            _ => hours.push((hour, tenths)),
        }
        let surplus = hours.len().saturating_sub(HOURS);
        hours.drain(..surplus);
    }

    /// Percentage points an hour over the last hours in which this window was used; none before anything is known.
    #[must_use]
    pub fn rate(&self, window: Minutes, over: Duration, now: Timestamp) -> Option<f64> {
        let recent = self.0.get(&window.number())?.iter().filter(|(hour, _)| now.since(*hour) < over);
        let first = recent.clone().map(|(hour, _)| *hour).min()?;
        let tenths: u32 = recent.map(|(_, used)| used).sum();
        // The hour that has just begun would make a rate of its first minute.
        let lasted = now.since(first).max(HOUR).as_secs_f64() / HOUR.as_secs_f64();
        Some(f64::from(tenths) / 10.0 / lasted)
    }

    /// Forgets what is too old to say anything.
    pub fn tidy(&mut self, now: Timestamp) {
        for hours in self.0.values_mut() {
            hours.retain(|(hour, _)| now.since(*hour) < HOUR * u32::try_from(HOURS).unwrap_or(u32::MAX));
        }
        self.0.retain(|_, hours| !hours.is_empty());
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Percent, Window};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 * 3600 + 60 * minutes)
    }

    fn reading(minutes: i64, used: f64, resets: i64) -> Usage {
        let window = Window {
            minutes: Minutes::FIVE_HOURS,
            used_percent: Percent::new(used).unwrap(),
            resets_at: Some(at(resets)),
        };
        Usage::reported(at(minutes), [window]).unwrap()
    }

    fn rate(consumption: &Consumption, now: i64) -> Option<f64> {
        consumption.rate(Minutes::FIVE_HOURS, Duration::from_hours(6), at(now))
    }

    #[test]
    fn what_is_used_between_two_readings_makes_a_rate() {
        let mut consumption = Consumption::default();
        assert_eq!(rate(&consumption, 0), None);
        consumption.add(Some(&reading(0, 10.0, 300)), &reading(60, 30.0, 300));
        consumption.add(Some(&reading(60, 30.0, 300)), &reading(120, 40.0, 300));
        assert_eq!(rate(&consumption, 120), Some(30.0), "30 points in the hour that was seen");
        assert_eq!(rate(&consumption, 180), Some(15.0));
        assert_eq!(rate(&consumption, 24 * 60), None, "long ago");
    }

    #[test]
    fn a_window_that_reset_counts_neither_down_nor_up() {
        let mut consumption = Consumption::default();
        consumption.add(Some(&reading(0, 90.0, 30)), &reading(60, 5.0, 330));
        consumption.add(None, &reading(60, 5.0, 330));
        consumption.add(Some(&reading(60, 5.0, 330)), &reading(60, 50.0, 330));
        assert!(consumption.is_empty());
    }

    #[test]
    fn a_day_is_remembered() {
        let mut consumption = Consumption::default();
        for hour in 0..100 {
            consumption.add(
                Some(&reading(60 * hour, 1.0, 60 * hour + 99)),
                &reading(60 * hour + 1, 2.0, 60 * hour + 99),
            );
        }
        assert_eq!(consumption.0[&300].len(), HOURS);
        consumption.tidy(at(60 * 200));
        assert!(consumption.is_empty());
    }
}
