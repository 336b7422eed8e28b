//! What an operator says of accounts: park, unpark, pin, unpin, use. Kept by who the account is, never by its slot.

use cli::exit::{Exit, Failure};
use cli::log;
use judgement::policy::PassOptions;
use judgement::report;
use records::Slot;
use records::audit::{Entry, What};
use records::state::Parked;
use rotation::pass::Pass;
use rotation::rotate::rotate;

use crate::COMMAND;
use crate::operator::{Change, Operator};
use crate::outcome::{Named, NowServing, Outcome};

impl Operator<'_> {
    /// Puts an account aside.
    pub(crate) fn park(&self, slot: Slot, parked: Parked) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let until =
            parked.until.map_or_else(|| "until it is unparked".to_owned(), |until| format!("until {until}"));
        let reason = parked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let entry = operator.entry(What::Parked, Some(slot), Some(account.clone()));
        let entry = Entry { until: parked.until, why: parked.reason.clone(), ..entry };
        let mut state = reading.pool.state.clone();
        state.accounts.entry(account).or_default().parked = Some(parked);
        let said = format!("{named} is parked {until}{reason}");
        operator.carry_out(locked, reading, Change { state, entry, said })
    }

    /// Ends an account's park and its cooldown.
    pub(crate) fn unpark(&self, slot: Slot) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let mut state = reading.pool.state.clone();
        if !state.unpark(&account) {
            return Ok(unchanged(Some(slot), format!("{named} was neither parked nor cooling down")));
        }
        let entry = operator.entry(What::Unparked, Some(slot), Some(account));
        let said = format!("{named} may serve again: neither parked nor cooling down");
        operator.carry_out(locked, reading, Change { state, entry, said })
    }

    /// Prefers an account whenever it can be used.
    pub(crate) fn pin(&self, slot: Slot) -> Result<Outcome, Failure> {
        let (locked, operator) = self.lock()?;
        let reading = operator.read()?;
        let login = self.login(&reading.pool, slot)?;
        let (account, named) = (login.account.clone(), self.named(slot, login));
        let mut state = reading.pool.state.clone();
        state.pin = Some(account.clone());
        let entry = operator.entry(What::Pinned, Some(slot), Some(account));
        let said = format!("{named} is pinned: it serves whenever it can");
        operator.carry_out(locked, reading, Change { state, entry, said })
    }

    /// Prefers none.
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
        let entry = operator.entry(What::Unpinned, slot, Some(pinned));
        let said = format!("{named} is no longer pinned");
        operator.carry_out(locked, reading, Change { state, entry, said })
    }

    /// A pass to this slot: it hears signals, and refreshes nothing but this login, if that is needed.
    pub(crate) fn use_now(&self, slot: Slot) -> Result<Outcome, Failure> {
        let options = PassOptions { to: Some(slot), only: Some(slot), ..self.options };
        let log = |line| log::line(COMMAND, line);
        let plan =
            rotate(Pass { volume: self.volume, options, access: self.access, log: &log, served: &|_| () })?;
        let Some(chosen) = &plan.chosen else {
            let why = report::nothing_chosen(&plan, Some(slot), self.volume.layout().auth());
            return Err(Failure::new(Exit::NoUsableAccount, why));
        };
        let (locked, operator) = self.lock()?;
        locked.append_to_audit(&operator.entry(
            What::Used,
            Some(slot),
            Some(chosen.login.account.clone()),
        ))?;
        let by = Some(Named { slot, name: self.naming.of(&chosen.login) });
        Ok(Outcome {
            what: Some(What::Used),
            about: Some(slot),
            said: format!("{} serves from now on", self.named(slot, &chosen.login)),
            until: None,
            served: NowServing { by, ..NowServing::default() },
        })
    }
}

fn unchanged(about: Option<Slot>, said: String) -> Outcome {
    Outcome { what: None, about, said, until: None, served: NowServing::default() }
}
