//! Where an operator's word takes effect: under the lock, on the disk before it is said, and at once.
//!
//! The order is the rotator's own: the state first, for a park that is forgotten would be undone by the next pass;
//! then the record of it; then a pass that chooses and publishes. That pass renews nothing, so that no command of an
//! operator waits for the network; what can only be mended by a renewal is left to the rotator, which is woken.

use auth_volume::{Locked, Volume, clock};
use cli::exit::{Exit, Failure};
use cli::log;
use durable_file::Access;
use judgement::assess::Turn;
use judgement::plan::Plan;
use judgement::policy::PassOptions;
use judgement::pool::Pool;
use judgement::{due, report};
use records::audit::{By, Entry, What};
use records::signal::Signal;
use records::state::State;
use records::{AccountId, Login, Naming, Slot, Timestamp, remedy};
use rotation::pass::Pass;
use rotation::reading::{self, Reading};

use crate::COMMAND;
use crate::outcome::{Named, NowServing, Outcome};

/// An operator at work.
#[derive(Clone, Debug)]
pub(crate) struct Operator<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) options: PassOptions,
    pub(crate) access: Access,
    pub(crate) naming: Naming,
    pub(crate) by: By,
    pub(crate) now: Timestamp,
}

/// Something that is to become true of the state.
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) entry: Entry,
    pub(crate) said: String,
}

impl Operator<'_> {
    /// The lock, and the operator as of then: what is done is done when the lock was had, however long that took.
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

    /// Stores a change and has whoever is best now serve.
    pub(crate) fn carry_out(
        &self,
        locked: Locked<'_>,
        mut reading: Reading,
        change: Change,
    ) -> Result<Outcome, Failure> {
        let Change { state, entry, said } = change;
        if std::mem::take(&mut reading.is_state_broken) {
            locked.set_state_aside()?;
        }
        locked.store_state(&state)?;
        let written = locked.append_to_audit(&entry);
        reading.pool.state = state.clone();
        reading.stored = Some(state);
        // Only of these the operator wants that they serve.
        let wanted = entry.slot.filter(|_| matches!(entry.what, What::Pinned | What::Unparked));
        let served = self.serve(locked, reading, wanted)?;
        written.map_err(|e| {
            let e = Failure::from(e);
            let error = e.error.context(format!("{said}; but that could not be written down"));
            Failure { error, ..e }
        })?;
        Ok(Outcome { what: Some(entry.what), about: entry.slot, said, until: entry.until, served })
    }

    /// A pass that moves nobody without need, and a call for the rotator where that is not enough.
    pub(crate) fn serve(
        &self,
        locked: Locked<'_>,
        reading: Reading,
        wanted: Option<Slot>,
    ) -> Result<NowServing, Failure> {
        let waits = wanted.is_some_and(|slot| self.waits_for_renewal(&reading.pool, slot));
        let plan = self.pass(&locked, reading)?;
        // The rotator waits for the lock otherwise.
        drop(locked);
        let woke_rotator = (waits || plan.chosen.is_none()) && self.wake();
        let nobody =
            plan.chosen.is_none().then(|| report::nothing_chosen(&plan, None, self.volume.layout().auth()));
        let by = plan.chosen.map(|chosen| Named { slot: chosen.slot, name: self.naming.of(&chosen.login) });
        Ok(NowServing { by, nobody, woke_rotator })
    }

    /// Whether an account cannot serve before the rotator has renewed it.
    fn waits_for_renewal(&self, pool: &Pool, slot: Slot) -> bool {
        let mut slots = pool.slots.iter();
        slots.find(|candidate| candidate.slot == slot).is_some_and(|candidate| {
            let is_live = candidate.login.as_ref().is_ok_and(|login| login.is_live(self.now));
            !is_live && due::is_due(pool, candidate, self.options.refresh_before, self.now)
        })
    }

    /// Chooses and publishes; refreshes nothing. Trouble with LiteLLM's directory undoes no change.
    pub(crate) fn pass(&self, locked: &Locked<'_>, reading: Reading) -> Result<Plan, Failure> {
        let options = PassOptions { offline: true, ..self.options };
        let log = |line| log::line(COMMAND, line);
        let pass = Pass { volume: self.volume, options, access: self.access, log: &log, served: &|_| () };
        let served = pass.under(locked, Turn::First, self.now).carry_out(reading, Vec::new())?;
        served.live_directory?;
        Ok(served.plan)
    }

    fn wake(&self) -> bool {
        let woken = self.volume.wake(&Signal::accounts_changed(self.now));
        if let Err(e) = &woken {
            log::line(
                COMMAND,
                format_args!("the rotator was not woken, and will look at its next tick: {e}"),
            );
        }
        woken.is_ok()
    }

    /// The login in a slot, which is who the operator means by its number.
    pub(crate) fn login<'w>(&self, pool: &'w Pool, slot: Slot) -> Result<&'w Login, Failure> {
        let candidate = pool.slots.iter().find(|candidate| candidate.slot == slot);
        let Some(candidate) = candidate else { return Err(self.not_there(slot)) };
        candidate.login.as_ref().map_err(|why| {
            let (mends, removes) = (why.remedy(slot), remedy::remove(slot));
            let or = if mends == removes { String::new() } else { format!(", or {removes}") };
            Failure::new(Exit::Failed, format!("nobody can say whose {slot} is ({why}): run {mends}{or}"))
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

    pub(crate) fn entry(&self, what: What, slot: Option<Slot>, account: Option<AccountId>) -> Entry {
        Entry { at: self.now, what, slot, account, until: None, why: None, by: self.by.clone() }
    }
}
