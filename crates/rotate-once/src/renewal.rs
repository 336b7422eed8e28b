//! Renewing tokens before they end: which logins are due (pure), and doing it so that nothing is lost.

use std::time::Duration;

use auth_volume::state::{NeedsLogin, Standing};
use auth_volume::{AccountId, Locked, Login, Slot, Timestamp, Volume, VolumeError};
use issuer::{Answer, Issuer, Tokens};
use nix::sys::signal::{SigSet, Signal};

use crate::absorb::{Absorbed, needs_login};
use crate::decide::{Candidate, World};

/// As old as codex itself lets tokens grow whose end is not known.
const OLDEST: Duration = Duration::from_hours(8 * 24);

/// How long a failed refresh is not repeated, however often the rotator is woken.
const PAUSE: Duration = Duration::from_mins(5);

/// How many a pass renews at the most: the others are due at the next one, and meanwhile the lock is free.
const MOST: usize = 20;

/// How long an account whose access token was refused is left alone when it could not be renewed.
const REFUSED: Duration = Duration::from_mins(5);

/// A login to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) slot: Slot,
    /// Whether because its access token was refused, and not because it ends.
    pub(crate) refused: bool,
}

/// The logins to renew now, the account in use first, then by when they end.
pub(crate) fn due(world: &World, absorbed: &Absorbed, before: Duration, now: Timestamp) -> Vec<Due> {
    let active = world.active().map(|active| active.slot);
    let mut due: Vec<_> = world
        .slots
        .iter()
        .filter_map(|candidate| {
            let login = candidate.login.as_ref().ok()?;
            let refused = absorbed.refused.contains(&login.account);
            let is_due =
                is_worth_it(world, candidate, login, now) && (refused || is_near_its_end(login, before, now));
            let rank = (active != Some(candidate.slot), !refused, login.expiry, candidate.slot);
            is_due.then_some((rank, Due { slot: candidate.slot, refused }))
        })
        .collect();
    due.sort_unstable_by_key(|(rank, _)| *rank);
    due.into_iter().map(|(_, due)| due).take(MOST).collect()
}

fn is_worth_it(world: &World, candidate: &Candidate, login: &Login, now: Timestamp) -> bool {
    let grant = login.grant();
    let Standing { needs_login, parked, unanswered, refresh_failed, .. } =
        world.state.standing(&login.account);
    login.refresh_token.is_some()
        && world.holder(&login.account).is_some_and(|holder| holder.slot == candidate.slot)
        && needs_login.is_none_or(|dead| dead.grant != grant)
        && parked.is_none_or(|parked| parked.until.is_some())
        // The answer that never came may have used the grant up: asking again could end the whole family.
        && !(unanswered.is_some_and(|asked| asked == grant) && login.is_live(now))
        && refresh_failed.is_none_or(|failed| now.since(failed) >= PAUSE)
}

fn is_near_its_end(login: &Login, before: Duration, now: Timestamp) -> bool {
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

/// Renews one login after the other and gives the world as it is then.
///
/// Before the issuer is asked there is room for its answer, and a marker that says who was asked about. The
/// answer is on the disk before anything else is done with it.
///
/// # Errors
/// The volume cannot be written; nothing was asked for that could not be stored.
pub(crate) fn renew(
    locked: &Locked<'_>,
    volume: &Volume,
    issuer: &Issuer,
    mut world: World,
    due: &[Due],
    now: Timestamp,
    log: &dyn Fn(String),
) -> Result<World, VolumeError> {
    for Due { slot, refused } in due {
        let Some(at) = world.slots.iter().position(|candidate| candidate.slot == *slot) else { continue };
        let Ok(login) = world.slots[at].login.clone() else { continue };
        let Some(refresh_token) = &login.refresh_token else { continue };

        let room = locked.reserve(*slot)?;
        let mut standing =
            Standing { unanswered: Some(login.grant()), ..world.state.standing(&login.account) };
        world.state.accounts.insert(login.account.clone(), standing.clone());
        locked.remember(&world.state)?;

        let held = HeldSignals::hold();
        let answer = issuer.refresh(refresh_token);
        let goes_on = matches!(answer, Answer::Renewed(_) | Answer::Dead(_) | Answer::NotNow(_));
        match answer {
            Answer::Renewed(tokens) => {
                let renewed = with(&login, tokens, now);
                // Not read before: what the lock protects is what is there now.
                let master = volume.master_bytes(*slot).unwrap_or_default();
                room.install(&renewed.renewed(&master, now))?;
                log(format!("{slot} refreshed ({})", renewed.expires()));
                standing = Standing {
                    unanswered: None,
                    needs_login: None,
                    refresh_failed: None,
                    renewed_for_401: refused.then(|| renewed.grant()),
                    ..standing
                };
                world.slots[at] = Candidate { slot: *slot, login: Ok(renewed), is_stored: true };
            }
            Answer::Dead(code) => {
                log(needs_login(*slot, &code));
                let dead = NeedsLogin { grant: login.grant(), since: now, code };
                standing = Standing { unanswered: None, needs_login: Some(dead), ..standing };
            }
            Answer::NotNow(why) | Answer::NotSent(why) => {
                log(format!("{slot} not refreshed: {why}; its refresh token is as good as before"));
                standing = Standing { unanswered: None, refresh_failed: Some(now), ..standing };
            }
            Answer::Unanswered(why) => {
                let until = login.expiry.map_or_else(String::new, |expiry| format!(", until {expiry}"));
                log(format!(
                    "{slot} may have been refreshed, but no answer came ({why}): left alone while its access token lives{until}"
                ));
                standing = Standing { refresh_failed: Some(now), ..standing };
            }
        }
        drop(held);
        if *refused && world.slots[at].login.as_ref().is_ok_and(|now| now.grant() == login.grant()) {
            standing.cooldown = standing.cooldown.or(Some(auth_volume::state::Cooldown {
                until: now.plus(REFUSED),
                kind: auth_volume::state::Kind::Transient,
                source: auth_volume::state::Source::Floor,
            }));
        }
        world.state.accounts.insert(login.account.clone(), standing);
        if !goes_on {
            // The network is gone; the others would wait for it in vain, and the lock with them.
            break;
        }
    }
    let World { slots, state, published, .. } = world;
    Ok(World::new(slots, state, published))
}

/// The login with its new tokens; what the issuer did not send stays.
fn with(login: &Login, tokens: Tokens, now: Timestamp) -> Login {
    let Tokens { access_token, refresh_token, id_token } = tokens;
    let refresh_token = refresh_token.or_else(|| login.refresh_token.clone());
    let id_token = id_token.or_else(|| login.id_token.clone());
    let account_id = Some(login.account.account_id.as_str());
    let renewed = Login::of_tokens(access_token, refresh_token, id_token, account_id);
    let renewed = renewed.expect("an account id was given");
    Login { last_refresh: Some(now), ..renewed }
}

/// Keeps SIGTERM and its like waiting while an answer is on its way: what was issued must be stored.
struct HeldSignals(Option<SigSet>);

impl HeldSignals {
    fn hold() -> Self {
        let stop: SigSet =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
        Self(stop.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}
