//! One pass: take the signals in, renew what is due, choose, publish.

use std::time::Duration;

use auth_volume::atomic::Access;
use auth_volume::exit::{Exit, Failure, OrExit as _};
use auth_volume::private_file::PrivateFile;
use auth_volume::published::{self, Found};
use auth_volume::signal::Signal;
use auth_volume::state::Active;
use auth_volume::volume::Taken;
use auth_volume::{Locked, Slot, Timestamp, Volume, VolumeError};
use issuer::Issuer;

use crate::absorb::{Absorbed, absorb};
use crate::args::Order;
use crate::cooldown::Floors;
use crate::counting::count;
use crate::decide::{Chosen, Plan, Policy, Purpose, Reason, Why, World, decide};
use crate::harvest::bring_home;
use crate::renewal::{Due, Renewal, due};
use crate::world::{self, Reading};

/// What the operator wants of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Which account is next.
    pub order: Order,
    /// A slot that is named, or `None` for the order's own.
    pub to: Option<Slot>,
    /// Only choose and publish, with the logins as they are: nothing is renewed, nobody is asked.
    pub offline: bool,
    /// How long a refused account rests when nobody says.
    pub floors: Floors,
    /// How long before its end a login is renewed.
    pub renew_before: Duration,
    /// Who may read what is published.
    pub access: Access,
}

/// What a pass comes to before anything is done: all of it can be shown, and is pure.
#[derive(Debug)]
pub struct Outlook {
    /// What the signals mean.
    pub absorbed: Absorbed,
    /// The logins to renew.
    pub due: Vec<Due>,
    /// What is chosen by.
    pub policy: Policy,
}

/// What the signals mean for a world, and the world after them.
pub(crate) fn outlook(world: &mut World, signals: &[Signal], wish: Wish, now: Timestamp) -> Outlook {
    let absorbed = absorb(world, signals, wish.floors, now);
    for (account, standing) in &absorbed.standings {
        world.state.accounts.insert(account.clone(), standing.clone());
    }
    let due = if wish.offline { Vec::new() } else { due(world, &absorbed, wish.renew_before, now) };
    let purpose = match wish.to {
        Some(slot) => Purpose::To(slot),
        None if absorbed.move_on => Purpose::MoveOn,
        None if wish.offline || absorbed.called => Purpose::Look,
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
    let outlook = outlook(&mut world, &signals, wish, now);
    let plan = decide(&world, outlook.policy, now);
    Ok((world, outlook, plan))
}

/// Carries a pass out and logs a line for each event.
///
/// The order matters: tokens are stored before a record is published, a record before the state says who is in
/// use, and signals end last. Whoever is killed in between leaves what the next pass can go on from.
///
/// # Errors
/// The volume cannot be written; the last published record is still there.
pub fn carry_out(
    locked: &Locked<'_>,
    volume: &Volume,
    reading: Reading,
    signals: Vec<Taken>,
    wish: Wish,
    now: Timestamp,
    log: &dyn Fn(String),
) -> Result<Plan, Failure> {
    let Reading { world, stored, too_open, notes } = reading;
    notes.into_iter().for_each(log);
    for slot in too_open {
        log(match locked.narrow(slot) {
            Ok(()) => format!("{slot}: others could read its file: narrowed to its owner"),
            Err(e) => format!("{slot}: others can read its file: {e}"),
        });
    }
    let mut world = world;
    // What a pass that died had replaced, then what stands there.
    let seen: Vec<_> = [volume.aside_bytes(), volume.published_bytes()].into_iter().flatten().collect();
    for found in &seen {
        world = bring_home(locked, volume, world, found, now, log)?;
    }

    let is_new = |taken: &&Taken| !world.state.heard.contains(&taken.name());
    let heard: Vec<_> = signals.iter().filter(is_new).map(|taken| taken.signal.clone()).collect();
    if !signals.is_empty() {
        world.state.heard = signals.iter().map(Taken::name).collect();
    }
    if heard.iter().any(|signal| matches!(signal, Signal::Unreadable { .. })) {
        log("the signal could not be read: kept as rotate-now.unreadable, taken for a plain one".to_owned());
    }
    let Outlook { absorbed, due, policy } = outlook(&mut world, &heard, wish, now);
    absorbed.said.into_iter().for_each(log);
    let mut issuer = Ok(());
    if !due.is_empty() {
        match Issuer::from_environment() {
            Ok(issuer) => world = Renewal { volume, locked, issuer, now, log }.all(world, &due),
            Err(e) => issuer = Err(e),
        }
    }

    let plan = decide(&world, policy, now);
    for (slot, reason) in &plan.passed_over {
        if !matches!(reason, Reason::NotItsTurn | Reason::Cooling(_) | Reason::Parked(_)) {
            log(format!("{slot} passed over: {reason}"));
        }
    }
    // Nobody to publish is nothing new to those who only look at what is there.
    if plan.chosen.is_some() || !wish.offline {
        let mut counters = std::mem::take(&mut world.state.counters);
        count(&mut counters, &world, &plan, policy, now);
        world.state.counters = counters;
    }
    let replaced = publish(locked, &mut world, &plan, wish.access, log)?;
    if let Some(replaced) = replaced.as_ref().filter(|replaced| !seen.contains(&replaced.content)) {
        world = bring_home(locked, volume, world, &replaced.content, now, log)?;
    }
    if let Some(late) = locked.end_aside(replaced)? {
        world = bring_home(locked, volume, world, &late, now, log)?;
    }
    world.state.tidy(now);
    // A renewal has written markers meanwhile, which must not stay.
    if !due.is_empty() || stored.as_ref() != Some(&world.state) {
        locked.remember(&world.state)?;
    }
    locked.end_signals(signals)?;
    // Last, because an account that needs no renewal must be able to serve meanwhile.
    issuer.or_exit(Exit::BadConfig)?;
    Ok(plan)
}

/// Publishes what was chosen, and gives what stood there until then.
fn publish(
    locked: &Locked<'_>,
    world: &mut World,
    plan: &Plan,
    access: Access,
    log: &dyn Fn(String),
) -> Result<Option<PrivateFile>, Failure> {
    if let Found::Foreign { why } = &world.published
        && (plan.chosen.is_some() || plan.placeholder)
    {
        log(format!("auth.json was not written by us ({why}): replacing it"));
    }
    let mut replaced = None;
    match &plan.chosen {
        Some(Chosen { slot, login, since, why }) => {
            replaced = locked.publish(&published::record(login), access)?;
            world.state.active = Some(Active { account: login.account.clone(), slot: *slot, since: *since });
            let note = match why {
                Why::BackFirst(_) => format!("; {why}"),
                _ => String::new(),
            };
            log(format!("active {slot} ({}){note}", login.expires()));
        }
        None if plan.placeholder => {
            replaced = locked.publish(&published::placeholder(), access)?;
            log("no usable account: published a placeholder, so that LiteLLM can start".to_owned());
        }
        None => {}
    }
    Ok(replaced)
}
