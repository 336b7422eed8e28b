//! Notifying receivers of the conditions that hold: after the pass, without its lock, and whatever came of it.
//!
//! What is sent is what the volume says then. A receiver can hold up nobody but the next receiver, fails in one line,
//! and is tried again by later passes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use auth_volume::{Volume, clock};
use cli::log;
use judgement::pool::Pool;
use overview::words::span;
use overview::{Overview, overview};
use records::{Naming, Timestamp};
use rotation::reading;
use serde::{Deserialize, Serialize};

use crate::COMMAND;
use crate::condition::Conditions;
use crate::deadline::Deadline;
use crate::event::Event;
use crate::ledger::Ledger;
use crate::notified_file::{self, NotifyLock};
use crate::receiver::Receiver;

/// How long all of it may take: with a pass that waits for the issuer, less than the grace of a pod that is stopped.
const WHOLE: Duration = Duration::from_secs(8);

/// The version of the memory.
const VERSION: u32 = 1;

/// The content of `events.json`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Notified {
    version: u32,
    #[serde(default)]
    command: Ledger,
    #[serde(default)]
    webhook: Ledger,
}

/// The conditions that hold, and what the events are made of.
#[derive(Debug)]
struct Seen {
    overview: Overview,
    conditions: Conditions,
}

impl Seen {
    fn of(pool: &Pool, refresh_before: Duration, now: Timestamp) -> Self {
        let overview = overview(pool, refresh_before, Naming::Masked, now);
        Self { conditions: Conditions::of(&overview, pool), overview }
    }
}

/// Notifies every receiver of what is due.
pub(crate) fn notify(receivers: &[Receiver], volume: &Volume, refresh_before: Duration) {
    if let Err(e) = try_to_notify(receivers, volume, refresh_before) {
        say_no_receiver_is_notified(&e);
    }
}

/// A line for each event that a pass would send now, and the events; of a pool that was foreseen.
pub(crate) fn foresee(
    receivers: &[Receiver],
    volume: &Volume,
    pool: &Pool,
    refresh_before: Duration,
) -> Vec<(String, Event)> {
    let now = clock::now();
    let seen = Seen::of(pool, refresh_before, now);
    let mut notified = match read(volume) {
        Ok(notified) => notified,
        Err(e) => {
            say_no_receiver_is_notified(&e);
            return Vec::new();
        }
    };
    let foreseen = receivers.iter().flat_map(|receiver| {
        let ledger = notified.ledger(receiver);
        ledger.notice(&seen.conditions, now);
        let wait = ledger.not_before.filter(|at| *at > now).map(|at| format!(" (not before {at})"));
        let wait = wait.unwrap_or_default();
        let due = ledger.due(&seen.conditions, now);
        let events =
            due.iter().map(|(change, entry)| Event::new(*change, entry, &seen.conditions, &seen.overview));
        let lines = events
            .map(|event| (format!("would notify {receiver}{wait} of {}: {}", event.kind, event.text), event));
        lines.collect::<Vec<_>>()
    });
    foreseen.collect()
}

fn try_to_notify(receivers: &[Receiver], volume: &Volume, refresh_before: Duration) -> anyhow::Result<()> {
    // Another rotator sends the same.
    let Some(lock) = NotifyLock::take(volume)? else { return Ok(()) };
    let begun = Instant::now();
    let now = clock::now();
    // What cannot be read, the pass has said.
    let Ok(reading) = reading::read(volume, now) else { return Ok(()) };
    let seen = Seen::of(&reading.pool, refresh_before, now);
    let mut notified = read(volume)?;
    for (receiver, others) in receivers.iter().zip((1..=receivers.len()).rev()) {
        let left = WHOLE.saturating_sub(begun.elapsed());
        let until = Instant::now() + left / u32::try_from(others).unwrap_or(1);
        let deadline = Deadline { begun, until, signal: volume.layout().signal() };
        notified.notify(receiver, &seen, &lock, &deadline)?;
    }
    Ok(())
}

fn say_no_receiver_is_notified(error: &anyhow::Error) {
    log::line(COMMAND, format_args!("no receiver is notified of events: {error:#}"));
}

/// What receivers were notified of until now. A file that is broken costs an event sent twice.
fn read(volume: &Volume) -> anyhow::Result<Notified> {
    let bytes = notified_file::read(volume)?;
    let fresh = Notified { version: VERSION, ..Notified::default() };
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(document) if document["version"].as_u64().is_some_and(|version| version > u64::from(VERSION)) => {
            anyhow::bail!("{} is of a later release: use that one", volume.layout().notified().display())
        }
        Ok(document) => Ok(serde_json::from_value(document).unwrap_or(fresh)),
        Err(_) => Ok(fresh),
    }
}

impl Notified {
    fn ledger(&mut self, receiver: &Receiver) -> &mut Ledger {
        let ledger = match receiver {
            Receiver::Command(_) => &mut self.command,
            Receiver::Webhook { .. } => &mut self.webhook,
        };
        if ledger.receiver != receiver.fingerprint() {
            *ledger = Ledger::of(receiver.fingerprint().to_owned());
        }
        ledger
    }

    /// Notifies one receiver of all that is due, until it fails. Each step is remembered before the next.
    fn notify(
        &mut self,
        receiver: &Receiver,
        seen: &Seen,
        lock: &NotifyLock<'_>,
        deadline: &Deadline,
    ) -> anyhow::Result<()> {
        let (now, conditions) = (seen.overview.at, &seen.conditions);
        let before = self.ledger(receiver).clone();
        let ledger = self.ledger(receiver);
        ledger.notice(conditions, now);
        let due = if ledger.may_try(now) { ledger.due(conditions, now) } else { Vec::new() };
        if due.is_empty() && *ledger == before {
            return Ok(());
        }
        if due.is_empty() {
            return self.remember(lock);
        }
        for (change, entry) in due {
            if deadline.ended().is_some() {
                // No fault of this receiver's.
                return Ok(());
            }
            let event = Event::new(change, &entry, &seen.conditions, &seen.overview);
            let ledger = self.ledger(receiver);
            ledger.trying(now);
            let pause = ledger.not_before.map_or(Duration::ZERO, |at| at.since(now));
            self.remember(lock)?;
            if let Err(why) = receiver.take(&event, deadline) {
                let pause = span(pause);
                let kind = event.kind;
                log::line(
                    COMMAND,
                    format_args!(
                        "{receiver} was not notified of {kind}: {why}; tried again in {pause} at the earliest"
                    ),
                );
                return Ok(());
            }
            log::line(COMMAND, format_args!("{receiver} was notified of {}: {}", event.kind, event.text));
            self.ledger(receiver).notified(change, &entry.about, conditions, now);
            self.remember(lock)?;
        }
        Ok(())
    }

    fn remember(&self, lock: &NotifyLock<'_>) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).context("cannot write down what was sent")?;
        bytes.push(b'\n');
        Ok(lock.remember(&bytes)?)
    }
}
