//! Those who are told: a command, a webhook.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

use cli::log;
use issuer::webhook::Webhook;
use records::Secret;

use crate::COMMAND;
use crate::args::Args;
use crate::deadline::Deadline;
use crate::event::Event;
use crate::hook::Hook;

/// How long after a failure it is tried once more.
const ONCE_MORE: Duration = Duration::from_millis(300);

/// How often it is looked whether deadline has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Somebody who is told.
#[derive(Debug)]
pub(crate) enum Receiver {
    Command(Hook),
    Webhook { at: Arc<Webhook>, fingerprint: String },
}

impl Receiver {
    /// Everybody whom the command line names. What is wrong with one is a line of log: an account must be able to serve
    /// all the same.
    pub(crate) fn all(args: &Args) -> Vec<Self> {
        let command = Hook::of(&args.on_event).map(Self::Command);
        let webhook = (!args.webhook.is_empty()).then(|| Self::at(&args.webhook));
        let webhook = webhook.and_then(|webhook| {
            webhook
                .inspect_err(|e| log::line(COMMAND, format_args!("the webhook is not notified: {e:#}")))
                .ok()
        });
        // In this order: the thread of a webhook would be ended by a signal that a command must be ended with.
        command.into_iter().chain(webhook).collect()
    }

    /// The receiver at an address.
    ///
    /// # Errors
    /// It is no address, or nobody there could be trusted.
    fn at(url: &Secret) -> anyhow::Result<Self> {
        Ok(Self::Webhook { at: Arc::new(Webhook::at(url.clone())?), fingerprint: url.fingerprint() })
    }

    /// Tells it from another of its kind, without showing it.
    pub(crate) fn fingerprint(&self) -> &str {
        match self {
            Self::Command(hook) => hook.fingerprint(),
            Self::Webhook { fingerprint, .. } => fingerprint,
        }
    }

    /// Gives it an event, and once more if it fails and there is time.
    ///
    /// # Errors
    /// Why it may not have it.
    pub(crate) fn take(&self, event: &Event, deadline: &Deadline) -> Result<(), String> {
        self.try_to_take(event, deadline).or_else(|why| {
            sleep(ONCE_MORE.min(deadline.left()));
            if deadline.ended().is_some() { Err(why) } else { self.try_to_take(event, deadline) }
        })
    }

    fn try_to_take(&self, event: &Event, deadline: &Deadline) -> Result<(), String> {
        match self {
            Self::Command(hook) => hook.run(event, deadline),
            Self::Webhook { at, .. } => post(at, event, deadline),
        }
    }
}

/// On a thread of its own, which is left behind when deadline ends: nobody can tell a resolver when to give up.
fn post(webhook: &Arc<Webhook>, event: &Event, deadline: &Deadline) -> Result<(), String> {
    let (webhook, document) = (Arc::clone(webhook), event.document.clone());
    let posting = thread::Builder::new().spawn(move || webhook.post(document)).map_err(|e| e.to_string())?;
    while !posting.is_finished() {
        if let Some(why) = deadline.ended() {
            return Err(format!("given up, because {why}"));
        }
        sleep(LOOK_AGAIN);
    }
    posting.join().unwrap_or_else(|_| Err("no answer".to_owned()))
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(hook) => write!(f, "command {}", hook.shown()),
            Self::Webhook { at, .. } => write!(f, "webhook {}", at.shown()),
        }
    }
}
