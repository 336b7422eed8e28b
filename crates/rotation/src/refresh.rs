//! Refreshing one login so that nothing is lost, whatever happens to the network, to the disk or to this process.
//!
//! Under the volume's lock the master is proven replaceable, space is reserved for the next one, and a marker says which
//! grant is being sent. No lock is held while the issuer is waited for. The answer is on the disk, in the reserved space,
//! before anything else is done with it; then the lock is taken again, and the new master takes its place.

mod answer;
mod storing;

use std::time::Duration;

use auth_volume::grants::SendPermit;
use auth_volume::reserved_master::ReservedMaster;
use auth_volume::{Locked, Volume, VolumeError, clock};
use issuer::{Answer, Issuer};
use judgement::due::Due;
use records::counters::{RefreshReason, RefreshResult};
use records::grant::GrantStatus;
use records::state::AccountState;
use records::{Login, Slot};

use crate::reading;

/// How long storing an answer is tried. Together with the request this is less than the grace period of a pod.
const STORING_PATIENCE: Duration = Duration::from_secs(8);

/// How long after its marker was written a grant may be sent. A process that stood still for longer may have been given up
/// for dead, and the volume may belong to another one by now.
const SENDING_PATIENCE: Duration = Duration::from_secs(10);

/// What came of a refresh.
#[derive(Debug)]
pub struct RefreshReport {
    /// As what it is counted; `None` if nothing was sent.
    pub result: Option<RefreshResult>,
    /// A line for the log about each event.
    pub lines: Vec<String>,
    /// Whether the next login may be refreshed, too. If the network or the issuer is in trouble, others would wait in vain
    /// or lose their grants to it.
    pub goes_on: bool,
}

/// What a refresh needs.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    pub volume: &'a Volume,
    pub issuer: &'a Issuer,
    /// How long before its end a login is due.
    pub before: Duration,
}

/// A refresh that may be sent.
struct PreparedRefresh {
    login: Login,
    /// The bytes of the master, of which the next one keeps everything but the tokens.
    master: Vec<u8>,
    reserved: ReservedMaster,
    permit: SendPermit,
}

impl Refresh<'_> {
    /// Refreshes one login, unless its slot has another one by now. `sending` is called just before the request.
    #[must_use]
    pub fn run(&self, due: &Due, sending: impl FnOnce()) -> RefreshReport {
        match self.prepare(due) {
            Ok(Some(prepared)) => {
                sending();
                let token = prepared.login.refresh_token.clone().expect("without one it is not prepared");
                let delay = prepared.permit.age();
                let answer = if delay > SENDING_PATIENCE {
                    Answer::NotSent(format!(
                        "this process stood still for {} s before it sent it",
                        delay.as_secs()
                    ))
                } else {
                    self.issuer.refresh(&token)
                };
                self.conclude(due, prepared, answer)
            }
            Ok(None) => RefreshReport { result: None, lines: Vec::new(), goes_on: true },
            Err(e) => self.report_not_sent(due, &e),
        }
    }

    /// Takes the right to send the grant, and makes sure that an answer can be stored.
    ///
    /// The right comes first: a refresh on another node, where our lock does not reach, may have put a new login in its
    /// place since this one was read, and the proof would put the old one back.
    fn prepare(&self, due: &Due) -> Result<Option<PreparedRefresh>, VolumeError> {
        let locked = self.volume.lock()?;
        if self.volume.is_restored() {
            return Err(VolumeError::Restored);
        }
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
        let permit = locked.permit_sending(&due.grant, due.slot, again, now)?;
        let Some(permit) = permit else { return Ok(None) };
        let reserved = self.reserve(&locked, due, candidate.is_stored);
        match reserved {
            Ok(Some((master, reserved))) => {
                Ok(Some(PreparedRefresh { login: login.clone(), master, reserved, permit }))
            }
            // The marker of the earlier request has been replaced by this one, which must stay.
            Ok(None) | Err(_) if again.is_some() => reserved.map(|_| None),
            Ok(None) => permit.withdraw(&locked).map(|()| None),
            Err(e) => {
                // If the marker cannot be removed, the login waits until its access token ends, though nothing was sent.
                let _ = permit.withdraw(&locked);
                Err(e)
            }
        }
    }

    /// The bytes of the master, and space for the next one; `None` if the slot has another login by now.
    fn reserve(
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

    /// An error with one slot stops no other refresh. It is kept in the state, so that it can be shown.
    fn report_not_sent(&self, due: &Due, e: &VolumeError) -> RefreshReport {
        let slot = due.slot;
        let mut lines = vec![format!("{slot} not refreshed: {e}; its refresh token was not sent")];
        if matches!(e, VolumeError::CannotReplace { .. }) {
            let updated = self.update(slot, |account_state| {
                account_state.refresh_failed = Some(clock::now());
                account_state.not_storable = Some(e.to_string());
            });
            lines.extend(updated.err().map(|e| e.to_string()));
        }
        RefreshReport {
            result: None,
            lines,
            goes_on: !matches!(e, VolumeError::Locked(..) | VolumeError::Restored),
        }
    }

    fn update(&self, slot: Slot, change: impl FnOnce(&mut AccountState)) -> Result<(), VolumeError> {
        let locked = self.volume.lock()?;
        let Ok(login) = self.volume.master(slot).login else { return Ok(()) };
        locked.update_state(|state| change(state.accounts.entry(login.account).or_default()))
    }

    /// Writers hold the lock for milliseconds. One that is stopped must not cost an answer.
    fn lock_patiently(&self) -> Result<Locked<'_>, VolumeError> {
        self.volume.lock_within(STORING_PATIENCE)
    }
}
