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
    /// Another account serves once a window of the one in use is used up to this percentage. Without it only a refusal
    /// moves the pool on.
    pub rotate_at: Option<Percent>,
    pub reserves: Reserves,
}

/// How much of each account's windows stays with its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserves {
    /// Of the accounts that have none of their own.
    pub common: Percent,
    /// By the slot of the account.
    pub own: BTreeMap<Slot, Percent>,
}

impl Default for Reserves {
    fn default() -> Self {
        Self { common: Percent::NONE, own: BTreeMap::new() }
    }
}

impl Reserves {
    fn of(&self, slot: Slot) -> Percent {
        self.own.get(&slot).copied().unwrap_or(self.common)
    }
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

    /// Until when only its owner may use the account of a slot: until the window resets whose reserve is reached.
    #[must_use]
    pub fn reserved_until(&self, slot: Slot, usage: Option<&Usage>, now: Timestamp) -> Option<Timestamp> {
        let reserve = Some(self.reserves.of(slot)).filter(|reserve| *reserve > Percent::NONE)?;
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

/// How much an account has left, beside other accounts: the part of its fullest window, times what its plan holds.
#[must_use]
pub fn left(usage: Option<&Usage>, plan: Option<&str>, now: Timestamp) -> f64 {
    let used = used(usage, now).unwrap_or(Percent::NONE).percent();
    (100.0 - used).max(0.0) * weight(plan)
}

/// What a window of a plan holds beside one of Plus, roughly, as the provider's public price list has it. A plan that is
/// not known counts as Plus.
fn weight(plan: Option<&str>) -> f64 {
    match plan {
        Some("free") => 0.1,
        Some("go") => 0.5,
        Some("pro") => 6.0,
        _ => 1.0,
    }
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

    fn reserving(common: f64, own: &[(Slot, f64)]) -> Quota {
        let percent = |number| Percent::new(number).unwrap();
        let own = own.iter().map(|(slot, number)| (*slot, percent(*number))).collect();
        Quota { rotate_at: None, reserves: Reserves { common: percent(common), own } }
    }

    #[test]
    fn a_reserve_holds_until_the_window_resets_that_reaches_it() {
        let quota = reserving(10.0, &[]);
        let until = |usage: &Usage| quota.reserved_until(Slot::FIRST, Some(usage), now());
        assert_eq!(until(&usage(89.0, 10.0)), None);
        assert_eq!(until(&usage(90.0, 10.0)), Some(now().plus_seconds(600)));
        assert_eq!(until(&usage(90.0, 91.0)), Some(now().plus_seconds(6000)));
        assert_eq!(quota.reserved_until(Slot::FIRST, None, now()), None);
        assert_eq!(Quota::default().reserved_until(Slot::FIRST, Some(&usage(100.0, 100.0)), now()), None);
    }

    #[test]
    fn a_reserve_of_an_accounts_own_counts_for_it_and_the_common_one_for_the_others() {
        let second = "2".parse().unwrap();
        let usage = usage(60.0, 10.0);
        let is_reserved = |quota: &Quota, slot| quota.reserved_until(slot, Some(&usage), now()).is_some();
        let quota = reserving(10.0, &[(second, 50.0)]);
        assert_eq!((is_reserved(&quota, Slot::FIRST), is_reserved(&quota, second)), (false, true));
        let quota = reserving(50.0, &[(second, 0.0)]);
        assert_eq!((is_reserved(&quota, Slot::FIRST), is_reserved(&quota, second)), (true, false));
    }

    #[test]
    fn a_larger_plan_has_more_left_of_the_same_percentage() {
        let left = |plan| left(Some(&usage(50.0, 10.0)), Some(plan), now());
        assert!(left("pro") > left("plus") && left("plus") > left("free"));
        assert!((left("a plan of next year") - left("plus")).abs() < 1e-9);
    }
}
