//! Which logins are to be refreshed now. Pure.

use std::time::Duration;

use auth_volume::counters::Occasion;
use auth_volume::state::{Grant, Standing};
use auth_volume::{AccountId, Login, Slot, Timestamp, grants};

use crate::absorb::Absorbed;
use crate::decide::{Candidate, World};

/// As old as codex itself lets tokens grow whose end is not known.
const OLDEST: Duration = Duration::from_hours(8 * 24);

/// How long a failed refresh is not repeated, however often the rotator is woken.
pub(crate) const PAUSE: Duration = Duration::from_mins(5);

/// How long a refresh is not repeated that did not prolong the access token, at the most.
const IN_VAIN: Duration = Duration::from_hours(4);

/// How many a pass refreshes at the most: the others are due at the next one.
const MOST: usize = 20;

/// A login to refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Where.
    pub slot: Slot,
    /// The grant that is to be sent: a login that has another one meanwhile is not meant.
    pub grant: Grant,
    /// Why.
    pub occasion: Occasion,
}

/// The logins to refresh now, the account in use first, then by when they end.
pub(crate) fn due(world: &World, absorbed: &Absorbed, before: Duration, now: Timestamp) -> Vec<Due> {
    let active = world.active().map(|active| active.slot);
    let mut due: Vec<_> = world
        .slots
        .iter()
        .filter_map(|candidate| {
            let login = candidate.login.as_ref().ok()?;
            let refused = absorbed.refused.contains(&login.account);
            let is_due = if refused {
                is_worth_it(world, candidate, login, now)
            } else {
                is_due(world, candidate, before, now)
            };
            let rank = (active != Some(candidate.slot), !refused, login.expiry, candidate.slot);
            let occasion = if refused { Occasion::Refused } else { Occasion::Expiring };
            is_due.then(|| (rank, Due { slot: candidate.slot, grant: login.grant(), occasion }))
        })
        .collect();
    due.sort_unstable_by_key(|(rank, _)| *rank);
    due.into_iter().map(|(_, due)| due).take(MOST).collect()
}

/// Whether a login is to be refreshed because its end is near.
#[must_use]
pub fn is_due(world: &World, candidate: &Candidate, before: Duration, now: Timestamp) -> bool {
    let Ok(login) = &candidate.login else { return false };
    is_near_its_end(login, before, now)
        && !is_in_vain(world, login, now)
        && is_worth_it(world, candidate, login, now)
}

fn is_worth_it(world: &World, candidate: &Candidate, login: &Login, now: Timestamp) -> bool {
    let Standing { parked, refresh_failed, .. } = world.state.standing(&login.account);
    login.refresh_token.is_some()
        && world.holder(&login.account).is_some_and(|holder| holder.slot == candidate.slot)
        && world.ended_by(candidate).is_none()
        && parked.is_none_or(|parked| parked.until.is_some())
        && match candidate.grant {
            grants::Standing::Good => true,
            // The answer that is not known may have used the grant up: asking again could end the whole family.
            grants::Standing::Unanswered(_) => !login.is_live(now),
            grants::Standing::WithIssuer(_) | grants::Standing::Ended(_) => false,
        }
        && refresh_failed.is_none_or(|failed| now.since(failed) >= PAUSE)
}

/// Whether the last refresh of a login did not move its end out of the time in which it is due, and is so fresh that
/// another one would not either.
fn is_in_vain(world: &World, login: &Login, now: Timestamp) -> bool {
    let Standing { not_prolonged, .. } = world.state.standing(&login.account);
    let (Some(expiry), Some(last)) = (login.expiry, login.last_refresh) else { return false };
    let pause = (expiry.0.since(last) / 2).clamp(PAUSE, IN_VAIN);
    not_prolonged == Some(login.grant()) && now.since(last) < pause
}

pub(crate) fn is_near_its_end(login: &Login, before: Duration, now: Timestamp) -> bool {
    // Logins made in one sitting end together; a part of the lead of each account's own spreads them.
    let spread = before / 4 * spread_of(&login.account) / u32::from(u8::MAX);
    match login.expiry {
        Some(expiry) => expiry.0 <= now.plus(before + spread),
        None => login.last_refresh.is_none_or(|last| now.since(last) >= OLDEST),
    }
}

fn spread_of(account: &AccountId) -> u32 {
    account.to_string().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).into()
}
