//! Refreshing one login so that nothing is lost, whatever happens: to the network, to the disk, to this process.
//!
//! Under the volume's lock the file that will be replaced is proven replaceable, room is taken for what will come, and
//! a marker says which grant is being sent. No lock is held while the issuer is waited for. The answer is on the disk,
//! in its room, before anything else is done with it; then the lock is taken again and it takes its place.

use std::thread::sleep;
use std::time::{Duration, Instant};

use auth_volume::grants::SendPermit;
use auth_volume::reserved_master::ReservedMaster;
use auth_volume::{Locked, Volume, VolumeError, clock};
use issuer::{Answer, Issuer, Tokens};
use judgement::cooldown::REFUSED_COOLDOWN;
use judgement::due::{Due, is_near_its_end};
use judgement::phrases::{needs_login, with_remedy};
use records::counters::{RefreshReason, RefreshResult};
use records::grant::{GrantEnd, GrantStatus};
use records::state::{
    AccountState, Cooldown, CooldownKind, CooldownSource, NeedsLogin, RefreshRefusal, State,
};
use records::{Login, Slot, Timestamp, remedy};

use crate::reading;

/// How long an answer that cannot be stored is kept in memory and tried again: with the request itself less than the
/// grace of a pod that is told to stop.
const GRACE: Duration = Duration::from_secs(8);

/// How often it is tried.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What came of it.
#[derive(Debug)]
pub struct RefreshReport {
    /// What was counted of it; none if nothing was sent.
    pub result: Option<RefreshResult>,
    /// A line for the log about each thing that happened.
    pub said: Vec<String>,
    /// Whether the next login may be refreshed, too. Else the network or the issuer is in trouble, and others would wait
    /// in vain or lose their grants to it.
    pub goes_on: bool,
}

/// What a refresh needs.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    /// Where the logins are.
    pub volume: &'a Volume,
    /// Who refreshes them.
    pub issuer: &'a Issuer,
    /// How long before its end a login is due.
    pub before: Duration,
}

/// A refresh that may be sent.
struct Begun {
    login: Login,
    /// The master's bytes, which the new one keeps but for its tokens.
    master: Vec<u8>,
    room: ReservedMaster,
    permit: SendPermit,
}

