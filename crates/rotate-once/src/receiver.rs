//! The receivers of events: a command and a webhook.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

use cli::log;
use issuer::webhook::Webhook;
use records::Secret;

use crate::COMMAND;
use crate::args::Args;
use crate::command::EventCommand;
use crate::deadline::Deadline;
use crate::event::Event;

/// How long after a failure the second attempt is made.
const RETRY_AFTER: Duration = Duration::from_millis(300);

/// How often the deadline is checked.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// Where events go.
#[derive(Debug)]
pub(crate) enum Receiver {
    Command(EventCommand),
    Webhook { at: Arc<Webhook>, fingerprint: String },
}

impl Receiver {
    /// All receivers of the command line. One that cannot work is a line of log, because accounts have to serve
    /// nevertheless.
    pub(crate) fn all(args: &Args) -> Vec<Self> {
        let command = EventCommand::parse(&args.on_event).map(Self::Command);
        let webhook = (!args.webhook.is_empty()).then(|| Self::at(&args.webhook));
        let webhook = webhook.and_then(|webhook| {
            webhook
                .inspect_err(|e| log::line(COMMAND, format_args!("the webhook is not notified: {e:#}")))
                .ok()
        });
        // The command first: a thread that is left behind by the webhook would not hold the signals that stop a pass.
        command.into_iter().chain(webhook).collect()
    }

    /// The receiver at an address.
    ///
    /// # Errors
    /// It is not a URL, or the trusted certificates cannot be read.
    fn at(url: &Secret) -> anyhow::Result<Self> {
        Ok(Self::Webhook { at: Arc::new(Webhook::at(url.clone())?), fingerprint: url.fingerprint() })
    }

    /// Distinguishes it from another of its kind without showing it.
    pub(crate) fn fingerprint(&self) -> &str {
        match self {
            Self::Command(command) => command.fingerprint(),
            Self::Webhook { fingerprint, .. } => fingerprint,
        }
    }

    /// Sends it an event, and tries once more if that fails and there is time.
    ///
    /// # Errors
    /// Why it may not have received the event.
    pub(crate) fn send(&self, event: &Event, deadline: &Deadline) -> Result<(), String> {
        self.send_once(event, deadline).or_else(|why| {
            sleep(RETRY_AFTER.min(deadline.left()));
            if deadline.has_passed().is_some() { Err(why) } else { self.send_once(event, deadline) }
        })
    }

    fn send_once(&self, event: &Event, deadline: &Deadline) -> Result<(), String> {
        match self {
            Self::Command(command) => command.run(event, deadline),
            Self::Webhook { at, .. } => post(at, event, deadline),
        }
    }
}

/// Posts on a thread of its own, which is left behind when the deadline passes: name resolution cannot be interrupted.
fn post(webhook: &Arc<Webhook>, event: &Event, deadline: &Deadline) -> Result<(), String> {
    let (webhook, document) = (Arc::clone(webhook), event.document.clone());
    let posting = thread::Builder::new().spawn(move || webhook.post(document)).map_err(|e| e.to_string())?;
    while !posting.is_finished() {
        if let Some(why) = deadline.has_passed() {
            return Err(format!("given up, because {why}"));
        }
        sleep(CHECK_EVERY);
    }
    posting.join().unwrap_or_else(|_| Err("no answer".to_owned()))
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => write!(f, "command {}", command.program()),
            Self::Webhook { at, .. } => write!(f, "webhook {}", at.shown()),
        }
    }
}
