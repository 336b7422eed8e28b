//! How much of an account's usage is left, and from when on another account serves in its place before it is refused.

use std::collections::BTreeMap;

use records::usage::{Percent, Usage};
use records::{Slot, Timestamp};

/// How far below the threshold an account must be for the pool to move to it: without a gap two accounts that are near it
/// would serve in turns.
const GAP: f64 = 5.0;

/// From which usage on the pool moves on, and what is left to an account's owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    /// Another account serves once a window of the active one is used up to this percentage; none: only a refusal moves it.
    pub rotate_at: Option<Percent>,
    /// The percentage of each window that stays with the account's owner.
    pub reserve: Reserve,
}

/// What stays with the owners of accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reserve {
    /// Of slots that are not named.
    pub others: Option<Percent>,
    /// Of slots by their numbers.
    pub of_slots: BTreeMap<Slot, Percent>,
}

impl Quota {
    /// Whether an account is used up so far that another one is to serve.
    #[must_use]
    pub fn is_above(&self, usage: Option<&Usage>, now: Timestamp) -> bool {
        self.rotate_at.is_some_and(|bound| used(usage, now).is_some_and(|used| used >= bound))
    }

    /// Whether an account is far enough from the threshold for the pool to move to it. One without a reading is: it may
    /// have been idle for long.
    #[must_use]
    pub fn has_room(&self, usage: Option<&Usage>, now: Timestamp) -> bool {
        let bound = self.rotate_at.and_then(|bound| Percent::new((bound.percent() - GAP).max(0.0)));
        bound.is_none_or(|bound| used(usage, now).is_none_or(|used| used < bound))
    }

    /// Until when only its owner may use an account: until the window resets whose reserve is reached.
    #[must_use]
    pub fn reserved_until(&self, slot: Slot, usage: Option<&Usage>, now: Timestamp) -> Option<Timestamp> {
        let reserve = self.reserve.of_slots.get(&slot).copied().or(self.reserve.others)?;
        let windows =
            usage.into_iter().flat_map(|usage| usage.running(now).map(move |window| (usage.at, window)));
        let reached =
            windows.filter(|(_, window)| window.used_percent.percent() >= 100.0 - reserve.percent());
        reached.map(|(at, window)| window.end(at)).max()
    }
}

/// How much of its fullest window an account has used; unknown without a reading that still holds.
#[must_use]
pub fn used(usage: Option<&Usage>, now: Timestamp) -> Option<Percent> {
    usage?.running(now).map(|window| window.used_percent).max()
}

#[cfg(test)]
mod tests {
    use records::usage::{Minutes, Window};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_000_000)
    }

    fn usage(five_hours: f64, week: f64) -> Usage {
        let window = |minutes, used, resets| Window {
            minutes,
            used_percent: Percent::new(used).unwrap(),
            resets_at: Some(now().plus_seconds(resets)),
        };
        let windows = [window(Minutes::FIVE_HOURS, five_hours, 600), window(Minutes::WEEK, week, 6000)];
        Usage::reported(now(), windows).unwrap()
    }

    fn quota(rotate_at: f64) -> Quota {
        Quota { rotate_at: Percent::new(rotate_at), ..Quota::default() }
    }

    #[test]
    fn the_fullest_window_counts() {
        assert!(quota(95.0).is_above(Some(&usage(95.0, 10.0)), now()));
        assert!(quota(95.0).is_above(Some(&usage(10.0, 99.0)), now()));
        assert!(!quota(95.0).is_above(Some(&usage(94.9, 10.0)), now()));
        assert!(!Quota::default().is_above(Some(&usage(100.0, 100.0)), now()));
    }

    #[test]
    fn a_window_that_has_reset_counts_no_more() {
        let later = now().plus_seconds(700);
        assert!(!quota(95.0).is_above(Some(&usage(100.0, 10.0)), later));
        assert_eq!(used(Some(&usage(100.0, 10.0)), later), Percent::new(10.0));
        assert_eq!(used(None, now()), None);
    }

    #[test]
    fn the_pool_moves_only_to_an_account_with_a_gap_below_the_threshold() {
        assert!(quota(95.0).has_room(Some(&usage(89.9, 10.0)), now()));
        assert!(!quota(95.0).has_room(Some(&usage(90.0, 10.0)), now()));
        assert!(quota(95.0).has_room(None, now()), "of an idle account nothing is known");
    }

    #[test]
    fn a_reserve_holds_until_the_window_resets_that_reaches_it() {
        let reserve = Reserve {
            others: Percent::new(10.0),
            of_slots: BTreeMap::from([("2".parse().unwrap(), Percent::new(50.0).unwrap())]),
        };
        let quota = Quota { rotate_at: None, reserve };
        let until =
            |slot: &str, usage: &Usage| quota.reserved_until(slot.parse().unwrap(), Some(usage), now());
        assert_eq!(until("1", &usage(89.0, 10.0)), None);
        assert_eq!(until("1", &usage(90.0, 10.0)), Some(now().plus_seconds(600)));
        assert_eq!(until("1", &usage(90.0, 91.0)), Some(now().plus_seconds(6000)));
        assert_eq!(until("2", &usage(50.0, 10.0)), Some(now().plus_seconds(600)));
    }
}
