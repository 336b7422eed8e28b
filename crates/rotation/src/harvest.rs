//! Bringing home what somebody else wrote into the published record: a `LiteLLM` that still held a refresh token,
//! or the predecessor.

use auth_volume::{Locked, Login, Slot, Timestamp, Volume, VolumeError, grants};

use crate::decide::{Candidate, World};

/// Where a login found in `auth.json` belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The master of its account, which is older.
    Older(Slot),
    /// A slot of its own: no other has its account.
    Free(Slot),
    /// Nowhere: the master of its account is as new, or newer.
    Known,
}

/// Finds the home of a login, by whose it is and never by who was published last. Pure.
pub(crate) fn home(world: &World, found: &Login) -> Home {
    let holder = world.holder(&found.account).filter(|holder| holder.is_stored);
    if let Some(Candidate { slot, login: Ok(master), .. }) = holder {
        let is_newer = found.generation() > master.generation() && found.grant() != master.grant();
        return if is_newer { Home::Older(*slot) } else { Home::Known };
    }
    let taken: Vec<_> = world.slots.iter().filter(|slot| slot.is_stored).map(|slot| slot.slot).collect();
    Home::Free(Slot::first_free(&taken))
}

/// Stores a login found in `auth.json` where it belongs. One that belongs nowhere is kept in a file of its own.
///
/// # Errors
/// The volume cannot be written.
pub(crate) fn bring_home(
    locked: &Locked<'_>,
    volume: &Volume,
    mut world: World,
    bytes: &[u8],
    now: Timestamp,
    log: &dyn Fn(String),
) -> Result<World, VolumeError> {
    let Ok(found) = Login::parse(bytes) else { return Ok(world) };
    let is_ended =
        || matches!(volume.grants().map(|g| g.standing(&found.grant(), now)), Ok(grants::Standing::Ended(_)));
    if found.refresh_token.is_none() || is_ended() {
        return Ok(world);
    }
    let slot = match home(&world, &found) {
        Home::Known => {
            let mut logins = world.slots.iter().flat_map(|slot| &slot.login);
            if !logins.any(|login| login.refresh_token == found.refresh_token) {
                log(format!("what auth.json held is kept in {}", locked.keep_found(now, bytes)?.display()));
            }
            return Ok(world);
        }
        Home::Older(slot) => {
            log(format!("auth.json holds newer tokens of {slot}: brought home to its master"));
            slot
        }
        Home::Free(slot) => {
            log(format!("auth.json holds a login that no slot has: it is {slot} now"));
            slot
        }
    };
    let master = volume.master_bytes(slot).unwrap_or_default();
    if !master.is_empty() {
        // A signature is nothing that we can check: should it be a forgery, the login is still there.
        locked.keep_beside(slot, &master, now)?;
    }
    locked.install(slot, &found.renewed(&master, now))?;
    let mut slots = std::mem::take(&mut world.slots);
    slots.retain(|candidate| candidate.slot != slot && candidate.is_stored);
    let login = Ok(Login { last_refresh: Some(now), ..found });
    slots.push(Candidate { slot, login, grant: grants::Standing::Good, is_stored: true });
    slots.sort_unstable_by_key(|candidate| candidate.slot);
    Ok(world.with(slots))
}
