//! One pass: take the signals in, choose, publish; then refresh what is due, and publish what came of that.
//!
//! Serving comes first and waits for nobody: while the issuer is waited for no lock is held, and a signal that comes
//! meanwhile is acted on at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use auth_volume::atomic::Access;
use auth_volume::counters::Occasion;
use auth_volume::exit::{Exit, Failure, OrExit as _};
use auth_volume::grants::Grants;
use auth_volume::private_file::PrivateFile;
use auth_volume::published::{self, Found};
use auth_volume::signal::Signal;
use auth_volume::signal_files::Taken;
use auth_volume::state::{Active, Grant};
use auth_volume::{Locked, Slot, Timestamp, Volume, VolumeError};
use issuer::Issuer;

use crate::absorb::{Absorbed, absorb};
use crate::args::Order;
use crate::cooldown::Floors;
use crate::counting::count;
use crate::decide::{Chosen, MOMENT, Plan, Policy, Purpose, Reason, Why, World, decide};
use crate::due::{Due, due};
use crate::harvest::bring_home;
use crate::refresh::{Refresh, Report};
use crate::stop::HeldSignals;
use crate::world::{self, Reading};

/// How often a signal is looked for while the issuer is waited for.
const LOOK: Duration = Duration::from_millis(1);

/// How long after it acted on a signal a pass acts on the next one, while the issuer is waited for: a writer that never
/// ends costs no more than ten a second.
const FLOOR: Duration = Duration::from_millis(100);

/// What the operator wants of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Which account is next.
    pub order: Order,
    /// A slot that is named, or `None` for the order's own.
    pub to: Option<Slot>,
    /// Only choose and publish, with the logins as they are: nothing is refreshed, nobody is asked.
    pub offline: bool,
    /// Refresh nothing but this slot.
    pub only: Option<Slot>,
    /// How long a refused account rests when nobody says.
    pub floors: Floors,
    /// How long before its end a login is refreshed.
    pub renew_before: Duration,
    /// Who may read what is published.
    pub access: Access,
}

/// What a pass comes to before anything is done: all of it can be shown, and is pure.
#[derive(Debug)]
pub struct Outlook {
    /// What the signals mean.
    pub absorbed: Absorbed,
    /// The logins to refresh.
    pub due: Vec<Due>,
    /// What is chosen by.
    pub policy: Policy,
}

/// Which part of a pass serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first: signals, tick and all.
    First,
    /// Another one after the first, for what came meanwhile.
    Again {
        /// Nothing is refreshed after it.
        is_last: bool,
    },
}

/// What serving came to.
#[derive(Debug)]
pub struct Served {
    /// Who was chosen.
    pub plan: Plan,
    /// The logins to refresh.
    pub due: Vec<Due>,
    /// Trouble with LiteLLM's directory, which stops nothing but what needs it.
    pub trouble: Result<(), VolumeError>,
}

/// What the signals mean for a world, and the world after them.
pub(crate) fn outlook(
    world: &mut World,
    signals: &[Signal],
    wish: Wish,
    turn: Turn,
    now: Timestamp,
) -> Outlook {
    let absorbed = absorb(world, signals, wish.floors, now);
    for (account, standing) in &absorbed.standings {
        world.state.accounts.insert(account.clone(), standing.clone());
    }
    let mut due = if wish.offline { Vec::new() } else { due(world, &absorbed, wish.renew_before, now) };
    due.retain(|due| wish.only.is_none_or(|only| due.slot == only));
    let purpose = match wish.to {
        Some(slot) => Purpose::To(slot),
        None if absorbed.move_on => Purpose::MoveOn,
        None if wish.offline || absorbed.called || turn != Turn::First => Purpose::Look,
        None => Purpose::Tick,
    };
    Outlook { absorbed, due, policy: Policy { order: wish.order, purpose } }
}

/// What a pass would do if it ran now, and the world after the signals that wait. Reads, and does nothing.
///
/// # Errors
/// The volume cannot be read.
pub fn look(volume: &Volume, wish: Wish, now: Timestamp) -> Result<(World, Outlook, Plan), VolumeError> {
    let mut world = world::read(volume, now)?.world;
    let signals: Vec<_> = volume.signals()?.into_iter().map(|taken| taken.signal).collect();
    let outlook = outlook(&mut world, &signals, wish, Turn::First, now);
    let plan = decide(&world, outlook.policy, now);
    Ok((world, outlook, plan))
}

