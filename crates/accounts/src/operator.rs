//! How an operator's change takes effect: under the lock, on disk before it is reported, and at once.
//!
//! The state is stored first, because the next pass would undo a park that was lost; then the audit; then a pass
//! chooses and publishes. That pass refreshes nothing, so that no command of an operator waits for the network. If only
//! a refresh can help, the rotator is woken to do it.

use auth_volume::{Locked, Volume, clock};
use cli::exit::{Exit, Failure};
use cli::log;
use durable_file::Access;
use judgement::assess::Turn;
use judgement::plan::Plan;
use judgement::policy::PassOptions;
use judgement::pool::Pool;
use judgement::{due, report};
use records::audit::{Actor, AuditAction, AuditEntry};
use records::signal::Signal;
use records::state::State;
use records::{AccountId, Login, Naming, Slot, Timestamp, remedy};
use rotation::pass::Pass;
use rotation::reading::{self, Reading};

use crate::COMMAND;
use crate::outcome::{NamedSlot, NowServing, Outcome};

/// Who makes a change, where, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Operator<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) options: PassOptions,
    pub(crate) access: Access,
    pub(crate) naming: Naming,
    pub(crate) by: Actor,
    pub(crate) now: Timestamp,
}

/// A change of the state, with its line in the audit and what is reported of it.
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) entry: AuditEntry,
    pub(crate) message: String,
}

impl Operator<'_> {
    /// Takes the lock. The operator that comes with it has the time at which it was taken, which is that of the change.
    pub(crate) fn lock(&self) -> Result<(Locked<'_>, Operator<'_>), Failure> {
        let locked = self.volume.lock()?;
        for note in locked.notes() {
            log::line(COMMAND, note);
        }
        Ok((locked, Operator { now: clock::now(), ..self.clone() }))
    }

    pub(crate) fn read(&self) -> Result<Reading, Failure> {
        Ok(reading::read(self.volume, self.now)?)
    }

    /// Stores a change and writes it into the audit; then the best account serves.
    pub(crate) fn carry_out(
        &self,
        locked: Locked<'_>,
        mut reading: Reading,
        change: Change,
    ) -> Result<Outcome, Failure> {
        let Change { state, entry, message } = change;
        if std::mem::take(&mut reading.is_state_broken) {
            locked.set_state_aside()?;
        }
        locked.store_state(&state)?;
        let written = locked.append_to_audit(&entry);
        reading.pool.state = state.clone();
        reading.stored = Some(state);
        // After these two changes the operator expects the account to serve.
        let expected =
            entry.slot.filter(|_| matches!(entry.what, AuditAction::Pinned | AuditAction::Unparked));
        let serving = self.serve(locked, reading, expected)?;
        written.map_err(|e| {
            let e = Failure::from(e);
            let error = e.error.context(format!("{message}; but the audit could not be written"));
            Failure { error, ..e }
        })?;
        Ok(Outcome { changed: Some(entry.what), slot: entry.slot, message, until: entry.until, serving })
    }

    /// Makes a pass that keeps the active account if it can, and wakes the rotator if that is not enough.
    pub(crate) fn serve(
        &self,
        locked: Locked<'_>,
        reading: Reading,
        expected: Option<Slot>,
    ) -> Result<NowServing, Failure> {
        let waits = expected.is_some_and(|slot| self.waits_for_refresh(&reading.pool, slot));
        let plan = self.pass(&locked, reading)?;
        // The rotator waits for the lock otherwise.
        drop(locked);
        let rotator_woken = (waits || plan.chosen.is_none()) && self.wake();
        let why_none =
            plan.chosen.is_none().then(|| report::nothing_chosen(&plan, None, self.volume.layout().auth()));
        let account =
            plan.chosen.map(|chosen| NamedSlot { slot: chosen.slot, name: self.naming.of(&chosen.login) });
        Ok(NowServing { account, why_none, rotator_woken })
    }

    /// Whether an account can serve only after the rotator has refreshed it.
    fn waits_for_refresh(&self, pool: &Pool, slot: Slot) -> bool {
        let mut slots = pool.slots.iter();
        slots.find(|candidate| candidate.slot == slot).is_some_and(|candidate| {
            let is_live = candidate.login.as_ref().is_ok_and(|login| login.is_live(self.now));
            !is_live && due::is_due(pool, candidate, self.options.refresh_before, self.now)
        })
    }

    /// Chooses and publishes; refreshes nothing. The change stands even if the record cannot be published.
    pub(crate) fn pass(&self, locked: &Locked<'_>, reading: Reading) -> Result<Plan, Failure> {
        let options = &PassOptions { offline: true, ..self.options.clone() };
        let log = |line| log::line(COMMAND, line);
        let pass = Pass { volume: self.volume, options, access: self.access, log: &log, served: &|_| () };
        let served = pass.under(locked, Turn::First, self.now).carry_out(reading, Vec::new())?;
        served.live_directory?;
        Ok(served.plan)
    }

    fn wake(&self) -> bool {
        let woken = self.volume.wake(&Signal::accounts_changed(self.now));
        if let Err(e) = &woken {
            log::line(COMMAND, format_args!("the rotator was not woken, and acts at its next tick: {e}"));
        }
        woken.is_ok()
    }

    /// The login in a slot, whose account is the one that the operator means by its number.
    pub(crate) fn login<'w>(&self, pool: &'w Pool, slot: Slot) -> Result<&'w Login, Failure> {
        let candidate = pool.slots.iter().find(|candidate| candidate.slot == slot);
        let Some(candidate) = candidate else { return Err(self.not_there(slot)) };
        candidate.login.as_ref().map_err(|why| {
            let (mends, removes) = (why.remedy(slot), remedy::remove(slot));
            let or = if mends == removes { String::new() } else { format!(", or {removes}") };
            Failure::new(Exit::Failed, format!("{slot} is broken ({why}): run {mends}{or}"))
        })
    }

    pub(crate) fn not_there(&self, slot: Slot) -> Failure {
        let directory = self.volume.layout().auth().display();
        let file = slot.file_name();
        Failure::new(
            Exit::Failed,
            format!("no {file} in {directory}: accounts shows the slots that are there"),
        )
    }

    pub(crate) fn named(&self, slot: Slot, login: &Login) -> String {
        format!("{slot} ({})", self.naming.of(login))
    }

    pub(crate) fn entry(
        &self,
        what: AuditAction,
        slot: Option<Slot>,
        account: Option<AccountId>,
    ) -> AuditEntry {
        AuditEntry { at: self.now, what, slot, account, until: None, why: None, by: self.by.clone() }
    }
}
