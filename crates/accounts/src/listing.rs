//! Showing the accounts, once or again and again. Takes no lock, asks nobody, changes nothing.

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

use crate::paint::Paint;
use crate::table;

/// What clears a screen and goes to its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How the accounts are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) observer: Observer,
    pub(crate) as_json: bool,
}

/// What is shown.
struct Shown {
    overview: Overview,
    findings: Vec<Finding>,
}

impl Listing<'_> {
    pub(crate) fn once(self) -> Result<(), Failure> {
        say(&self.text(&self.look()?)).map(|_| ())
    }

    /// Shows them again on the same screen; where there is none, whenever something has changed.
    pub(crate) fn again_and_again(self, every: Duration) -> Result<(), Failure> {
        let is_screen = std::io::stdout().is_terminal() && !self.as_json;
        let mut before = None;
        loop {
            let shown = self.look()?;
            let now = comparable(&shown);
            if is_screen || before.as_ref() != Some(&now) {
                let start = if is_screen {
                    CLEAR
                } else if before.is_some() && !self.as_json {
                    "\n"
                } else {
                    ""
                };
                if !say(&format!("{start}{}", self.text(&shown)))? {
                    return Ok(());
                }
                before = Some(now);
            }
            sleep(every);
        }
    }

    fn look(self) -> Result<Shown, Failure> {
        let (observed, _) = self.observer.observe(self.volume, clock::now())?;
        Ok(Shown { findings: findings(&observed), overview: observed.overview })
    }

    fn text(self, Shown { overview, findings }: &Shown) -> String {
        if self.as_json {
            json::document(overview, findings).to_string() + "\n"
        } else {
            table::table(overview, findings, Paint::where_seen())
        }
    }
}

/// What is the same as long as nothing changes: no time of looking, no ages.
fn comparable(Shown { overview, findings }: &Shown) -> Value {
    let kind = |finding: &Finding| Finding { slot: finding.slot, ..Finding::new(finding.id, "") };
    let kinds: Vec<_> = findings.iter().map(kind).collect();
    let mut document = json::document(overview, &kinds);
    document["at"] = Value::Null;
    document
}