impl Refresh<'_> {
    /// Refreshes one login, unless it is no longer the one that is meant. `sending` is called just before it is sent.
    #[must_use]
    pub fn one(&self, due: &Due, sending: impl FnOnce()) -> RefreshReport {
        match self.begin(due) {
            Ok(Some(begun)) => {
                sending();
                let token = begun.login.refresh_token.clone().expect("without one it is not begun");
                let answer = self.issuer.refresh(&token);
                self.conclude(due, begun, answer)
            }
            Ok(None) => RefreshReport { result: None, said: Vec::new(), goes_on: true },
            Err(e) => self.not_begun(due, &e),
        }
    }

    /// Takes the right to send the grant, and makes sure that an answer can be stored.
    ///
    /// The right comes first: on another node, where our lock does not reach, a refresh may have put a new login in its
    /// place since this one was read, and the proof would put the old one back.
    fn begin(&self, due: &Due) -> Result<Option<Begun>, VolumeError> {
        let locked = self.volume.lock()?;
        let now = clock::now();
        let Some(candidate) = reading::read_slot(self.volume, due.slot, now)? else { return Ok(None) };
        let Ok(login) = &candidate.login else { return Ok(None) };
        if login.refresh_token.is_none() || login.grant() != due.grant {
            return Ok(None);
        }
        let on_purpose = due.reason == RefreshReason::Operator;
        let again = match &candidate.grant {
            GrantStatus::Good => None,
            GrantStatus::Unanswered(marker) if on_purpose || !login.is_live(now) => Some(marker),
            _ => return Ok(None),
        };
        let Some(permit) = locked.permit_sending(&due.grant, due.slot, again, now)? else { return Ok(None) };
        let prepared = self.prepare(&locked, due, candidate.is_stored);
        match prepared {
            Ok(Some((master, room))) => Ok(Some(Begun { login: login.clone(), master, room, permit })),
            // The marker of an earlier request has gone into this one, which stays in its place.
            Ok(None) | Err(_) if again.is_some() => prepared.map(|_| None),
            Ok(None) => permit.withdraw(&locked).map(|()| None),
            Err(e) => {
                // One that cannot be removed says too much: the login waits until its access token ends.
                let _ = permit.withdraw(&locked);
                Err(e)
            }
        }
    }

    /// The bytes of the master that is to be replaced, if it is still the one that is meant, and room for the next.
    fn prepare(
        &self,
        locked: &Locked<'_>,
        due: &Due,
        is_stored: bool,
    ) -> Result<Option<(Vec<u8>, ReservedMaster)>, VolumeError> {
        let mut master = Vec::new();
        if is_stored {
            master = self.volume.master_bytes(due.slot).unwrap_or_default();
            if Login::parse(&master).map(|login| login.grant()).ok() != Some(due.grant.clone()) {
                return Ok(None);
            }
            locked.prove_replaceable(due.slot, &master)?;
        }
        Ok(Some((master, locked.reserve(due.slot)?)))
    }

    /// One slot in trouble stops nobody else's refresh, and is remembered for those who look.
    fn not_begun(&self, due: &Due, e: &VolumeError) -> RefreshReport {
        let slot = due.slot;
        let mut said = vec![format!("{slot} not refreshed: {e}; its refresh token was not sent")];
        if matches!(e, VolumeError::CannotReplace { .. }) {
            let remembered = self.update(slot, |account_state| {
                account_state.refresh_failed = Some(clock::now());
                account_state.not_storable = Some(e.to_string());
            });
            said.extend(remembered.err().map(|e| e.to_string()));
        }
        RefreshReport { result: None, said, goes_on: !matches!(e, VolumeError::Locked(..)) }
    }

    fn update(&self, slot: Slot, change: impl FnOnce(&mut AccountState)) -> Result<(), VolumeError> {
        let locked = self.volume.lock()?;
        let Ok(login) = self.volume.master(slot).login else { return Ok(()) };
        locked.update_state(|state| change(state.accounts.entry(login.account).or_default()))
    }

    fn conclude(&self, due: &Due, begun: Begun, answer: Answer) -> RefreshReport {
        match answer {
            Answer::Refreshed(tokens) => self.store(due, begun, tokens),
            Answer::Ended(code) => {
                self.note(due, begun, RefreshResult::Ended, true, |account_state, begun| {
                    let grant = begun.login.grant();
                    // Of a token that the provider refused, too, nothing is left.
                    let token_refused = due.reason == RefreshReason::Refused;
                    let dead = NeedsLogin { grant, since: clock::now(), code: code.clone(), token_refused };
                    account_state.needs_login = Some(dead);
                    account_state.refreshing_after_401 = None;
                    (Some(GrantEnd::Refused(code.clone())), needs_login(due.slot, &code))
                })
            }
            Answer::Refused { said, code } => {
                self.note(due, begun, RefreshResult::Failed, true, |account_state, _| {
                    let now = clock::now();
                    // Without a code the status stands for it.
                    let code = code.unwrap_or_else(|| said.clone());
                    let before = account_state.refresh_refused.take().filter(|before| before.code == code);
                    account_state.refresh_refused =
                        Some(before.unwrap_or(RefreshRefusal { code, since: now }));
                    rest(account_state, due.reason, now);
                    let slot = due.slot;
                    (None, format!("{slot} not refreshed: {said}; its refresh token is as good as before"))
                })
            }
            Answer::NotSent(why) => {
                self.note(due, begun, RefreshResult::Failed, false, |account_state, _| {
                    rest(account_state, due.reason, clock::now());
                    let slot = due.slot;
                    (None, format!("{slot} not refreshed: {why}; its refresh token is as good as before"))
                })
            }
            Answer::Unanswered(why) => self.unanswered(due, begun, &why),
        }
    }

    /// Notes an answer that brought no tokens: what it means for the account and for its grant, and a line.
    fn note(
        &self,
        due: &Due,
        begun: Begun,
        result: RefreshResult,
        goes_on: bool,
        change: impl FnOnce(&mut AccountState, &Begun) -> (Option<GrantEnd>, String),
    ) -> RefreshReport {
        let noted = (|| {
            let locked = self.lock_patiently()?;
            let mut state = self.volume.stored_state()?.state;
            state.counters.count_refresh(result, due.reason);
            let account = begun.login.account.clone();
            let (end, said) = change(state.accounts.entry(account).or_default(), &begun);
            let Begun { permit, room, .. } = begun;
            room.discard();
            // The marker first: it outlives the state.
            match end {
                Some(end) => permit.end(&locked, &end)?,
                None => permit.withdraw(&locked)?,
            }
            locked.store_state(&state)?;
            Ok::<_, VolumeError>(said)
        })();
        let said =
            noted.unwrap_or_else(|e| format!("{}: what the issuer said cannot be noted: {e}", due.slot));
        RefreshReport { result: Some(result), said: vec![said], goes_on }
    }

    /// The marker stays: it says that the grant may be used up.
    fn unanswered(&self, due: &Due, begun: Begun, why: &str) -> RefreshReport {
        let Begun { login, room, permit, .. } = begun;
        let slot = due.slot;
        let until = login.expiry.map_or_else(String::new, |expiry| format!(", until {expiry}"));
        let mut said = vec![format!(
            "{slot} may have been refreshed, but no answer came ({why}): left alone while its access token lives{until}; \
             {} tries it at once",
            remedy::refresh(slot)
        )];
        let noted = (|| {
            let locked = self.lock_patiently()?;
            room.discard();
            drop(permit);
            locked.update_state(|state| {
                state.counters.count_refresh(RefreshResult::Unanswered, due.reason);
                rest(state.accounts.entry(login.account).or_default(), due.reason, clock::now());
            })
        })();
        said.extend(noted.err().map(|e| e.to_string()));
        RefreshReport { result: Some(RefreshResult::Unanswered), said, goes_on: false }
    }

    /// Stores new tokens. They are durable in their room before the lock is waited for, and kept in memory and tried
    /// again should even that fail.
    fn store(&self, due: &Due, mut begun: Begun, tokens: Tokens) -> RefreshReport {
        let slot = due.slot;
        let now = clock::now();
        let refreshed = with(&begun.login, tokens, now);
        let bytes = refreshed.merged_into(&begun.master, now);
        let give_up = Instant::now() + GRACE;
        let mut said = Vec::new();
        let mut written = begun.room.write(&bytes);
        let (locked, is_placed) = loop {
            let placed = written.and_then(|()| {
                let locked = self.lock_patiently()?;
                let is_placed = self.place(&locked, slot, &mut begun, &refreshed, &bytes, &mut said)?;
                Ok((locked, is_placed))
            });
            match placed {
                Ok(placed) => break placed,
                Err(e) if Instant::now() >= give_up => {
                    said.push(format!(
                        "{slot} was refreshed, and its new tokens cannot be stored: {e}; if they are in no file beside \
                         its master, it needs a login when its access token ends"
                    ));
                    return RefreshReport { result: Some(RefreshResult::Refreshed), said, goes_on: false };
                }
                Err(e) => {
                    let line =
                        format!("{slot} was refreshed, and storing its new tokens is tried again: {e}");
                    if !said.contains(&line) {
                        said.push(line);
                    }
                }
            }
            sleep(TRY_AGAIN);
            // Installing writes it elsewhere, should the room fail again.
            written = Ok(());
        };
        if is_placed {
            said.push(format!("{slot} refreshed ({})", refreshed.expires()));
        }
        let Begun { login, room, permit, .. } = begun;
        if !is_placed {
            room.discard();
        }
        let noted = permit.end(&locked, &GrantEnd::Used).and_then(|()| {
            locked.update_state(|state| {
                state.counters.count_refresh(RefreshResult::Refreshed, due.reason);
                if is_placed {
                    said.extend(self.follow(state, due, &login, &refreshed, now));
                }
            })
        });
        said.extend(noted.err().map(|e| e.to_string()));
        RefreshReport { result: Some(RefreshResult::Refreshed), said, goes_on: true }
    }

    /// Puts new tokens in their place, unless the slot has another login by now. False if it has.
    fn place(
        &self,
        locked: &Locked<'_>,
        slot: Slot,
        begun: &mut Begun,
        refreshed: &Login,
        bytes: &[u8],
        said: &mut Vec<String>,
    ) -> Result<bool, VolumeError> {
        if begun.permit.has_ended() {
            said.push(format!(
                "{slot} was refreshed, but its login was removed or replaced meanwhile: the new tokens are dropped"
            ));
            return Ok(false);
        }
        let is_newer = |there: &Login| {
            there.grant() != begun.login.grant()
                && (there.account != refreshed.account || there.generation() > refreshed.generation())
        };
        if self.volume.master(slot).login.as_ref().is_ok_and(is_newer) {
            let kept = locked.keep_beside(slot, bytes, clock::now())?;
            said.push(format!(
                "{slot} was refreshed, but has a newer login by now: the refreshed one is kept in {kept}"
            ));
            return Ok(false);
        }
        begun.room.install(locked, bytes)?;
        Ok(true)
    }

    /// What is known of an account after a refresh, also when the issuer answered for another one.
    fn follow(
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
            let what = format!("{slot} was {old}, and the issuer answered with tokens of {new}: it rests");
            let or = format!("{} lets it serve", remedy::unpark(slot));
            Some(with_remedy(&what, Some(&remedy::login_replacing(slot)), Some(&or)))
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

    /// Writers hold the lock for milliseconds; one that was stopped must not cost an answer.
    fn lock_patiently(&self) -> Result<Locked<'_>, VolumeError> {
        self.volume.lock_within(GRACE)
    }
}

