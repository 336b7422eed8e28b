//! Showing the accounts, once or again and again. Takes no lock, asks nobody, changes nothing.

use std::io::IsTerminal as _;
use std::thread::sleep;
use std::time::Duration;

use auth_volume::{Volume, clock};
use cli::exit::Failure;
use cli::log;
use cli::output::say;
use overview::{Overview, json, overview};
use records::Naming;
use rotation::reading::{self, Reading};
use serde_json::Value;

use crate::paint::Paint;
use crate::{COMMAND, table};

/// What clears a screen and goes to its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How the accounts are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) refresh_before: Duration,
    pub(crate) naming: Naming,
    pub(crate) as_json: bool,
}

impl Listing<'_> {
    pub(crate) fn once(self) -> Result<(), Failure> {
        let (overview, notes) = self.look()?;
        for note in notes {
            log::line(COMMAND, note);
        }
        say(&self.text(&overview)).map(|_| ())
    }

    /// Shows them again on the same screen; where there is none, whenever something has changed.
    pub(crate) fn again_and_again(self, every: Duration) -> Result<(), Failure> {
        let is_screen = std::io::stdout().is_terminal() && !self.as_json;
        let mut shown = None;
        loop {
            let (overview, _) = self.look()?;
            let seen = comparable(&overview);
            if is_screen || shown.as_ref() != Some(&seen) {
                let start = if is_screen {
                    CLEAR
                } else if shown.is_some() && !self.as_json {
                    "\n"
                } else {
                    ""
                };
                if !say(&format!("{start}{}", self.text(&overview)))? {
                    return Ok(());
                }
                shown = Some(seen);
            }
            sleep(every);
        }
    }

    fn look(self) -> Result<(Overview, Vec<String>), Failure> {
        let now = clock::now();
        let Reading { pool, notes, .. } = reading::read(self.volume, now)?;
        Ok((overview(&pool, self.refresh_before, self.naming, now), notes))
    }

    fn text(self, overview: &Overview) -> String {
        if self.as_json {
            json::document(overview).to_string() + "\n"
        } else {
            table::table(overview, Paint::where_seen())
        }
    }
}

/// What is the same as long as nothing changes: no time of looking, no ages.
fn comparable(overview: &Overview) -> Value {
    let mut document = json::document(overview);
    document["at"] = Value::Null;
    document
}
