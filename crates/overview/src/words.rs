//! The words for it, the same wherever they are read, and what to type.

use std::time::Duration;

use judgement::pool::Broken;
use records::state::{Cooldown, Kind, Parked, Source};
use records::{Slot, Timestamp};

use crate::{Overview, Row, Serving, SlotState};

/// The words that say how an account stands.
#[must_use]
pub fn states(row: &Row, now: Timestamp) -> Vec<String> {
    let state = match &row.state {
        SlotState::Ready if row.is_active => None,
        SlotState::Ready => Some("ready".to_owned()),
        SlotState::Capped(cooldown) => Some(capped(cooldown, now)),
        SlotState::Parked(Parked { until: None, .. }) => Some("parked".to_owned()),
        SlotState::Parked(Parked { until: Some(until), .. }) => {
            Some(format!("parked until {}", clock(*until, now)))
        }
        SlotState::RefreshDue => None,
        SlotState::NeedsLogin(_) => Some("needs login".to_owned()),
        SlotState::CameFrom(_) => Some("another account".to_owned()),
        SlotState::Duplicate(other) => Some(format!("same account as {}", other.number())),
        SlotState::Unusable(_) => Some("broken".to_owned()),
    };
    let word = |is: bool, word: &str| is.then(|| word.to_owned());
    let words = [
        word(row.is_active, "active"),
        state,
        word(row.is_pinned, "pinned"),
        word(row.is_due, "refresh due"),
    ];
    let troubles = row.troubles.iter().map(|trouble| trouble.word().to_owned());
    words.into_iter().flatten().chain(troubles).collect()
}

/// `capped until 11-23 21:40 (resets_at)`; `resting` after a refusal that passes.
fn capped(Cooldown { until, kind, source }: &Cooldown, now: Timestamp) -> String {
    let word = match kind {
        Kind::UsageCap => "capped",
        Kind::Transient | Kind::Refused => "resting",
    };
    let source = match source {
        Source::ResetsAt => "resets_at",
        Source::Headers => "headers",
        Source::Floor => "floor",
        Source::Predecessor => "predecessor",
    };
    format!("{word} until {} ({source})", clock(*until, now))
}

/// `11-23 21:40`, with the year when it is another one.
fn clock(time: Timestamp, now: Timestamp) -> String {
    let (time, now) = (time.to_string(), now.to_string());
    let from = if time[..4] == now[..4] { 5 } else { 0 };
    time[from..16].replace('T', " ")
}

/// `in 9d`, or that it has expired.
#[must_use]
pub fn ends(expiry: Timestamp, now: Timestamp) -> String {
    if expiry > now { format!("in {}", span(expiry.since(now))) } else { "expired".to_owned() }
}

/// `9d`, `13h`, `45m` or `30s`, rounded down.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, 's'));
    format!("{}{unit}", seconds / size)
}

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is.
    pub what: String,
    /// What to type, where that mends it.
    pub command: Option<String>,
    /// Why, or what else there is to it.
    pub why: Option<String>,
}

impl Note {
    /// What is wrong, and the command that mends it.
    #[must_use]
    pub fn with(what: String, command: String) -> Self {
        Self { what, command: Some(command), why: None }
    }

    /// All of it in a line: `account-3 needs login: run auth-login 3 (refresh_token_reused)`.
    #[must_use]
    pub fn line(&self) -> String {
        // What is wrong may say what to do by itself.
        let command = self.command.as_ref().filter(|command| !self.what.ends_with(command.as_str()));
        let command = command.map_or_else(String::new, |command| format!(": run {command}"));
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!("{}{command}{why}", self.what)
    }

    /// The same without the command, for those who show that elsewhere.
    #[must_use]
    pub fn finding(&self) -> String {
        Self { command: None, ..self.clone() }.line()
    }
}

/// What needs a hand, slot by slot and then of all, and what to type.
#[must_use]
pub fn notes(overview: &Overview) -> Vec<Note> {
    let of_slots = overview.rows.iter().flat_map(of_row);
    let of_pin = overview
        .pin_is_lost
        .then(|| Note::with("the pinned account is in no slot".to_owned(), "accounts unpin".to_owned()));
    of_slots.chain(of_record(overview)).chain(of_pin).collect()
}

/// What needs a hand in one slot.
#[must_use]
pub fn of_row(row: &Row) -> Vec<Note> {
    of_slot(row).into_iter().chain(row.troubles.iter().map(|trouble| trouble.note(row.slot))).collect()
}

fn of_slot(Row { slot, state, .. }: &Row) -> Option<Note> {
    let number = slot.number();
    let login = format!("auth-login {number}");
    Some(match state {
        SlotState::NeedsLogin(why) => Note::with(format!("{slot} needs login"), login).because(why),
        SlotState::Unusable(broken) => {
            Note::with(format!("{slot} is broken: {broken}"), remedy_for(*slot, broken))
        }
        // By now the slot has another owner, who would be protected.
        SlotState::CameFrom(from) => Note::with(
            format!("{slot} belonged to {from}, and its last refresh answered for another account"),
            format!("auth-login --replace {number}"),
        )
        .because(&format!("accounts unpark {number} lets it serve")),
        SlotState::Duplicate(other) => Note::with(
            format!("{slot} is the same account as {other}, whose login is newer"),
            format!("accounts remove {number}"),
        ),
        SlotState::Parked(Parked { reason: Some(reason), .. }) => {
            Note { what: format!("{slot} parked: {reason}"), command: None, why: None }
        }
        SlotState::Ready | SlotState::Capped(_) | SlotState::Parked(_) | SlotState::RefreshDue => {
            return None;
        }
    })
}

/// What mends a slot whose file gives no login: a new one, unless what lies there could not be replaced by it.
#[must_use]
pub fn remedy_for(slot: Slot, broken: &Broken) -> String {
    let number = slot.number();
    if broken.is_in_the_way { format!("accounts remove {number}") } else { format!("auth-login {number}") }
}

fn of_record(overview: &Overview) -> Option<Note> {
    let (what, command) = match overview.serving {
        _ if overview.rows.is_empty() => ("nobody has signed in", "auth-login 1"),
        Serving::Account(_) => return None,
        Serving::Stranger => ("auth.json is of an account that no slot holds", "rotate-once"),
        Serving::Placeholder => ("no account serves: auth.json is the placeholder", "accounts why"),
        Serving::Nothing => ("no account serves: there is no auth.json", "rotate-once"),
        Serving::Foreign(_) => ("auth.json was not written by us", "rotate-once"),
    };
    Some(Note::with(what.to_owned(), command.to_owned()))
}

impl Note {
    pub(crate) fn because(self, why: &str) -> Self {
        Self { why: Some(why.to_owned()), ..self }
    }
}
