//! The part of a pass that serves: under the lock, what signals, logins and state mean is carried out.
//!
//! The order matters: tokens are stored before a record is published, the record is published before the state says which
//! account is in use, and signals are removed last. If a process is killed in between, the next pass can go on from there.

use std::collections::{BTreeMap, BTreeSet};

use auth_volume::grants::Grants;
use auth_volume::signal_files::SignalFile;
use auth_volume::{Locked, VolumeError};
use durable_file::Access;
use durable_file::private_file::PrivateFile;
use judgement::assess::{Assessment, Turn, assess};
use judgement::counting::count;
use judgement::decide::decide;
use judgement::due::Due;
use judgement::models::served_by;
use judgement::plan::{Plan, Reason};
use judgement::policy::PassOptions;
use judgement::pool::Pool;
use records::published;
use records::signal::Signal;
use records::state::State;
use records::{Slot, Timestamp, remedy};

use crate::reading::Reading;
use crate::recover::recover_tokens;

/// The outcome of serving.
#[derive(Debug)]
pub struct Served {
    pub plan: Plan,
    /// The logins to refresh.
    pub due: Vec<Due>,
    /// An error with LiteLLM's directory stops only what needs that directory.
    pub live_directory: Result<(), VolumeError>,
}

/// What became of the published record.
#[derive(Debug, Default)]
pub(crate) struct Replacement {
    /// What it has replaced, if that is worth a look.
    pub(crate) before: Option<PrivateFile>,
    /// It is another one than before.
    pub(crate) is_new: bool,
}

/// A pass that holds the lock.
#[derive(Clone, Copy)]
pub struct Serving<'a> {
    pub(crate) locked: &'a Locked<'a>,
    pub(crate) options: &'a PassOptions,
    pub(crate) access: Access,
    pub(crate) log: &'a dyn Fn(String),
    pub(crate) turn: Turn,
    pub(crate) now: Timestamp,
}

