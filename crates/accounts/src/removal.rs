//! Taking a login off the volume: asked for twice, and another account serves before it is gone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use auth_volume::audit::What;
use auth_volume::exit::{Exit, Failure, OrExit as _};
use auth_volume::private_file::NotRead;
use auth_volume::published::{self, Found};
use auth_volume::state::Parked;
use auth_volume::volume::{Master, Remembered, Unusable};
use auth_volume::{AccountId, Locked, Login, Slot, text};
use issuer::Issuer;

use crate::args::RemoveArgs;
use crate::desk::Desk;
use crate::outcome::Outcome;

impl Desk<'_> {
    /// Removes a login. Until it is gone its account is parked: whoever is killed in between leaves one that serves
    /// nobody, and that can be removed again or unparked.
    pub(crate) fn remove(&self, RemoveArgs { slot, yes, revoke }: &RemoveArgs) -> Result<Outcome, Failure> {
        let (slot, revoke) = (*slot, *revoke);
        let asked_about = self.volume.master(slot);
        let named = self.described(&asked_about)?;
        if !yes {
            confirm(slot, &named, revoke)?;
        }
        let locked = self.volume.lock()?;
        let master = self.volume.master(slot);
        if account(&master) != account(&asked_about) {
            let error = format!("{slot} was changed meanwhile: look at it again with accounts");
            return Err(Failure::new(Exit::TryAgain, error));
        }
        let login = master.login.ok();
        let sole = login.as_ref().filter(|login| self.is_only_in(slot, &login.account));
        if let Some(login) = sole {
            self.put_aside(&locked, login)?;
        }
        if let Some(login) = login.as_ref().filter(|_| revoke) {
            self.revoke(&locked, slot, login)?;
        }
        locked.remove(slot)?;
        if let Some(login) = sole {
            self.forget(&locked, &login.account)?;
        }
        let entry = self.entry(What::Removed, Some(slot), login.map(|login| login.account));
        let written = locked.write_down(&entry);
        let said = format!("{named} is removed");
        let served = self.serve(locked, self.read()?, None)?;
        written?;
        Ok(Outcome { what: Some(What::Removed), about: Some(slot), said, until: None, served })
    }

    fn described(&self, master: &Master) -> Result<String, Failure> {
        match &master.login {
            Ok(login) => Ok(self.named(master.slot, login)),
            Err(Unusable::File(NotRead::Missing)) => Err(self.not_there(master.slot)),
            Err(why) => Ok(format!("{} ({why})", master.slot)),
        }
    }

    fn is_only_in(&self, slot: Slot, account: &AccountId) -> bool {
        let others = self.volume.masters().unwrap_or_default();
        !others.iter().any(|other| other.slot != slot && self::account(other) == Some(account))
    }

    /// Parks the account and has another one serve, before its tokens can stop working.
    fn put_aside(&self, locked: &Locked<'_>, login: &Login) -> Result<(), Failure> {
        let mut reading = self.read()?;
        let parked = Parked { until: None, reason: Some("being removed".to_owned()) };
        reading.world.state.accounts.entry(login.account.clone()).or_default().parked.get_or_insert(parked);
        locked.remember(&reading.world.state)?;
        reading.stored = Some(reading.world.state.clone());
        self.pass(locked, reading)?;
        if self.volume.published() == (Found::Record { account: login.account.clone() }) {
            // Nobody else can serve, and a token that was taken away must not.
            let replaced = locked.publish(&published::placeholder(), self.wish.access)?;
            let keep = |found: &[u8]| {
                let is_ours = Found::judge(found).is_well_formed();
                if is_ours { Ok(()) } else { locked.keep_found(self.now, found).map(drop) }
            };
            replaced.as_ref().map_or(Ok(()), |replaced| keep(&replaced.content))?;
            locked.end_aside(replaced)?.map_or(Ok(()), |late| keep(&late))?;
        }
        Ok(())
    }

    fn revoke(&self, locked: &Locked<'_>, slot: Slot, login: &Login) -> Result<(), Failure> {
        let issuer = Issuer::from_environment().or_exit(Exit::BadConfig)?;
        if let Err(why) = issuer.revoke(login.refresh_token.as_ref().unwrap_or(&login.access_token)) {
            let number = slot.number();
            let error = format!(
                "{slot} was not removed, for the issuer was not told ({why}): it is put aside; try again, leave \
                 --revoke out, or run accounts unpark {number}"
            );
            return Err(Failure::new(Exit::TryAgain, error));
        }
        Ok(locked.write_down(&self.entry(What::Revoked, Some(slot), Some(login.account.clone())))?)
    }

    fn forget(&self, locked: &Locked<'_>, account: &AccountId) -> Result<(), Failure> {
        let Remembered { mut state, .. } = self.volume.remembered()?;
        state.forget(account);
        Ok(locked.remember(&state)?)
    }
}

fn account(master: &Master) -> Option<&AccountId> {
    master.login.as_ref().ok().map(|login| &login.account)
}

/// Asks on the terminal, and takes nothing but a yes for one.
fn confirm(slot: Slot, named: &str, revoke: bool) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let number = slot.number();
        let error = format!("there is no terminal to ask on: accounts remove {number} --yes removes {named}");
        return Err(Failure::new(Exit::Usage, error));
    }
    let and_revoke = if revoke { " and end its login at the issuer" } else { "" };
    let question = format!("remove {named}{and_revoke}? Only a new sign-in brings it back. [y/N] ");
    let asked = io::stderr().write_all(text::line(&question).as_bytes());
    let mut answer = String::new();
    asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).or_exit(Exit::Failed)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("nothing was removed: {slot} is as it was"))),
    }
}
