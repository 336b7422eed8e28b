//! Asking the provider's usage endpoint about accounts of which nothing has been read for a while. It refreshes nothing,
//! never changes which account serves by a failure, and ends when a signal waits.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use auth_volume::{Volume, VolumeError, clock};
use issuer::provider::Provider;
use judgement::poll;
use judgement::take_readings::take_readings;
use records::probe::ProbeResult;
use records::readings::Reading;
use records::{Login, Slot};

use crate::reading;

/// How often a signal is looked for while the provider is waited for.
const SIGNAL_CHECK: Duration = Duration::from_millis(5);

/// Asks about the accounts that are due, and stores what they have used.
///
/// # Errors
/// The volume cannot be read or written, or the way to the provider is configured wrongly.
pub fn poll(volume: &Volume, interval: Duration, log: &dyn Fn(String)) -> anyhow::Result<()> {
    let pool = reading::read(volume, clock::now())?.pool;
    let due = poll::due(&pool, interval, clock::now());
    let login = |slot: Slot| {
        let candidate = pool.slots.iter().find(|candidate| candidate.slot == slot)?;
        Some((slot, candidate.login.as_ref().ok()?.clone()))
    };
    let asked: Vec<_> = due.into_iter().filter_map(login).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let provider = Provider::from_environment()?;
    let (answers, answered) = mpsc::channel();
    // A thread of its own, which is left behind when a signal waits: no pass waits for the provider.
    thread::spawn(move || {
        for (slot, login) in asked {
            let result = provider.probe(&login, clock::now());
            if answers.send((slot, login, result)).is_err() {
                return;
            }
        }
    });
    loop {
        match answered.recv_timeout(SIGNAL_CHECK) {
            Ok((slot, login, result)) => note(volume, slot, &login, result, log)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) if volume.has_signal() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn note(
    volume: &Volume,
    slot: Slot,
    login: &Login,
    result: ProbeResult,
    log: &dyn Fn(String),
) -> Result<(), VolumeError> {
    let locked = volume.lock()?;
    let now = clock::now();
    let mut pool = reading::read(volume, now)?.pool;
    match result {
        ProbeResult::Accepted(limits, plan) => {
            let reading = Reading { account: login.account.clone(), at: now, limits, plan };
            take_readings(&mut pool, [&reading]);
            pool.state.accounts.entry(login.account.clone()).or_default().usage_poll = None;
        }
        // The account's own requests say so, too, and are followed by a refresh.
        ProbeResult::Refused(_) => return Ok(()),
        ProbeResult::Unknown(why) => {
            let known = pool.state.accounts.entry(login.account.clone()).or_default();
            let pause = poll::paused(known.usage_poll, now);
            log(format!("the usage of {slot} was not read: {why}; read again after {}", pause.until));
            known.usage_poll = Some(pause);
        }
    }
    locked.store_state(&pool.state)
}