impl Serving<'_> {
    /// Carries out what a reading of the volume and the signals mean, in an order that a crash cannot break.
    ///
    /// # Errors
    /// The volume cannot be written. The last published record is still there.
    pub fn carry_out(self, reading: Reading, mut signals: Vec<SignalFile>) -> Result<Served, VolumeError> {
        let Reading { mut pool, stored, is_state_broken, state_note, grants, too_open, notes } = reading;
        if self.turn == Turn::First {
            state_note.into_iter().chain(notes).for_each(self.log);
            self.narrow(too_open);
            self.tidy_grants(&pool, &grants)?;
        }
        let found = self.found_beside_the_logins();
        for found in &found {
            pool = recover_tokens(self.locked, pool, found, self.now, self.log)?;
        }
        let (plan, due) = self.judge(&mut pool, &signals);
        let published = match self.publish(&mut pool, &plan) {
            Ok(Replacement { before, is_new }) => {
                pool = self.recover_replaced(pool, before, &found)?;
                Ok(is_new)
            }
            Err(e) => {
                if !self.is_published(&plan) {
                    leave_for_the_next_pass(&mut pool.state, &mut signals);
                }
                Err(e)
            }
        };
        let published =
            published.and_then(|is_new| Ok(self.publish_lanes(&mut pool.state, &plan)? || is_new));
        let has_new_record = published.as_ref().is_ok_and(|is_new| *is_new);
        let summary = pool.summary(self.now).document();
        let published = published
            .and(self.publish_models(&served_by(&pool, &plan, self.now)))
            .and(self.locked.publish_pool(&summary, self.access));
        if self.turn == Turn::First && !self.options.offline {
            self.locked.tidy_usage_files(self.now);
        }
        // Also if it is the same as before: lane-mirror is woken by it, and must find the new record. A placeholder, with
        // which nothing is to be remembered, can wait.
        let stored = stored.filter(|state| !has_new_record || *state == State::default());
        self.remember(&mut pool.state, stored.as_ref(), is_state_broken)?;
        let live_directory = published.and(self.locked.end_signals(signals));
        Ok(Served { plan, due, live_directory })
    }

    /// What is to be done, and what is due. Puts what the signals say into the pool's state.
    fn judge(self, pool: &mut Pool, signals: &[SignalFile]) -> (Plan, Vec<Due>) {
        let signals = self.new_signals(pool, signals);
        let Assessment { interpretation, due, policy } =
            assess(pool, &signals, self.options, self.turn, self.now);
        interpretation.lines.into_iter().for_each(self.log);
        let plan = decide(pool, &policy, self.now);
        let is_last = match self.turn {
            Turn::First => due.is_empty(),
            Turn::Again { is_last } => is_last,
        };
        if is_last {
            self.log_passed_over(&plan);
        }
        // That there is no account is counted by the rotator only, and only after its refreshes.
        if plan.chosen.is_some() || is_last && !self.options.offline {
            let mut counters = std::mem::take(&mut pool.state.counters);
            count(&mut counters, pool, &plan, &policy, self.now);
            pool.state.counters = counters;
        }
        (plan, due)
    }

    /// Whether the record of the chosen account is in its place, though an error came after that: signals that asked for
    /// another account have been carried out then.
    fn is_published(self, plan: &Plan) -> bool {
        let published = self.locked.volume().published_bytes();
        plan.chosen
            .as_ref()
            .is_some_and(|chosen| published.is_ok_and(|it| it == published::record(&chosen.login)))
    }

    /// Stores tokens that another program has written into the record before it was replaced.
    fn recover_replaced(
        self,
        mut pool: Pool,
        replaced: Option<PrivateFile>,
        found: &[Vec<u8>],
    ) -> Result<Pool, VolumeError> {
        if let Some(new) = replaced.as_ref().filter(|replaced| !found.contains(&replaced.content)) {
            pool = recover_tokens(self.locked, pool, &new.content, self.now, self.log)?;
        }
        match self.locked.end_aside(replaced) {
            Some(late) => recover_tokens(self.locked, pool, &late, self.now, self.log),
            None => Ok(pool),
        }
    }

    /// Writes the state, if it is not the stored one.
    fn remember(
        self,
        state: &mut State,
        stored: Option<&State>,
        is_state_broken: bool,
    ) -> Result<(), VolumeError> {
        state.tidy(self.now);
        if is_state_broken {
            self.locked.set_state_aside()?;
        }
        if stored == Some(state) { Ok(()) } else { self.locked.store_state(state) }
    }

    fn narrow(self, too_open: Vec<Slot>) {
        for slot in too_open {
            (self.log)(match self.locked.narrow(slot) {
                Ok(()) => format!("{slot}: others could read its file: narrowed to its owner"),
                Err(e) => format!("{slot}: others can read its file: {e}"),
            });
        }
    }

    /// Brings the markers of grants up to date with the logins.
    fn tidy_grants(self, pool: &Pool, grants: &Grants) -> Result<(), VolumeError> {
        for marker in grants.out_of_reach(self.locked, self.now) {
            (self.log)(format!(
                "another writer has been refreshing {} since {}, and its lock does not reach ours: two rotators on one \
                 volume? see {}",
                marker.slot,
                marker.since,
                remedy::DOCTOR
            ));
        }
        let logins = pool.slots.iter().filter_map(|slot| Some((slot, slot.login.as_ref().ok()?)));
        for (candidate, login) in logins.clone() {
            // A marker for what a state says that was written before grants had markers.
            if pool.state.account_state(&login.account).unanswered == Some(login.grant()) {
                drop(self.locked.permit_sending(&login.grant(), candidate.slot, None, self.now)?);
            }
        }
        if !grants.is_empty() {
            let by_slot: BTreeMap<_, _> =
                logins.clone().map(|(candidate, login)| (candidate.slot, login)).collect();
            self.locked.end_used_grants(grants, &by_slot, self.now);
            let kept = logins.map(|(_, login)| login.grant()).collect();
            self.locked.forget_ended_grants(grants, pool.slots.len(), &kept);
        }
        Ok(())
    }

    /// What a program with a refresh token of its own may have written in the place of the published record: first what a
    /// pass that died had replaced, then what is there now. In a live directory of its own nothing is looked for.
    fn found_beside_the_logins(self) -> Vec<Vec<u8>> {
        if !self.locked.volume().is_one_directory() {
            return Vec::new();
        }
        [self.locked.volume().aside_bytes(), self.locked.volume().published_bytes()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The signals that no pass has handled. The pool's state has all of them as handled afterwards.
    fn new_signals(self, pool: &mut Pool, signals: &[SignalFile]) -> Vec<Signal> {
        let is_new = |file: &&SignalFile| !pool.state.handled_signals.contains(&file.name());
        let new: Vec<_> = signals.iter().filter(is_new).map(|file| file.signal.clone()).collect();
        if !signals.is_empty() {
            pool.state.handled_signals = signals.iter().map(SignalFile::name).collect();
        }
        if new.iter().any(|signal| matches!(signal, Signal::Unreadable { .. })) {
            (self.log)(
                "the signal could not be read: kept as rotate-now.unreadable, treated as one without content"
                    .to_owned(),
            );
        }
        new
    }

    fn log_passed_over(self, plan: &Plan) {
        for (slot, reason) in &plan.passed_over {
            if !matches!(reason, Reason::NotItsTurn | Reason::Cooling(_) | Reason::Parked(_)) {
                (self.log)(format!("{slot} passed over: {}", reason.line(*slot)));
            }
        }
    }
}

/// If nothing could be published, the signals that ask for another account have not been handled: the next pass does it.
fn leave_for_the_next_pass(state: &mut State, signals: &mut Vec<SignalFile>) {
    let undone = signals.extract_if(.., |file| file.signal.asks_to_move_on());
    let undone: BTreeSet<_> = undone.map(|file| file.name()).collect();
    state.handled_signals.retain(|handled| !undone.contains(handled));
}