/// How far a refresh is.
enum News {
    Sending,
    Ended(Report),
}

/// A whole pass.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// Where.
    pub volume: &'a Volume,
    /// How.
    pub wish: Wish,
    /// Gets a line for each event.
    pub log: &'a dyn Fn(String),
    /// Is called each time when serving is done, with the lock still held.
    pub served: &'a dyn Fn(&Locked<'_>),
}

impl Pass<'_> {
    /// Serves, refreshes what is due, and serves again what came of it. Gives the plan that holds at the end.
    ///
    /// # Errors
    /// The volume cannot be read or written, or the way to the issuer is configured wrongly. What can be served is
    /// served, and what can be refreshed is.
    pub fn run(self) -> Result<Plan, Failure> {
        let Served { mut plan, mut due, mut trouble } = self.serve(Turn::First)?;
        if self.wish.only.is_some() && plan.chosen.is_some() {
            // It serves as it is: the rest is the rotator's.
            due.clear();
        }
        let mut issuer = Ok(());
        if !due.is_empty() {
            match Issuer::from_environment() {
                Ok(issuer) => {
                    if let Some(served) = self.refresh(&issuer, due)? {
                        plan = served.plan;
                        trouble = trouble.and(served.trouble);
                    }
                }
                Err(e) => issuer = Err(e),
            }
        }
        trouble?;
        // Last, because an account that needs no refresh must be able to serve meanwhile.
        issuer.or_exit(Exit::BadConfig)?;
        Ok(plan)
    }

    /// Refreshes one login after the other, and acts on signals while the issuer is waited for.
    fn refresh(self, issuer: &Issuer, due: Vec<Due>) -> Result<Option<Served>, Failure> {
        // What was issued must be stored: whoever stops us waits for the answer that is on its way.
        let held = HeldSignals::hold();
        let refresh = Refresh { volume: self.volume, issuer, before: self.wish.renew_before };
        let mut tried: BTreeSet<Grant> = due.iter().map(|due| due.grant.clone()).collect();
        let mut queue: VecDeque<_> = due.into();
        let mut last = None;
        while let Some(due) = queue.pop_front() {
            let mut add = |served: Served| {
                let new = served.due.iter().filter(|due| tried.insert(due.grant.clone())).cloned();
                let new: Vec<_> = new.collect();
                last = Some(served);
                new
            };
            let (report, more) = self.wait_for(refresh, &due, &mut add)?;
            queue.extend(more);
            let goes_on = report.goes_on && !held.is_asked_to_stop();
            report.said.into_iter().for_each(self.log);
            if !goes_on {
                queue.clear();
            }
            let served = self.serve(Turn::Again { is_last: queue.is_empty() })?;
            if goes_on {
                queue.extend(add(served));
            } else {
                last = Some(served);
            }
        }
        Ok(last)
    }

    /// Waits for one refresh, and serves whenever a signal comes meanwhile. Gives what is due because of those.
    fn wait_for(
        self,
        refresh: Refresh<'_>,
        due: &Due,
        add: &mut dyn FnMut(Served) -> Vec<Due>,
    ) -> Result<(Report, Vec<Due>), Failure> {
        let mut more = Vec::new();
        let report = thread::scope(|scope| {
            let (tell, answer) = mpsc::channel();
            scope.spawn(move || {
                let report = refresh.one(due, || drop(tell.send(News::Sending)));
                tell.send(News::Ended(report))
            });
            let (mut not_before, mut is_slow_at) = (Instant::now(), None);
            loop {
                match answer.recv_timeout(LOOK) {
                    Ok(News::Ended(report)) => return Ok(report),
                    // Others serve in the place of an account that was refused, if the issuer is slow.
                    Ok(News::Sending) if due.occasion == Occasion::Refused => {
                        is_slow_at = Some(Instant::now() + MOMENT);
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(Failure::new(Exit::Failed, "a refresh ended without a result"));
                    }
                    Ok(News::Sending) | Err(RecvTimeoutError::Timeout) => {}
                }
                let is_called = self.volume.has_signal() && Instant::now() >= not_before;
                let is_slow = is_slow_at.take_if(|at| *at <= Instant::now()).is_some();
                if is_called || is_slow {
                    not_before = Instant::now() + FLOOR;
                    match self.serve(Turn::Again { is_last: false }) {
                        Ok(served) => more.extend(add(served)),
                        // The refresh goes on: its answer must be stored.
                        Err(e) => (self.log)(format!("{:#}", e.error)),
                    }
                }
            }
        })?;
        Ok((report, more))
    }

    /// Takes the signals in, chooses and publishes, under the lock.
    ///
    /// # Errors
    /// The volume cannot be read or written.
    pub fn serve(self, turn: Turn) -> Result<Served, Failure> {
        let locked = self.volume.lock()?;
        let now = Timestamp::now();
        if turn == Turn::First {
            locked.notes().iter().cloned().for_each(self.log);
        }
        // The init container and an operator's command run beside the rotator, whose signals they are.
        let taken = if self.wish.offline { Ok(Vec::new()) } else { locked.take_signals(now) };
        let (signals, trouble) = match taken {
            Ok(signals) => (signals, Ok(())),
            Err(e) => (Vec::new(), Err(e)),
        };
        let reading = world::read(self.volume, now)?;
        let served = self.carry_out(&locked, reading, signals, turn, now)?;
        (self.served)(&locked);
        Ok(Served { trouble: trouble.and(served.trouble), ..served })
    }

    /// Carries out what signals, logins and state come to.
    ///
    /// The order matters: tokens are stored before a record is published, a record before the state says who is in
    /// use, and signals end last. Whoever is killed in between leaves what the next pass can go on from.
    ///
    /// # Errors
    /// The volume cannot be written; the last published record is still there.
    pub fn carry_out(
        self,
        locked: &Locked<'_>,
        reading: Reading,
        signals: Vec<Taken>,
        turn: Turn,
        now: Timestamp,
    ) -> Result<Served, Failure> {
        let Reading { mut world, stored, is_state_broken, grants, too_open, notes } = reading;
        if turn == Turn::First {
            notes.into_iter().for_each(self.log);
            self.narrow(locked, too_open);
            self.tidy_grants(locked, &world, &grants, now)?;
        }
        let found = self.found_beside_the_logins();
        for found in &found {
            world = bring_home(locked, self.volume, world, found, now, self.log)?;
        }

        let heard = self.hear(&mut world, &signals);
        let Outlook { absorbed, due, policy } = outlook(&mut world, &heard, self.wish, turn, now);
        absorbed.said.into_iter().for_each(self.log);
        let plan = decide(&world, policy, now);
        let is_last = match turn {
            Turn::First => due.is_empty(),
            Turn::Again { is_last } => is_last,
        };
        if is_last {
            self.say_who_was_passed_over(&plan);
        }
        // Nobody to publish is nothing new to those who only look at what is there, or before what is due was refreshed.
        if plan.chosen.is_some() || is_last && !self.wish.offline {
            let mut counters = std::mem::take(&mut world.state.counters);
            count(&mut counters, &world, &plan, policy, now);
            world.state.counters = counters;
        }

        let (mut trouble, mut signals) = (Ok(()), signals);
        match self.publish(locked, &mut world, &plan, turn) {
            Ok(replaced) => {
                let new = replaced.as_ref().filter(|replaced| !found.contains(&replaced.content));
                if let Some(replaced) = new {
                    world = bring_home(locked, self.volume, world, &replaced.content, now, self.log)?;
                }
                if let Some(late) = locked.end_aside(replaced) {
                    world = bring_home(locked, self.volume, world, &late, now, self.log)?;
                }
            }
            Err(e) => {
                trouble = Err(e);
                // What they ask for has not been done: the next pass hears them again.
                let undone = signals.extract_if(.., |taken| taken.signal.asks_to_move_on());
                let undone: BTreeSet<_> = undone.map(|taken| taken.name()).collect();
                world.state.heard.retain(|heard| !undone.contains(heard));
            }
        }
        world.state.tidy(now);
        if is_state_broken {
            locked.set_state_aside()?;
        }
        if stored.as_ref() != Some(&world.state) {
            locked.remember(&world.state)?;
        }
        trouble = trouble.and(locked.end_signals(signals));
        Ok(Served { plan, due, trouble })
    }

    fn narrow(self, locked: &Locked<'_>, too_open: Vec<Slot>) {
        for slot in too_open {
            (self.log)(match locked.narrow(slot) {
                Ok(()) => format!("{slot}: others could read its file: narrowed to its owner"),
                Err(e) => format!("{slot}: others can read its file: {e}"),
            });
        }
    }

    /// Brings the markers of grants up to date with the logins that are there.
    fn tidy_grants(
        self,
        locked: &Locked<'_>,
        world: &World,
        grants: &Grants,
        now: Timestamp,
    ) -> Result<(), VolumeError> {
        for marker in grants.out_of_reach(locked, now) {
            (self.log)(format!(
                "another writer refreshes {} since {}, and its lock does not reach ours: two rotators on one volume? see \
                 accounts doctor",
                marker.slot, marker.since
            ));
        }
        let logins = world.slots.iter().filter_map(|slot| Some((slot, slot.login.as_ref().ok()?)));
        for (candidate, login) in logins.clone() {
            // A marker of its own for what a state told that was written before there were markers.
            if world.state.standing(&login.account).unanswered == Some(login.grant()) {
                drop(locked.ask(&login.grant(), candidate.slot, None, now)?);
            }
        }
        if !grants.is_empty() {
            let by_slot: BTreeMap<_, _> =
                logins.clone().map(|(candidate, login)| (candidate.slot, login)).collect();
            locked.conclude(grants, &by_slot, now);
            let kept = logins.map(|(_, login)| login.grant()).collect();
            locked.forget_ended_grants(grants, world.slots.len(), &kept);
        }
        Ok(())
    }

    /// What a program with a refresh token of its own may have written where the record is: what a pass that died had
    /// replaced, then what stands there. In a live directory of its own nothing is looked for.
    fn found_beside_the_logins(self) -> Vec<Vec<u8>> {
        if !self.volume.is_one_directory() {
            return Vec::new();
        }
        [self.volume.aside_bytes(), self.volume.published_bytes()].into_iter().flatten().collect()
    }

    /// The signals that were not heard before, and the state that knows them.
    fn hear(self, world: &mut World, signals: &[Taken]) -> Vec<Signal> {
        let is_new = |taken: &&Taken| !world.state.heard.contains(&taken.name());
        let heard: Vec<_> = signals.iter().filter(is_new).map(|taken| taken.signal.clone()).collect();
        if !signals.is_empty() {
            world.state.heard = signals.iter().map(Taken::name).collect();
        }
        if heard.iter().any(|signal| matches!(signal, Signal::Unreadable { .. })) {
            (self.log)(
                "the signal could not be read: kept as rotate-now.unreadable, taken for a plain one"
                    .to_owned(),
            );
        }
        heard
    }

    fn say_who_was_passed_over(self, plan: &Plan) {
        for (slot, reason) in &plan.passed_over {
            if !matches!(reason, Reason::NotItsTurn | Reason::Cooling(_) | Reason::Parked(_)) {
                (self.log)(format!("{slot} passed over: {reason}"));
            }
        }
    }

    /// Publishes what was chosen, and gives what stood there until then.
    fn publish(
        self,
        locked: &Locked<'_>,
        world: &mut World,
        plan: &Plan,
        turn: Turn,
    ) -> Result<Option<PrivateFile>, VolumeError> {
        if let Found::Foreign { why } = &world.published
            && (plan.chosen.is_some() || plan.placeholder)
        {
            (self.log)(format!("auth.json was not written by us ({why}): replacing it"));
        }
        let mut replaced = None;
        match &plan.chosen {
            Some(Chosen { slot, login, since, why }) => {
                let record = published::record(login);
                world.state.active =
                    Some(Active { account: login.account.clone(), slot: *slot, since: *since });
                // What is served already needs no second word.
                if turn != Turn::First && self.volume.published_bytes().is_ok_and(|there| there == record) {
                    return Ok(None);
                }
                replaced = locked.publish(&record, self.wish.access)?;
                let note = match why {
                    Why::BackFirst(_) => format!("; {why}"),
                    _ => String::new(),
                };
                (self.log)(format!("active {slot} ({}){note}", login.expires()));
            }
            None if plan.placeholder => {
                replaced = locked.publish(&published::placeholder(), self.wish.access)?;
                (self.log)(
                    "no usable account: published a placeholder, so that LiteLLM can start".to_owned(),
                );
            }
            None => {}
        }
        Ok(replaced)
    }
}
