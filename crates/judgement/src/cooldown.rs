//! Until when a refused account is left alone. Pure.

use std::time::Duration;

use records::Timestamp;
use records::signal::Refusal;
use records::state::{Cooldown, CooldownKind, CooldownSource};

use crate::policy::Floors;

/// The longest cooldown that a provider's time gives: a weekly window, and a day for clocks that differ.
pub const LONGEST_COOLDOWN: Duration = Duration::from_hours(8 * 24);

/// The first cooldown of an account whose access token was refused, also while it is being refreshed.
pub const REFUSED_COOLDOWN: Duration = Duration::from_mins(5);

/// The shortest cooldown that a provider's time gives: a window that resets right now is tried a little later.
const SHORTEST_COOLDOWN: Duration = Duration::from_secs(30);

/// If the reset that a signal names has passed and the signal is younger than this, the clocks differ.
const FRESH_SIGNAL: Duration = Duration::from_mins(5);

/// The cooldown that a refusal means; `None` if the refusal is over by now.
pub(crate) fn cooldown(refusal: &Refusal, at: Timestamp, floors: Floors, now: Timestamp) -> Option<Cooldown> {
    let named = refusal.resets_at.map(|until| (until, CooldownSource::ResetsAt));
    let named = named.or_else(|| refusal.window_resets_at.map(|until| (until, CooldownSource::Headers)));
    let kind =
        if refusal.usage_limit || named.is_some() { CooldownKind::UsageCap } else { CooldownKind::Transient };
    let floor = |kind| {
        let floor = if kind == CooldownKind::UsageCap { floors.cap } else { floors.transient };
        Cooldown { until: now.plus(floor), kind, source: CooldownSource::Floor }
    };
    match named {
        None => Some(floor(kind)),
        Some((until, _)) if until <= now && now.since(at) > FRESH_SIGNAL => None,
        Some((until, _)) if until <= now => Some(floor(CooldownKind::Transient)),
        Some((until, source)) => {
            let until = until.clamp(now.plus(SHORTEST_COOLDOWN), now.plus(LONGEST_COOLDOWN));
            Some(Cooldown { until, kind, source })
        }
    }
}

/// An account's cooldown after another refusal. A floor is a guess: it never prolongs a cooldown that has not ended, or
/// each refusal would postpone the account's return.
pub(crate) fn merged(old: Option<&Cooldown>, new: Cooldown, now: Timestamp) -> Cooldown {
    match old.filter(|old| old.until > now) {
        Some(old) if new.source == CooldownSource::Floor => old.clone(),
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;
    const FLOORS: Floors = Floors { cap: Duration::from_hours(3), transient: Duration::from_mins(5) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(NOW + seconds)
    }

    fn until(refusal: &Refusal, refused_at: i64) -> Option<(i64, CooldownKind, CooldownSource)> {
        let cooldown = cooldown(refusal, at(refused_at), FLOORS, at(0))?;
        Some((cooldown.until.seconds() - NOW, cooldown.kind, cooldown.source))
    }

    #[test]
    fn lasts_until_the_provider_says() {
        let refusal = Refusal {
            usage_limit: true,
            resets_at: Some(at(600)),
            window_resets_at: Some(at(700)),
            ..Refusal::default()
        };
        assert_eq!(until(&refusal, 0), Some((600, CooldownKind::UsageCap, CooldownSource::ResetsAt)));
        let refusal = Refusal { resets_at: None, ..refusal };
        assert_eq!(until(&refusal, 0), Some((700, CooldownKind::UsageCap, CooldownSource::Headers)));
    }

    #[test]
    fn has_a_floor_when_no_time_is_named() {
        let cap = Refusal { usage_limit: true, ..Refusal::default() };
        assert_eq!(until(&cap, 0), Some((3 * 3600, CooldownKind::UsageCap, CooldownSource::Floor)));
        assert_eq!(
            until(&Refusal::default(), 0),
            Some((300, CooldownKind::Transient, CooldownSource::Floor))
        );
    }

    #[test]
    fn is_never_longer_than_eight_days_or_shorter_than_half_a_minute() {
        let resets = |seconds| Refusal { resets_at: Some(at(seconds)), ..Refusal::default() };
        assert_eq!(until(&resets(500_000_000), 0).unwrap().0, 8 * 24 * 3600);
        assert_eq!(until(&resets(1), 0).unwrap().0, 30);
    }

    #[test]
    fn a_reset_that_has_passed_is_over_unless_the_clocks_differ() {
        let refusal = Refusal { resets_at: Some(at(-60)), ..Refusal::default() };
        assert_eq!(until(&refusal, -7200), None);
        assert_eq!(until(&refusal, -1), Some((300, CooldownKind::Transient, CooldownSource::Floor)));
    }

    #[test]
    fn a_guess_does_not_prolong_what_still_runs() {
        let cooldown =
            |seconds, source| Cooldown { until: at(seconds), kind: CooldownKind::UsageCap, source };
        let old = cooldown(600, CooldownSource::ResetsAt);
        assert_eq!(merged(Some(&old), cooldown(10_800, CooldownSource::Floor), at(0)), old);
        assert_eq!(merged(Some(&old), cooldown(900, CooldownSource::ResetsAt), at(0)).until, at(900));
        assert_eq!(merged(Some(&old), cooldown(10_800, CooldownSource::Floor), at(700)).until, at(10_800));
    }
}
