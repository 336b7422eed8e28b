//! The words for it, the same wherever they are read, and what to type.

use std::time::Duration;

use auth_volume::Timestamp;
use auth_volume::state::{Cooldown, Kind, Parked, Source};
use rotation::absorb::needs_login;

use crate::{Condition, Overview, Row, Serving};

/// The words that say how an account stands.
#[must_use]
pub fn states(row: &Row, now: Timestamp) -> Vec<String> {
    let condition = match &row.condition {
        Condition::Ready if row.is_active => None,
        Condition::Ready => Some("ready".to_owned()),
        Condition::Capped(cooldown) => Some(capped(cooldown, now)),
        Condition::Parked(Parked { until: None, .. }) => Some("parked".to_owned()),
        Condition::Parked(Parked { until: Some(until), .. }) => {
            Some(format!("parked until {}", clock(*until, now)))
        }
        Condition::RefreshDue => None,
        Condition::NeedsLogin(_) => Some("needs login".to_owned()),
        Condition::Duplicate(other) => Some(format!("same account as {}", other.number())),
        Condition::Unusable(_) => Some("broken".to_owned()),
    };
    let word = |is: bool, word: &str| is.then(|| word.to_owned());
    let words = [
        word(row.is_active, "active"),
        condition,
        word(row.is_pinned, "pinned"),
        word(row.is_due, "refresh due"),
    ];
    words.into_iter().flatten().collect()
}

/// `capped until 11-23 21:40 (resets_at)`; `resting` after a refusal that passes.
fn capped(Cooldown { until, kind, source }: &Cooldown, now: Timestamp) -> String {
    let word = match kind {
        Kind::UsageCap => "capped",
        Kind::Transient => "resting",
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
    /// In words, the command among them.
    pub said: String,
    /// What to type, where that mends it.
    pub command: Option<String>,
}

/// What needs a hand, slot by slot and then of all, and what to type.
#[must_use]
pub fn notes(overview: &Overview) -> Vec<Note> {
    let of_slots = overview.rows.iter().filter_map(of_slot);
    let of_pin = overview.pin_is_lost.then(|| {
        note("the pinned account is in no slot: run accounts unpin".to_owned(), Some("accounts unpin"))
    });
    of_slots.chain(of_record(overview)).chain(of_pin).collect()
}

fn of_slot(Row { slot, condition, .. }: &Row) -> Option<Note> {
    let number = slot.number();
    let login = format!("auth-login {number}");
    Some(match condition {
        Condition::NeedsLogin(why) => note(needs_login(*slot, why), Some(&login)),
        Condition::Unusable(why) => note(broken(&slot.to_string(), why, &login), Some(&login)),
        Condition::Duplicate(other) => {
            let remove = format!("accounts remove {number}");
            let said = format!("{slot} is the same account as {other}, whose login is newer: run {remove}");
            note(said, Some(&remove))
        }
        Condition::Parked(Parked { reason: Some(reason), .. }) => {
            note(format!("{slot} parked: {reason}"), None)
        }
        Condition::Ready | Condition::Capped(_) | Condition::Parked(_) | Condition::RefreshDue => {
            return None;
        }
    })
}

/// `account-1 is broken: empty: run auth-login 1`; what is wrong may say what to do by itself.
#[must_use]
pub fn broken(who: &str, why: &str, command: &str) -> String {
    let run = if why.ends_with(command) { String::new() } else { format!(": run {command}") };
    format!("{who} is broken: {why}{run}")
}

fn of_record(overview: &Overview) -> Option<Note> {
    let (said, command) = match overview.serving {
        _ if overview.rows.is_empty() => ("nobody has signed in: run auth-login 1", "auth-login 1"),
        Serving::Account(_) => return None,
        Serving::Stranger => {
            ("auth.json is of an account that no slot holds: run rotate-once", "rotate-once")
        }
        Serving::Placeholder => {
            ("no account serves: auth.json is the placeholder, see accounts why", "accounts why")
        }
        Serving::Nothing => ("no account serves: there is no auth.json, run rotate-once", "rotate-once"),
        Serving::Foreign(_) => {
            ("auth.json was not written by us: run rotate-once, and see accounts doctor", "rotate-once")
        }
    };
    Some(note(said.to_owned(), Some(command)))
}

fn note(said: String, command: Option<&str>) -> Note {
    Note { said, command: command.map(str::to_owned) }
}