/// An account whose access token was refused, and that could not be refreshed, lets the others serve.
fn rest(account_state: &mut AccountState, reason: RefreshReason, now: Timestamp) {
    account_state.refresh_failed = Some(now);
    account_state.refreshing_after_401 = None;
    if reason == RefreshReason::Refused {
        let rest = Cooldown {
            until: now.plus(REFUSED_COOLDOWN),
            kind: CooldownKind::Refused,
            source: CooldownSource::Floor,
        };
        account_state.cooldown.get_or_insert(rest);
    }
}

/// Whether two logins are plainly of one person: the same user in another workspace, or one whose user id a token names
/// for the first time.
fn is_same_person(before: &Login, after: &Login) -> bool {
    let (old, new) = (&before.account, &after.account);
    if old.account_id != new.account_id {
        return old.user_id.is_some() && old.user_id == new.user_id;
    }
    let is_same_address = before.email.is_some() && before.email == after.email;
    is_same_address || old.user_id.is_none() || new.user_id.is_none()
}

/// The login with its new tokens; what the issuer did not send stays.
fn with(login: &Login, tokens: Tokens, now: Timestamp) -> Login {
    let Tokens { access_token, refresh_token, id_token } = tokens;
    let access_token = access_token.unwrap_or_else(|| login.access_token.clone());
    let refresh_token = refresh_token.or_else(|| login.refresh_token.clone());
    let id_token = id_token.or_else(|| login.id_token.clone());
    let account_id = Some(login.account.account_id.as_str());
    let refreshed = Login::from_tokens(access_token, refresh_token, id_token, account_id);
    let refreshed = refreshed.expect("an account id was given");
    Login { last_refresh: Some(now), ..refreshed }
}
