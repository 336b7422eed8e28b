//! Steering: park, unpark, pin, unpin and use. What is stored belongs to the account, whatever slot it is in.

use cli::exit::{Exit, Failure};
use cli::log;
use judgement::policy::PassOptions;
use judgement::report;
use records::Slot;
use records::audit::{AuditAction, AuditEntry};
use records::state::Parked;
use rotation::pass::Pass;
use rotation::rotate::rotate;

use crate::COMMAND;
use crate::operator::{Change, Operator};
use crate::outcome::{NamedSlot, NowServing, Outcome};

impl Operator<'_> {
    /// Keeps an account from serving, until a time or until it is unparked.
    pub(crate) fn park(&self, slot: Slot, parked: Parked) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let until =
            parked.until.map_or_else(|| "until it is unparked".to_owned(), |until| format!("until {until}"));
        let reason = parked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let entry = operator.entry(AuditAction::Parked, Some(slot), Some(account.clone()));
        let entry = AuditEntry { until: parked.until, why: parked.reason.clone(), ..entry };
        let mut state = reading.pool.state.clone();
        state.accounts.entry(account).or_default().parked = Some(parked);
        let message = format!("{named} is parked {until}{reason}");
        operator.carry_out(locked, reading, Change { state, entry, message })
    }

    /// Ends the park of an account and its cooldown.
    pub(crate) fn unpark(&self, slot: Slot) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let mut state = reading.pool.state.clone();
        if !state.unpark(&account) {
            return Ok(unchanged(Some(slot), format!("{named} was neither parked nor cooling down")));
        }
        let entry = operator.entry(AuditAction::Unparked, Some(slot), Some(account));
        let message = format!("{named} may serve again: neither parked nor cooling down");
        operator.carry_out(locked, reading, Change { state, entry, message })
    }

    /// Prefers an account, which then serves whenever it can.
    pub(crate) fn pin(&self, slot: Slot) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let mut state = reading.pool.state.clone();
        state.pin = Some(account.clone());
        let entry = operator.entry(AuditAction::Pinned, Some(slot), Some(account));
        let message = format!("{named} is pinned: it serves whenever it can");
        operator.carry_out(locked, reading, Change { state, entry, message })
    }

    /// Ends the preference for the pinned account.
    pub(crate) fn unpin(&self) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let mut state = reading.pool.state.clone();
        let Some(pinned) = state.pin.take() else {
            return Ok(unchanged(None, "no account was pinned".to_owned()));
        };
        let holder = reading.pool.holder(&pinned);
        let slot = holder.map(|holder| holder.slot);
        let named = match holder.and_then(|holder| holder.login.as_ref().ok().zip(slot)) {
            Some((login, slot)) => self.named(slot, login),
            None => "an account that is in no slot".to_owned(),
        };
        let entry = operator.entry(AuditAction::Unpinned, slot, Some(pinned));
        let message = format!("{named} is no longer pinned");
        operator.carry_out(locked, reading, Change { state, entry, message })
    }

    /// Makes a pass that chooses this slot. It reads signals, and refreshes no login but this one, if that is needed.
    pub(crate) fn use_now(&self, slot: Slot) -> Result<Outcome, Failure> {
        let options = &PassOptions { to: Some(slot), only: Some(slot), ..self.options.clone() };
        let log = |line| log::line(COMMAND, line);
        let plan =
            rotate(Pass { volume: self.volume, options, access: self.access, log: &log, served: &|_| () })?;
        let Some(chosen) = &plan.chosen else {
            let why = report::nothing_chosen(&plan, Some(slot), self.volume.layout().auth());
            return Err(Failure::new(Exit::NoUsableAccount, why));
        };
        let (locked, operator) = self.lock()?;
        locked.append_to_audit(&operator.entry(
            AuditAction::Used,
            Some(slot),
            Some(chosen.login.account.clone()),
        ))?;
        let account = Some(NamedSlot { slot, name: self.naming.of(&chosen.login) });
        Ok(Outcome {
            changed: Some(AuditAction::Used),
            slot: Some(slot),
            message: format!("{} serves from now on", self.named(slot, &chosen.login)),
            until: None,
            serving: NowServing { account, ..NowServing::default() },
        })
    }
}

fn unchanged(slot: Option<Slot>, message: String) -> Outcome {
    Outcome { changed: None, slot, message, until: None, serving: NowServing::default() }
}
