//! Renewing tokens before they end: which logins are due (pure), and doing it so that nothing is lost.

use std::time::Duration;

use auth_volume::counters::{Occasion, Refreshed};
use auth_volume::state::{Cooldown, Kind, NeedsLogin, Source, Standing, State};
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
const REST: Duration = Duration::from_mins(5);

/// A login to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Where.
    pub slot: Slot,
    /// Whether because its access token was refused, and not because it ends.
    pub refused: bool,
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
            let is_due = if refused {
                is_worth_it(world, candidate, login, now)
            } else {
                is_due(world, candidate, before, now)
            };
            let rank = (active != Some(candidate.slot), !refused, login.expiry, candidate.slot);
            is_due.then_some((rank, Due { slot: candidate.slot, refused }))
        })
        .collect();
    due.sort_unstable_by_key(|(rank, _)| *rank);
    due.into_iter().map(|(_, due)| due).take(MOST).collect()
}

/// Whether a login is to be renewed because its end is near.
#[must_use]
pub fn is_due(world: &World, candidate: &Candidate, before: Duration, now: Timestamp) -> bool {
    let near = |login: &&Login| is_near_its_end(login, before, now);
    candidate.login.as_ref().ok().filter(near).is_some_and(|login| is_worth_it(world, candidate, login, now))
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

/// What renewing needs of the world outside.
pub(crate) struct Renewal<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) locked: &'a Locked<'a>,
    pub(crate) issuer: Issuer,
    pub(crate) now: Timestamp,
    pub(crate) log: &'a dyn Fn(String),
}

impl Renewal<'_> {
    /// Renews one login after the other and gives the world as it is then. A volume that cannot be written stops
    /// this, and not the pass: the accounts that can serve must be able to.
    pub(crate) fn all(&self, mut world: World, due: &[Due]) -> World {
        for due in due {
            let at = world.slots.iter().position(|candidate| candidate.slot == due.slot);
            let Some(Ok(login)) = at.map(|at| world.slots[at].login.clone()) else { continue };
            let (standing, renewed, goes_on) = match self.one(&mut world.state, *due, &login) {
                Ok(outcome) => outcome,
                Err(e) => {
                    self.say(format!("{} not refreshed: {e}", due.slot));
                    break;
                }
            };
            world.state.accounts.insert(login.account.clone(), standing);
            if let (Some(at), Some(renewed)) = (at, renewed) {
                world.slots[at] = Candidate { slot: due.slot, login: Ok(renewed), is_stored: true };
            }
            if !goes_on {
                // The network is gone; the others would wait for it in vain, and the lock with them.
                break;
            }
        }
        let slots = std::mem::take(&mut world.slots);
        world.with(slots)
    }

    /// Renews one login. Before the issuer is asked there is room for its answer, and a marker that says who was
    /// asked about; the answer is on the disk before anything else is done with it. Gives what is known of the
    /// account then, the renewed login, and whether there is a point in asking for the next.
    ///
    /// # Errors
    /// The volume cannot be written. If that is found after the answer, the marker stays.
    fn one(
        &self,
        state: &mut State,
        Due { slot, refused }: Due,
        login: &Login,
    ) -> Result<(Standing, Option<Login>, bool), VolumeError> {
        let Some(refresh_token) = &login.refresh_token else {
            return Ok((state.standing(&login.account), None, true));
        };
        let master = self.volume.master_bytes(slot).unwrap_or_default();
        let room = self.locked.reserve(slot)?;
        let before = state.standing(&login.account);
        let asked = Standing { unanswered: Some(login.grant()), ..before.clone() };
        state.accounts.insert(login.account.clone(), asked.clone());
        self.locked.remember(state)?;

        let _held = HeldSignals::hold();
        let answer = self.issuer.refresh(refresh_token);
        let result = match answer {
            Answer::Renewed(_) => Refreshed::Renewed,
            Answer::Dead(_) => Refreshed::Dead,
            Answer::NotNow { .. } | Answer::NotSent(_) => Refreshed::NotNow,
            Answer::Unanswered(_) => Refreshed::Unanswered,
        };
        state.counters.refreshed(result, if refused { Occasion::Refused } else { Occasion::Expiring });
        let was_sent = !matches!(answer, Answer::NotSent(_));
        let failed = |standing: Standing| Standing { refresh_failed: Some(self.now), ..standing };
        Ok(match answer {
            Answer::Renewed(tokens) => {
                let renewed = with(login, tokens, self.now);
                room.install(&renewed.renewed(&master, self.now))?;
                self.say(format!("{slot} refreshed ({})", renewed.expires()));
                let renewed_for_401 = refused.then(|| renewed.grant());
                let kept = Standing { needs_login: None, refresh_failed: None, renewed_for_401, ..before };
                (Standing { unanswered: None, ..kept }, Some(renewed), true)
            }
            Answer::Dead(code) => {
                self.say(needs_login(slot, &code));
                let dead = NeedsLogin { grant: login.grant(), since: self.now, code };
                (Standing { unanswered: None, needs_login: Some(dead), ..before }, None, true)
            }
            Answer::NotNow { said: why, .. } | Answer::NotSent(why) => {
                self.say(format!("{slot} not refreshed: {why}; its refresh token is as good as before"));
                (self.rested(failed(before), refused), None, was_sent)
            }
            Answer::Unanswered(why) => {
                let until = login.expiry.map_or_else(String::new, |expiry| format!(", until {expiry}"));
                self.say(format!(
                    "{slot} may have been refreshed, but no answer came ({why}): left alone while its access token \
                     lives{until}"
                ));
                (self.rested(failed(asked), refused), None, false)
            }
        })
    }

    /// An account whose access token was refused, and that could not be renewed, lets the others serve.
    fn rested(&self, standing: Standing, refused: bool) -> Standing {
        let rest = Cooldown { until: self.now.plus(REST), kind: Kind::Transient, source: Source::Floor };
        let cooldown = standing.cooldown.or(refused.then_some(rest));
        Standing { cooldown, ..standing }
    }

    fn say(&self, line: String) {
        (self.log)(line);
    }
}

/// The login with its new tokens; what the issuer did not send stays.
fn with(login: &Login, tokens: Tokens, now: Timestamp) -> Login {
    let Tokens { access_token, refresh_token, id_token } = tokens;
    let access_token = access_token.unwrap_or_else(|| login.access_token.clone());
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
