//! Showing the accounts, once or repeatedly. Takes no lock, sends no request, changes nothing.

use std::io::IsTerminal as _;
use std::thread::sleep;
use std::time::Duration;

use auth_volume::{Volume, clock};
use cli::exit::Failure;
use cli::output::say;
use overview::Overview;
use overview::finding::Finding;
use overview::findings::findings;
use overview::json;
use rotation::observing::Observer;
use serde_json::Value;

use crate::colour::Colouring;
use crate::table;

/// Moves the cursor to the top left and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How the accounts are shown.
#[derive(Clone, Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) observer: Observer,
    pub(crate) as_json: bool,
}

/// What was read at one moment.
struct Snapshot {
    overview: Overview,
    findings: Vec<Finding>,
}

impl Listing<'_> {
    pub(crate) fn once(&self) -> Result<(), Failure> {
        say(&self.text(&self.look()?)).map(|_| ())
    }

    /// Redraws a terminal each time; prints to anything else only what has changed.
    pub(crate) fn repeat(&self, every: Duration) -> Result<(), Failure> {
        let is_redrawn = std::io::stdout().is_terminal() && !self.as_json;
        let mut before = None;
        loop {
            let snapshot = self.look()?;
            let now = comparable(&snapshot);
            if is_redrawn || before.as_ref() != Some(&now) {
                let start = if is_redrawn {
                    CLEAR
                } else if before.is_some() && !self.as_json {
                    "\n"
                } else {
                    ""
                };
                if !say(&format!("{start}{}", self.text(&snapshot)))? {
                    return Ok(());
                }
                before = Some(now);
            }
            sleep(every);
        }
    }

    fn look(&self) -> Result<Snapshot, Failure> {
        let observed = self.observer.observe(self.volume, clock::now())?;
        Ok(Snapshot { findings: findings(&observed), overview: observed.overview })
    }

    fn text(&self, Snapshot { overview, findings }: &Snapshot) -> String {
        if self.as_json {
            json::document(overview, findings).to_string() + "\n"
        } else {
            table::table(overview, findings, Colouring::of_stdout())
        }
    }
}

/// The document without what changes by itself: the time, and the ages in the findings.
fn comparable(Snapshot { overview, findings }: &Snapshot) -> Value {
    let kind = |finding: &Finding| Finding { slot: finding.slot, ..Finding::new(finding.id, "") };
    let kinds: Vec<_> = findings.iter().map(kind).collect();
    let mut document = json::document(overview, &kinds);
    document["at"] = Value::Null;
    document
}
