//! What signals and logins come to before anything is done: what a pass is for, and what it refreshes.

use records::Timestamp;
use records::signal::Signal;

use crate::due::{Due, due};
use crate::interpret::{Interpretation, interpret};
use crate::policy::{PassOptions, Policy, Purpose};
use crate::pool::Pool;

/// What a pass comes to before anything is done: all of it can be shown.
#[derive(Debug)]
pub struct Assessment {
    /// What the signals mean.
    pub interpretation: Interpretation,
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

/// What the signals mean for a pool, and the pool after them.
pub fn assess(
    pool: &mut Pool,
    signals: &[Signal],
    options: PassOptions,
    turn: Turn,
    now: Timestamp,
) -> Assessment {
    let interpretation = interpret(pool, signals, options.floors, now);
    for (account, account_state) in &interpretation.account_states {
        pool.state.accounts.insert(account.clone(), account_state.clone());
    }
    let mut due =
        if options.offline { Vec::new() } else { due(pool, &interpretation, options.refresh_before, now) };
    due.retain(|due| options.only.is_none_or(|only| due.slot == only));
    let purpose = purpose(options, &interpretation, turn);
    Assessment { interpretation, due, policy: Policy { order: options.order, purpose } }
}

/// What a pass is for.
fn purpose(options: PassOptions, interpretation: &Interpretation, turn: Turn) -> Purpose {
    match options.to {
        Some(slot) => Purpose::To(slot),
        None if interpretation.move_on => Purpose::MoveOn,
        None if options.offline || interpretation.called || turn != Turn::First => Purpose::Look,
        None => Purpose::Tick,
    }
}
