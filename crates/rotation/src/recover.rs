//! Recovering tokens that another program has written into the published record: a LiteLLM that still had a refresh token,
//! or the predecessor.

use auth_volume::{Locked, VolumeError};
use judgement::candidate::Candidate;
use judgement::pool::Pool;
use judgement::recovery::{Destination, destination};
use records::grant::GrantStatus;
use records::{Login, Slot, Timestamp};

/// Stores a login that was found in `auth.json` where it belongs, and returns the pool with it. One that belongs nowhere is
/// kept in a file of its own.
///
/// # Errors
/// The volume cannot be written.
pub(crate) fn recover_tokens(
    locked: &Locked<'_>,
    pool: Pool,
    bytes: &[u8],
    now: Timestamp,
    log: &dyn Fn(String),
) -> Result<Pool, VolumeError> {
    let Ok(found) = Login::parse(bytes) else { return Ok(pool) };
    if found.refresh_token.is_none() || has_ended(locked, &found, now) {
        return Ok(pool);
    }
    match destination(&pool, &found) {
        Destination::Known => {
            let mut logins = pool.slots.iter().flat_map(|slot| &slot.login);
            if !logins.any(|login| login.refresh_token == found.refresh_token) {
                log(format!("what auth.json held is kept in {}", locked.keep_found(now, bytes)?.display()));
            }
            Ok(pool)
        }
        Destination::Older(slot) => {
            log(format!("auth.json holds newer tokens of {slot}: stored in its master"));
            store(locked, pool, slot, found, now)
        }
        Destination::Free(slot) => {
            log(format!("auth.json holds a login that no slot has: it is {slot} now"));
            store(locked, pool, slot, found, now)
        }
    }
}

fn has_ended(locked: &Locked<'_>, found: &Login, now: Timestamp) -> bool {
    let grants = locked.volume().grants();
    matches!(grants.map(|grants| grants.status(&found.grant(), now)), Ok(GrantStatus::Ended(_)))
}

fn store(
    locked: &Locked<'_>,
    mut pool: Pool,
    slot: Slot,
    found: Login,
    now: Timestamp,
) -> Result<Pool, VolumeError> {
    let master = locked.volume().master_bytes(slot).unwrap_or_default();
    if !master.is_empty() {
        // The signature of a token cannot be checked here. If the found login is a forgery, the old one is still there.
        locked.keep_beside(slot, &master, now)?;
    }
    locked.install(slot, &found.merged_into(&master, now))?;
    let mut slots = std::mem::take(&mut pool.slots);
    slots.retain(|candidate| candidate.slot != slot && candidate.is_stored);
    let login = Ok(Login { last_refresh: Some(now), ..found });
    slots.push(Candidate { slot, login, grant: GrantStatus::Good, is_stored: true });
    slots.sort_unstable_by_key(|candidate| candidate.slot);
    Ok(pool.with_slots(slots))
}
