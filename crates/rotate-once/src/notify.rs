//! Notifying receivers of conditions: after the pass, without its lock, and whatever its outcome.
//!
//! What is sent is what the volume says then. A receiver that hangs delays only the next receiver; one that fails is
//! one line of log, and later passes try it again.

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

/// How long all receivers together may take. With a pass that waits for the issuer, it is less than a pod's grace
/// period.
const TIME_LIMIT: Duration = Duration::from_secs(8);

/// The version of `events.json`.
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

/// How the accounts stand at one moment, and the conditions that hold.
#[derive(Debug)]
struct Snapshot {
    overview: Overview,
    conditions: Conditions,
}

impl Snapshot {
    fn of(pool: &Pool, refresh_before: Duration, now: Timestamp) -> Self {
        let overview = overview(pool, refresh_before, Naming::Masked, now);
        Self { conditions: Conditions::of(&overview, pool), overview }
    }
}

/// Notifies every receiver of what is due.
pub(crate) fn notify(receivers: &[Receiver], volume: &Volume, refresh_before: Duration) {
    if let Err(e) = try_to_notify(receivers, volume, refresh_before) {
        log_that_none_is_notified(&e);
    }
}

/// The events that would be sent after a pass that leaves the pool like this, and a line for each of them.
pub(crate) fn preview(
    receivers: &[Receiver],
    volume: &Volume,
    pool: &Pool,
    refresh_before: Duration,
) -> Vec<(String, Event)> {
    let now = clock::now();
    let snapshot = Snapshot::of(pool, refresh_before, now);
    let mut notified = match read(volume) {
        Ok(notified) => notified,
        Err(e) => {
            log_that_none_is_notified(&e);
            return Vec::new();
        }
    };
    let previews = receivers.iter().flat_map(|receiver| {
        let ledger = notified.ledger(receiver);
        ledger.update(&snapshot.conditions, now);
        let wait = ledger.not_before.filter(|at| *at > now).map(|at| format!(" (not before {at})"));
        let wait = wait.unwrap_or_default();
        let due = ledger.due(&snapshot.conditions, now);
        let events = due
            .iter()
            .map(|(change, entry)| Event::new(*change, entry, &snapshot.conditions, &snapshot.overview));
        let lines = events
            .map(|event| (format!("would notify {receiver}{wait} of {}: {}", event.kind, event.text), event));
        lines.collect::<Vec<_>>()
    });
    previews.collect()
}

fn try_to_notify(receivers: &[Receiver], volume: &Volume, refresh_before: Duration) -> anyhow::Result<()> {
    // The process that has the lock sends the same.
    let Some(lock) = NotifyLock::take(volume)? else { return Ok(()) };
    let begun = Instant::now();
    let now = clock::now();
    // If the volume cannot be read, the pass has said so.
    let Ok(reading) = reading::read(volume, now) else { return Ok(()) };
    let snapshot = Snapshot::of(&reading.pool, refresh_before, now);
    let mut notified = read(volume)?;
    for (receiver, others) in receivers.iter().zip((1..=receivers.len()).rev()) {
        let left = TIME_LIMIT.saturating_sub(begun.elapsed());
        let until = Instant::now() + left / u32::try_from(others).unwrap_or(1);
        let deadline = Deadline { begun, until, signal: volume.layout().signal() };
        notified.notify(receiver, &snapshot, &lock, &deadline)?;
    }
    Ok(())
}

fn log_that_none_is_notified(error: &anyhow::Error) {
    log::line(COMMAND, format_args!("no receiver is notified of events: {error:#}"));
}

/// What receivers have been notified of. If the file is broken, events are sent a second time.
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

    /// Notifies a receiver of all that is due, until it fails. Each step is remembered before the next.
    fn notify(
        &mut self,
        receiver: &Receiver,
        snapshot: &Snapshot,
        lock: &NotifyLock<'_>,
        deadline: &Deadline,
    ) -> anyhow::Result<()> {
        let (now, conditions) = (snapshot.overview.at, &snapshot.conditions);
        let before = self.ledger(receiver).clone();
        let ledger = self.ledger(receiver);
        ledger.update(conditions, now);
        let due = if ledger.may_try(now) { ledger.due(conditions, now) } else { Vec::new() };
        if due.is_empty() && *ledger == before {
            return Ok(());
        }
        if due.is_empty() {
            return self.remember(lock);
        }
        for (change, entry) in due {
            if deadline.has_passed().is_some() {
                // It is not counted as a failure of this receiver.
                return Ok(());
            }
            let event = Event::new(change, &entry, conditions, &snapshot.overview);
            let ledger = self.ledger(receiver);
            ledger.begin_attempt(now);
            let pause = ledger.not_before.map_or(Duration::ZERO, |at| at.since(now));
            self.remember(lock)?;
            if let Err(why) = receiver.send(&event, deadline) {
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
        let mut bytes = serde_json::to_vec_pretty(self).context("cannot remember what was sent")?;
        bytes.push(b'\n');
        Ok(lock.remember(&bytes)?)
    }
}
