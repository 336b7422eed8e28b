//! Storing new tokens: durably, in the place of the old ones, and with what is known of the account.

use std::thread::sleep;
use std::time::{Duration, Instant};

use auth_volume::{Locked, VolumeError, clock};
use issuer::Tokens;
use judgement::due::{Due, is_near_its_end};
use judgement::phrases::with_remedy;
use records::counters::{RefreshReason, RefreshResult};
use records::grant::GrantEnd;
use records::state::{CooldownKind, State};
use records::{Login, Slot, Timestamp, remedy};

use super::{PreparedRefresh, Refresh, RefreshReport, STORING_PATIENCE};

/// How often storing an answer is tried.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// A new master.
struct NewMaster {
    login: Login,
    bytes: Vec<u8>,
}

impl Refresh<'_> {
    /// Stores new tokens, and notes what is known of the account now.
    pub(super) fn store(&self, due: &Due, mut prepared: PreparedRefresh, tokens: Tokens) -> RefreshReport {
        let slot = due.slot;
        let now = clock::now();
        let login = with_tokens(&prepared.login, tokens, now);
        let new = NewMaster { bytes: login.merged_into(&prepared.master, now), login };
        let mut lines = Vec::new();
        let result = Some(RefreshResult::Refreshed);
        let stored = self.store_durably(slot, &mut prepared, &new, &mut lines);
        let Some((locked, is_placed)) = stored else {
            return RefreshReport { result, lines, goes_on: false };
        };
        let PreparedRefresh { login: old, reserved, permit, .. } = prepared;
        if is_placed {
            lines.push(format!("{slot} refreshed ({})", new.login.expires()));
        } else {
            reserved.discard();
        }
        let noted = permit.end(&locked, &GrantEnd::Used).and_then(|()| {
            locked.update_state(|state| {
                state.counters.count_refresh(RefreshResult::Refreshed, due.reason);
                if is_placed {
                    lines.extend(self.update_account(state, due, &old, &new.login, now));
                }
            })
        });
        lines.extend(noted.err().map(|e| e.to_string()));
        RefreshReport { result, lines, goes_on: true }
    }

    /// Writes the new master into the reserved space before the lock is waited for, and then puts it in its place. Should
    /// that fail, the tokens are kept in memory and storing them is tried again. Returns the lock, and whether the new
    /// master is in its place.
    fn store_durably(
        &self,
        slot: Slot,
        prepared: &mut PreparedRefresh,
        new: &NewMaster,
        lines: &mut Vec<String>,
    ) -> Option<(Locked<'_>, bool)> {
        let give_up = Instant::now() + STORING_PATIENCE;
        let mut written = prepared.reserved.write(&new.bytes);
        loop {
            let placed = written.and_then(|()| {
                let locked = self.lock_patiently()?;
                let is_placed = self.place(&locked, slot, prepared, new, lines)?;
                Ok((locked, is_placed))
            });
            match placed {
                Ok(placed) => return Some(placed),
                Err(e) if Instant::now() >= give_up => {
                    lines.push(format!(
                        "{slot} was refreshed, and its new tokens cannot be stored: {e}; if they are in no file beside \
                         its master, it needs a login when its access token ends"
                    ));
                    return None;
                }
                Err(e) => {
                    let line =
                        format!("{slot} was refreshed, and storing its new tokens is tried again: {e}");
                    if !lines.contains(&line) {
                        lines.push(line);
                    }
                }
            }
            sleep(RETRY_EVERY);
            // If writing into the reserved space fails again, installing writes elsewhere.
            written = Ok(());
        }
    }

    /// Puts the new master in its place; false if the slot has another login by now.
    fn place(
        &self,
        locked: &Locked<'_>,
        slot: Slot,
        prepared: &mut PreparedRefresh,
        new: &NewMaster,
        lines: &mut Vec<String>,
    ) -> Result<bool, VolumeError> {
        if prepared.permit.has_ended() {
            lines.push(format!(
                "{slot} was refreshed, but its login was removed or replaced meanwhile: the new tokens are dropped"
            ));
            return Ok(false);
        }
        let is_newer = |there: &Login| {
            there.grant() != prepared.login.grant()
                && (there.account != new.login.account || there.generation() > new.login.generation())
        };
        if self.volume.master(slot).login.as_ref().is_ok_and(is_newer) {
            let kept = locked.keep_beside(slot, &new.bytes, clock::now())?;
            lines.push(format!(
                "{slot} was refreshed, but has a newer login by now: the refreshed one is kept in {kept}"
            ));
            return Ok(false);
        }
        prepared.reserved.install(locked, &new.bytes)?;
        Ok(true)
    }

    /// Updates what is known of an account after a refresh, also if the issuer answered for another account.
    fn update_account(
        &self,
        state: &mut State,
        due: &Due,
        before: &Login,
        after: &Login,
        now: Timestamp,
    ) -> Option<String> {
        let slot = due.slot;
        let (old, new) = (&before.account, &after.account);
        let line = if old == new {
            None
        } else if is_same_person(before, after) {
            state.follow(old, new);
            Some(format!("{slot} is now {new}, and was {old}: its park, pin and cooldown follow"))
        } else {
            state.accounts.entry(new.clone()).or_default().came_from = Some(old.clone());
            let message =
                format!("{slot} was {old}, and the issuer answered with tokens of {new}: it does not serve");
            let or = format!("{} lets it serve", remedy::unpark(slot));
            Some(with_remedy(&message, Some(&remedy::login_replacing(slot)), Some(&or)))
        };
        let account_state = state.accounts.entry(new.clone()).or_default();
        account_state.cooldown.take_if(|cooldown| cooldown.kind == CooldownKind::Refused);
        account_state.needs_login = None;
        account_state.refreshing_after_401 = None;
        account_state.refresh_failed = None;
        account_state.refresh_refused = None;
        account_state.not_storable = None;
        let grant = after.grant();
        account_state.refreshed_after_401 = (due.reason == RefreshReason::Refused).then(|| grant.clone());
        account_state.not_prolonged = is_near_its_end(after, self.before, now).then_some(grant);
        line
    }
}

/// Whether two logins are plainly of one person: the same user in another workspace, or a user id that a token names for
/// the first time.
fn is_same_person(before: &Login, after: &Login) -> bool {
    let (old, new) = (&before.account, &after.account);
    if old.account_id != new.account_id {
        return old.user_id.is_some() && old.user_id == new.user_id;
    }
    let is_same_address = before.email.is_some() && before.email == after.email;
    is_same_address || old.user_id.is_none() || new.user_id.is_none()
}

/// The login with new tokens. Tokens that the issuer did not send stay.
fn with_tokens(login: &Login, tokens: Tokens, now: Timestamp) -> Login {
    let Tokens { access_token, refresh_token, id_token } = tokens;
    let access_token = access_token.unwrap_or_else(|| login.access_token.clone());
    let refresh_token = refresh_token.or_else(|| login.refresh_token.clone());
    let id_token = id_token.or_else(|| login.id_token.clone());
    let account_id = Some(login.account.account_id.as_str());
    let refreshed = Login::from_tokens(access_token, refresh_token, id_token, account_id);
    let refreshed = refreshed.expect("an account id was given");
    Login { last_refresh: Some(now), ..refreshed }
}
