//! When the pool will be exhausted at the rate at which it has been used.

use std::time::Duration;

use records::Timestamp;
use records::consumption::Consumption;
use records::usage::{Minutes, Percent, Usage};

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_hours(6);

/// Beyond this no rate of today says anything.
const HORIZON: Duration = Duration::from_hours(7 * 24);

/// An account that can serve, by what is known of its usage.
#[derive(Clone, Debug)]
pub struct Left<'a> {
    /// What was last read; an account without a reading counts as unused.
    pub usage: Option<&'a Usage>,
}

/// When the last account will be used up, if nothing resets before that and the rate stays.
///
/// Accounts serve one after the other. Each lasts until its first window is full, and is back when that window resets; the
/// pool is exhausted when one is full and none is back.
#[must_use]
pub fn exhausted_at(accounts: &[Left<'_>], consumption: &Consumption, now: Timestamp) -> Option<Timestamp> {
    let rates: Vec<(Minutes, f64)> = [Minutes::FIVE_HOURS, Minutes::WEEK]
        .into_iter()
        .filter_map(|window| Some((window, consumption.rate(window, RATE_OVER, now)?)))
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    if rates.is_empty() || accounts.is_empty() {
        return None;
    }
    let mut end = now;
    let mut back = Vec::new();
    for account in accounts {
        // One that an earlier window's reset has brought back goes on for as long as the pool does.
        if back.iter().any(|reset| *reset <= end) {
            return None;
        }
        let (lasts, reset) = lasts(account, &rates, now)?;
        end = end.plus(lasts);
        back.push(reset);
    }
    let is_back = back.iter().any(|reset| *reset <= end);
    (!is_back && end.since(now) <= HORIZON).then_some(end)
}

/// How long an account lasts at these rates, and when the window resets that ends it.
fn lasts(account: &Left<'_>, rates: &[(Minutes, f64)], now: Timestamp) -> Option<(Duration, Timestamp)> {
    let hours = rates.iter().map(|(window, rate)| {
        let running = account.usage.and_then(|usage| {
            let running = usage.running(now).find(|running| running.minutes == *window)?;
            Some((running.used_percent, running.end(usage.at)))
        });
        let (used, reset) = running.unwrap_or((Percent::NONE, now.plus(window.duration())));
        ((100.0 - used.percent()).max(0.0) / rate, reset)
    });
    let (hours, reset) = hours.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some((Duration::from_secs_f64((hours * 3600.0).min(HORIZON.as_secs_f64() * 2.0)), reset))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use records::usage::Window;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 * 3600 + 60 * minutes)
    }

    fn usage(now: i64, used: f64, resets: i64) -> Usage {
        let window = Window {
            minutes: Minutes::FIVE_HOURS,
            used_percent: Percent::new(used).unwrap(),
            resets_at: Some(at(resets)),
        };
        Usage::reported(at(now), [window]).unwrap()
    }

    /// A pool that used this many points in its first hour, which has just ended.
    fn used_in_an_hour(points: f64) -> Consumption {
        let mut consumption = Consumption::default();
        consumption.add(Some(&usage(0, 0.0, 600)), &usage(59, points, 600));
        consumption
    }

    #[test]
    fn accounts_last_one_after_the_other() {
        let (first, second) = (usage(60, 50.0, 2000), usage(60, 0.0, 2000));
        let accounts = [Left { usage: Some(&first) }, Left { usage: Some(&second) }];
        let end = exhausted_at(&accounts, &used_in_an_hour(50.0), at(60)).unwrap();
        assert_eq!(end, at(60 + 60 + 120), "50 and 100 points at 50 an hour");
    }

    #[test]
    fn an_account_that_is_back_in_time_saves_the_pool() {
        let (first, second) = (usage(60, 50.0, 100), usage(60, 0.0, 2000));
        let accounts = [Left { usage: Some(&first) }, Left { usage: Some(&second) }];
        assert_eq!(exhausted_at(&accounts, &used_in_an_hour(50.0), at(60)), None);
    }

    #[test]
    fn without_a_rate_there_is_no_forecast() {
        let usage = usage(60, 99.0, 600);
        assert_eq!(exhausted_at(&[Left { usage: Some(&usage) }], &Consumption::default(), at(60)), None);
        assert_eq!(exhausted_at(&[], &used_in_an_hour(50.0), at(60)), None);
    }

    proptest! {
        #[test]
        fn more_accounts_never_end_sooner(used in proptest::collection::vec(0.0_f64..100.0, 1..6), points in 1.0_f64..100.0) {
            let readings: Vec<_> = used.iter().map(|used| usage(60, *used, 100_000)).collect();
            let accounts: Vec<_> = readings.iter().map(|usage| Left { usage: Some(usage) }).collect();
            let consumption = used_in_an_hour(points);
            let all = exhausted_at(&accounts, &consumption, at(60));
            let fewer = exhausted_at(&accounts[1..], &consumption, at(60));
            if let (Some(all), Some(fewer)) = (all, fewer) {
                prop_assert!(all >= fewer);
            }
        }
    }
}
