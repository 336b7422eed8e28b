//! What signals and logins mean for a pass before anything is done: its purpose, and what it refreshes.

use records::Timestamp;
use records::signal::Signal;

use crate::due::{Due, due};
use crate::interpret::{Interpretation, interpret};
use crate::policy::{PassOptions, Policy, Purpose};
use crate::pool::Pool;
use crate::take_readings::take_readings;

/// What is known of a pass before anything is done. All of it can be shown.
#[derive(Debug)]
pub struct Assessment {
    pub interpretation: Interpretation,
    /// The logins to refresh.
    pub due: Vec<Due>,
    pub policy: Policy,
}

/// Which time a pass chooses and publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first time: even without a signal, as a tick.
    First,
    /// Once more, for what has happened since.
    Again {
        /// Whether nothing is refreshed after it.
        is_last: bool,
    },
}

/// Assesses a pass, and changes the pool's state as the signals say.
pub fn assess(
    pool: &mut Pool,
    signals: &[Signal],
    options: &PassOptions,
    turn: Turn,
    now: Timestamp,
) -> Assessment {
    pool.quota = options.quota.clone();
    take_readings(pool, signals.iter().filter_map(Signal::reading));
    let interpretation = interpret(pool, signals, options.floors, now);
    for (account, account_state) in &interpretation.account_states {
        pool.state.accounts.insert(account.clone(), account_state.clone());
    }
    let mut due =
        if options.offline { Vec::new() } else { due(pool, &interpretation, options.refresh_before, now) };
    due.retain(|due| options.only.is_none_or(|only| due.slot == only));
    let purpose = purpose(options, &interpretation, turn);
    Assessment { interpretation, due, policy: Policy { order: options.order, lanes: options.lanes, purpose } }
}

fn purpose(options: &PassOptions, interpretation: &Interpretation, turn: Turn) -> Purpose {
    match options.to {
        Some(slot) => Purpose::To(slot),
        None if interpretation.move_on => Purpose::MoveOn,
        None if options.offline || interpretation.has_signals || turn != Turn::First => Purpose::Stay,
        None => Purpose::Tick,
    }
}
