//! Taking a login off the volume: asked for twice, and another account serves before it is gone.

use auth_volume::Locked;
use auth_volume::masters::{Master, Unusable};
use cli::exit::{Exit, Failure, OrExit as _};
use durable_file::private_file::NotRead;
use issuer::Issuer;
use records::audit::What;
use records::grant::{Grant, GrantEnd, GrantStatus};
use records::published::{self, PublishedRecord};
use records::state::Parked;
use records::{AccountId, Login, Slot, remedy};
use rotation::reading;

use crate::args::RemoveArgs;
use crate::operator::Operator;
use crate::outcome::Outcome;
use crate::question::Question;

impl Operator<'_> {
    /// Removes a login. Until it is gone its account is parked: whoever is killed in between leaves one that serves
    /// nobody, and that can be removed again or unparked. Its grant is known as ended then, wherever it turns up.
    pub(crate) fn remove(&self, RemoveArgs { slot, yes, revoke }: &RemoveArgs) -> Result<Outcome, Failure> {
        let (slot, revoke) = (*slot, *revoke);
        let asked_about = self.volume.master(slot);
        if let Some(login) = self.fed_by_the_environment(slot, &asked_about)? {
            return self.remove_fed(slot, &login, *yes);
        }
        let named = self.described(&asked_about)?;
        if !yes {
            confirm(slot, &named, revoke)?;
        }
        if revoke {
            self.end_at_the_issuer(slot, &asked_about)?;
        }
        let (locked, operator) = self.lock()?;
        let login = self.still_there(slot, &asked_about)?;
        let others = self.other_logins(slot);
        let sole = login.as_ref().filter(|login| is_in_none_of(&others, login));
        if let Some(login) = sole {
            operator.put_aside(&locked, login)?;
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
            Failure { error: e.error.context(format!("{named} is put aside, and its file stays")), ..e }
        })?;
        if let Some(login) = sole {
            locked.update_state(|state| state.forget(&login.account))?;
        }
        let fed = login.as_ref().map(|login| reading::fed_slots_of(&login.account)).unwrap_or_default();
        let entry = operator.entry(What::Removed, Some(slot), login.map(|login| login.account));
        let written = locked.append_to_audit(&entry);
        let also = fed.first().map_or_else(String::new, |slot| format!("; {}", reading::unset(*slot)));
        let said = format!("{named} is removed{also}");
        let served = operator.serve(locked, operator.read()?, None)?;
        written?;
        Ok(Outcome { what: Some(What::Removed), about: Some(slot), said, until: None, served })
    }

    /// The login that the environment feeds into a slot without a file.
    fn fed_by_the_environment(&self, slot: Slot, master: &Master) -> Result<Option<Login>, Failure> {
        if !matches!(master.login, Err(Unusable::File(NotRead::Missing))) {
            return Ok(None);
        }
        let pool = self.read()?.pool;
        let candidate = pool.slots.into_iter().find(|candidate| candidate.slot == slot);
        Ok(candidate.and_then(|candidate| candidate.login.ok()))
    }

    /// Has a login of the environment serve no more: only who set the variables can take them away.
    fn remove_fed(&self, slot: Slot, login: &Login, yes: bool) -> Result<Outcome, Failure> {
        let named = self.named(slot, login);
        if !yes {
            confirm(slot, &named, false)?;
        }
        let (locked, operator) = self.lock()?;
        operator.put_aside(&locked, login)?;
        operator.end_grants(&locked, slot, login, &[])?;
        locked.update_state(|state| state.forget(&login.account))?;
        let entry = operator.entry(What::Removed, Some(slot), Some(login.account.clone()));
        let written = locked.append_to_audit(&entry);
        let said = format!(
            "{named} serves no more, and the environment still has its tokens: {}",
            reading::unset(slot)
        );
        let served = operator.serve(locked, operator.read()?, None)?;
        written?;
        Ok(Outcome { what: Some(What::Removed), about: Some(slot), said, until: None, served })
    }

    /// Ends the grant of a login, unless another slot has the same one, and those that the environment feeds of it.
    /// Gives those that had not ended before.
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

    /// The login in a slot, which must still be the one that the person was asked about.
    fn still_there(&self, slot: Slot, asked_about: &Master) -> Result<Option<Login>, Failure> {
        let master = self.volume.master(slot);
        if account(&master) == account(asked_about) {
            return Ok(master.login.ok());
        }
        let error = format!("{slot} was changed meanwhile: look at it again with accounts");
        Err(Failure::new(Exit::TryAgain, error))
    }

    /// Tells the issuer that a login has ended, once another account serves. No lock is held while it is waited for.
    fn end_at_the_issuer(&self, slot: Slot, asked_about: &Master) -> Result<(), Failure> {
        let (locked, operator) = self.lock()?;
        let Some(login) = self.still_there(slot, asked_about)? else { return Ok(()) };
        if is_in_none_of(&self.other_logins(slot), &login) {
            operator.put_aside(&locked, &login)?;
        }
        drop(locked);
        let issuer = Issuer::from_environment().or_exit(Exit::BadConfig)?;
        if let Err(why) = issuer.revoke(login.refresh_token.as_ref().unwrap_or(&login.access_token)) {
            let unpark = remedy::unpark(slot);
            let error = format!(
                "{slot} was not removed, for the issuer was not told ({why}): it is put aside; try again, leave \
                 --revoke out, or run {unpark}"
            );
            return Err(Failure::new(Exit::TryAgain, error));
        }
        let (locked, operator) = self.lock()?;
        locked.end_grant(&login.grant(), slot, &GrantEnd::Removed, operator.now)?;
        Ok(locked.append_to_audit(&operator.entry(What::Revoked, Some(slot), Some(login.account)))?)
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
    fn put_aside(&self, locked: &Locked<'_>, login: &Login) -> Result<(), Failure> {
        let mut reading = self.read()?;
        let parked = Parked { until: None, reason: Some("being removed".to_owned()) };
        reading.pool.state.accounts.entry(login.account.clone()).or_default().parked.get_or_insert(parked);
        locked.store_state(&reading.pool.state)?;
        reading.stored = Some(reading.pool.state.clone());
        self.pass(locked, reading)?;
        if self.volume.published() == PublishedRecord::Account(login.account.clone()) {
            // Nobody else can serve, and a token that was taken away must not.
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

fn is_in_none_of(others: &[Login], login: &Login) -> bool {
    !others.iter().any(|other| other.account == login.account)
}

fn account(master: &Master) -> Option<&AccountId> {
    master.login.as_ref().ok().map(|login| &login.account)
}

fn confirm(slot: Slot, named: &str, revoke: bool) -> Result<(), Failure> {
    let and_revoke = if revoke { " and end its login at the issuer" } else { "" };
    let remove = remedy::remove(slot);
    Question {
        asked: format!("remove {named}{and_revoke}? Only a new sign-in brings it back."),
        without_terminal: format!("{remove} --yes removes {named}"),
        declined: format!("nothing was removed: {slot} is as it was"),
    }
    .ask()
}
