//! Removing a login from the volume: confirmed first, and another account serves before it is gone.

use auth_volume::Locked;
use auth_volume::masters::{Master, Unusable};
use cli::exit::{Exit, Failure, OrExit as _};
use durable_file::private_file::NotRead;
use issuer::Issuer;
use records::audit::AuditAction;
use records::grant::{Grant, GrantEnd, GrantStatus};
use records::published::{self, PublishedRecord};
use records::state::Parked;
use records::{AccountId, Login, Slot, remedy};
use rotation::reading;

use crate::args::RemoveArgs;
use crate::confirmation::Confirmation;
use crate::operator::Operator;
use crate::outcome::Outcome;

impl Operator<'_> {
    /// Removes a login, and marks its grant as ended wherever it turns up. Its account is parked before that: a removal
    /// that is killed half-way leaves an account that does not serve and can be removed again or unparked.
    pub(crate) fn remove(&self, RemoveArgs { slot, yes, revoke }: &RemoveArgs) -> Result<Outcome, Failure> {
        let (slot, revoke) = (*slot, *revoke);
        let before = self.volume.master(slot);
        if let Some(login) = self.fed_login(slot, &before)? {
            return self.remove_fed(slot, &login, *yes);
        }
        let named = self.described(&before)?;
        if !yes {
            confirm(slot, &named, revoke)?;
        }
        if revoke {
            self.revoke(slot, &before)?;
        }
        let (locked, operator) = self.lock()?;
        let login = self.still_there(slot, &before)?;
        let others = self.other_logins(slot);
        let sole = login.as_ref().filter(|login| is_sole(login, &others));
        if let Some(login) = sole {
            operator.park_for_removal(&locked, login)?;
        }
        let ended = match &login {
            Some(login) => operator.end_grants(&locked, slot, login, &others)?,
            None => Vec::new(),
        };
        locked.remove(slot, operator.now).map_err(|e| {
            for grant in &ended {
                locked.revive_grant(grant);
            }
            let e = Failure::from(e);
            Failure { error: e.error.context(format!("{named} is parked, and its file stays")), ..e }
        })?;
        if let Some(login) = sole {
            locked.update_state(|state| state.forget(&login.account))?;
        }
        let fed = login.as_ref().map(|login| reading::fed_slots_of(&login.account)).unwrap_or_default();
        let entry = operator.entry(AuditAction::Removed, Some(slot), login.map(|login| login.account));
        let written = locked.append_to_audit(&entry);
        let also = fed.first().map_or_else(String::new, |slot| format!("; {}", reading::unset(*slot)));
        let message = format!("{named} is removed{also}");
        let serving = operator.serve(locked, operator.read()?, None)?;
        written?;
        Ok(Outcome { changed: Some(AuditAction::Removed), slot: Some(slot), message, until: None, serving })
    }

    /// The login that the environment feeds into a slot without a file.
    fn fed_login(&self, slot: Slot, master: &Master) -> Result<Option<Login>, Failure> {
        if !matches!(master.login, Err(Unusable::File(NotRead::Missing))) {
            return Ok(None);
        }
        let pool = self.read()?.pool;
        let candidate = pool.slots.into_iter().find(|candidate| candidate.slot == slot);
        Ok(candidate.and_then(|candidate| candidate.login.ok()))
    }

    /// Keeps a login of the environment from serving. The variables can only be unset where they were set.
    fn remove_fed(&self, slot: Slot, login: &Login, yes: bool) -> Result<Outcome, Failure> {
        let named = self.named(slot, login);
        if !yes {
            confirm(slot, &named, false)?;
        }
        let (locked, operator) = self.lock()?;
        operator.park_for_removal(&locked, login)?;
        operator.end_grants(&locked, slot, login, &[])?;
        locked.update_state(|state| state.forget(&login.account))?;
        let entry = operator.entry(AuditAction::Removed, Some(slot), Some(login.account.clone()));
        let written = locked.append_to_audit(&entry);
        let message = format!(
            "{named} does not serve any more, and the environment still has its tokens: {}",
            reading::unset(slot)
        );
        let serving = operator.serve(locked, operator.read()?, None)?;
        written?;
        Ok(Outcome { changed: Some(AuditAction::Removed), slot: Some(slot), message, until: None, serving })
    }

    /// Marks as ended the grant of a login and those that the environment feeds of its account, unless another slot has
    /// the same one. Gives those that had not ended before.
    fn end_grants(
        &self,
        locked: &Locked<'_>,
        slot: Slot,
        login: &Login,
        others: &[Login],
    ) -> Result<Vec<Grant>, Failure> {
        let known = self.volume.grants()?;
        let mut ended = Vec::new();
        let fed = reading::fed_grants_of(&login.account);
        for grant in fed.into_iter().chain([login.grant()]) {
            if !others.iter().any(|other| other.grant() == grant) {
                locked.end_grant(&grant, slot, &GrantEnd::Removed, self.now)?;
                if !matches!(known.status(&grant, self.now), GrantStatus::Ended(_)) {
                    ended.push(grant);
                }
            }
        }
        Ok(ended)
    }

    /// The login in a slot, which must still be the one whose removal was confirmed.
    fn still_there(&self, slot: Slot, before: &Master) -> Result<Option<Login>, Failure> {
        let master = self.volume.master(slot);
        if account(&master) == account(before) {
            return Ok(master.login.ok());
        }
        let error = format!("{slot} was changed meanwhile: see accounts");
        Err(Failure::new(Exit::TryAgain, error))
    }

    /// Revokes a login, once another account serves. No lock is held while the issuer is waited for.
    fn revoke(&self, slot: Slot, before: &Master) -> Result<(), Failure> {
        let (locked, operator) = self.lock()?;
        let Some(login) = self.still_there(slot, before)? else { return Ok(()) };
        if is_sole(&login, &self.other_logins(slot)) {
            operator.park_for_removal(&locked, &login)?;
        }
        drop(locked);
        let issuer = Issuer::from_environment().or_exit(Exit::BadConfig)?;
        if let Err(why) = issuer.revoke(login.refresh_token.as_ref().unwrap_or(&login.access_token)) {
            let unpark = remedy::unpark(slot);
            let error = format!(
                "{slot} was not removed, because the issuer did not revoke it ({why}): it is parked; try again, leave \
                 --revoke out, or run {unpark}"
            );
            return Err(Failure::new(Exit::TryAgain, error));
        }
        let (locked, operator) = self.lock()?;
        locked.end_grant(&login.grant(), slot, &GrantEnd::Removed, operator.now)?;
        Ok(locked.append_to_audit(&operator.entry(AuditAction::Revoked, Some(slot), Some(login.account)))?)
    }

    fn other_logins(&self, slot: Slot) -> Vec<Login> {
        let masters = self.volume.masters().unwrap_or_default().into_iter();
        masters.filter(|other| other.slot != slot).filter_map(|other| other.login.ok()).collect()
    }

    fn described(&self, master: &Master) -> Result<String, Failure> {
        match &master.login {
            Ok(login) => Ok(self.named(master.slot, login)),
            Err(Unusable::File(NotRead::Missing)) => Err(self.not_there(master.slot)),
            Err(why) => Ok(format!("{} ({why})", master.slot)),
        }
    }

    /// Parks the account and has another one serve, before its tokens can stop working.
    fn park_for_removal(&self, locked: &Locked<'_>, login: &Login) -> Result<(), Failure> {
        let mut reading = self.read()?;
        let parked = Parked { until: None, reason: Some("being removed".to_owned()) };
        reading.pool.state.accounts.entry(login.account.clone()).or_default().parked.get_or_insert(parked);
        locked.store_state(&reading.pool.state)?;
        reading.stored = Some(reading.pool.state.clone());
        self.pass(locked, reading)?;
        if self.volume.published() == PublishedRecord::Account(login.account.clone()) {
            // No other account can serve, and the tokens of this one must not stay published.
            let replaced = locked.publish(&published::placeholder(), self.access)?;
            let keep = |found: &[u8]| {
                let is_ours = PublishedRecord::judge(found).is_well_formed();
                if is_ours { Ok(()) } else { locked.keep_found(self.now, found).map(drop) }
            };
            replaced.as_ref().map_or(Ok(()), |replaced| keep(&replaced.content))?;
            locked.end_aside(replaced).map_or(Ok(()), |late| keep(&late))?;
        }
        Ok(())
    }
}

fn is_sole(login: &Login, others: &[Login]) -> bool {
    !others.iter().any(|other| other.account == login.account)
}

fn account(master: &Master) -> Option<&AccountId> {
    master.login.as_ref().ok().map(|login| &login.account)
}

fn confirm(slot: Slot, named: &str, revoke: bool) -> Result<(), Failure> {
    let and_revoke = if revoke { " and end its login at the issuer" } else { "" };
    let remove = remedy::remove(slot);
    Confirmation {
        question: format!("remove {named}{and_revoke}? Only a new sign-in brings it back."),
        without_terminal: format!("{remove} --yes removes {named}"),
        declined: format!("nothing was removed: {slot} is as it was"),
    }
    .ask()
}
