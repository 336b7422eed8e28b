//! Events: that a condition has begun or is over, as text and as the document that receivers get. In version 1 fields
//! are added, and none is changed. Without a token, a whole address or anything that an operator wrote. Pure.

use overview::finding::Finding;
use overview::trouble::Trouble;
use overview::{Overview, Row, SlotState, json};
use records::text::printable;
use records::{Slot, Timestamp};
use serde_json::{Value, json};

use crate::condition::{About, Condition, Conditions};
use crate::ledger::{Change, Entry};

/// The longest text that is copied from a login or a file: an event must fit a pipe of one page.
const LONGEST: usize = 120;

/// The longest `text` of an event.
const LONGEST_TEXT: usize = 480;

/// What a receiver gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) document: Value,
}

impl Event {
    /// The event for a change of an entry, with what is known of the accounts now.
    pub(crate) fn new(change: Change, entry: &Entry, conditions: &Conditions, overview: &Overview) -> Self {
        let row = row(entry, overview);
        let kind_of_condition = match entry.about {
            About::Pool => "pool-exhausted",
            About::Forecast => "pool-runs-out",
            About::Account(_) | About::File(_) => "needs-login",
            About::Refresh(_) => "refresh-failing",
        };
        let slot = row.map(|row| row.slot).or(entry.slot);
        let name = entry.identity.as_deref().map(harmless);
        let who = slot.map_or_else(String::new, |slot| who(slot, name.as_deref()));
        let content = match (change, conditions.about(&entry.about)) {
            (Change::Began, Some(condition)) => began(condition, &who, row, overview),
            (Change::Began, None) => Content::default(),
            (Change::Ended, _) => ended(&entry.about, &who, row, overview),
        };
        let kind = match change {
            Change::Began => kind_of_condition,
            Change::Ended => "recovered",
        };
        let place = entry.slot.map_or_else(String::new, |slot| format!("-{}", slot.number()));
        let document = json!({
            "version": 1,
            "event": kind,
            "recovered_from": (change == Change::Ended).then_some(kind_of_condition),
            // The same at each attempt, and when the condition is over.
            "id": format!("{kind_of_condition}{place}-{}", entry.since.seconds()),
            "at": overview.at,
            "since": entry.since,
            "text": content.text,
            "command": content.command,
            "slot": slot,
            "identity": name,
            "state": content.state,
            "why": content.why,
            "back_at": content.back_at,
            "usable": overview.usable(),
            "slots": overview.rows.len(),
        });
        Self { kind, text: content.text, document }
    }
}

/// The fields that depend on the kind of event.
#[derive(Default)]
struct Content {
    text: String,
    command: Option<String>,
    state: Option<&'static str>,
    why: Option<String>,
    back_at: Option<Timestamp>,
}

/// The row that an entry is about. A duplicate does not count: its login is older than the account's.
fn row<'a>(entry: &Entry, overview: &'a Overview) -> Option<&'a Row> {
    let mut rows = overview.rows.iter();
    match &entry.about {
        About::Pool | About::Forecast => None,
        About::File(slot) => rows.find(|row| row.slot == *slot),
        About::Account(account) | About::Refresh(account) => rows.find(|row| {
            row.who.as_ref().is_some_and(|who| who.account.as_ref() == Some(account))
                && !matches!(row.state, SlotState::Duplicate(_))
        }),
    }
}

/// The content for a condition that holds: its finding, with the account's name beside its slot.
fn began(condition: &Condition, who: &str, row: Option<&Row>, overview: &Overview) -> Content {
    let Finding { slot, command, .. } = &condition.finding;
    let first_back = overview.first_back().filter(|_| condition.about == About::Pool);
    let text = condition.finding.line();
    let text = match (slot, first_back) {
        (Some(slot), _) => text.replacen(&slot.to_string(), who, 1),
        (None, Some((first, _))) => {
            let name = first.who.as_ref().map(|who| harmless(&who.name));
            text.replacen(&first.slot.to_string(), &self::who(first.slot, name.as_deref()), 1)
        }
        (None, None) => text,
    };
    let state = match condition.about {
        About::Pool if condition.is_grave => Some("unusable"),
        About::Pool => Some("capped"),
        About::Forecast => Some("ready"),
        _ => row.map(json::state),
    };
    Content {
        text: text.chars().map(harmless_char).take(LONGEST_TEXT).collect(),
        command: command.clone(),
        state,
        why: why(&condition.about, row),
        back_at: first_back.map(|(_, back_at)| back_at),
    }
}

/// The reason alone, for programs.
fn why(about: &About, row: Option<&Row>) -> Option<String> {
    let row = row?;
    let code_or_words = match (about, &row.state) {
        (About::Refresh(_), _) => {
            let failing = row.troubles.iter().find(|trouble| !matches!(trouble, Trouble::NeedsLogin { .. }));
            return failing.map(|trouble| trouble.word().to_owned());
        }
        (_, SlotState::NeedsLogin(why)) => why,
        (_, SlotState::Unusable(broken)) => &broken.why,
        _ => row.troubles.iter().find_map(|trouble| match trouble {
            Trouble::NeedsLogin { code, .. } => Some(code),
            _ => None,
        })?,
    };
    Some(harmless(code_or_words))
}

fn ended(about: &About, who: &str, row: Option<&Row>, overview: &Overview) -> Content {
    let state = row.map(json::state);
    let text = match (about, row) {
        (About::Pool, _) => {
            let text = format!("{} of {} accounts can serve again", overview.usable(), overview.rows.len());
            return Content { text, state: Some("ready"), ..Content::default() };
        }
        (About::Forecast, _) => {
            let text = "at the rate of the last hours the pool lasts".to_owned();
            return Content { text, state: Some("ready"), ..Content::default() };
        }
        (_, None) if who.is_empty() => return Content::default(),
        (About::Refresh(_), None) => format!("{who} no longer needs a refresh: it is in no slot"),
        (About::Refresh(_), Some(row)) if row.needs_login() => {
            format!("{who} no longer waits for a refresh: it needs a login")
        }
        (About::Refresh(_), Some(_)) => format!("{who} is refreshed as usual again"),
        (About::Account(_) | About::File(_), Some(row)) => {
            format!("{who} no longer needs a login: it is {}", json::state(row).replace('_', " "))
        }
        (About::Account(_) | About::File(_), None) => {
            format!("{who} no longer needs a login: it is in no slot")
        }
    };
    Content { text, state, ..Content::default() }
}

/// `account-2 (b…@example.test)`
fn who(slot: Slot, name: Option<&str>) -> String {
    name.map_or_else(|| slot.to_string(), |name| format!("{slot} ({name})"))
}

/// What comes from a login may reach a chat that reads `<!channel>` as a command, so it is made printable, short and
/// free of such characters.
fn harmless(text: &str) -> String {
    printable(text).chars().take(LONGEST).map(harmless_char).collect()
}

fn harmless_char(c: char) -> char {
    if "<>&".contains(c) { '?' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_contains_can_neither_call_a_channel_nor_begin_a_line() {
        assert_eq!(harmless("é…@exämple.test"), "é…@exämple.test");
        assert_eq!(harmless("a…@<!channel>\n&x"), "a…@?!channel? ?x");
        assert_eq!(harmless("\u{202e}\u{1b}[2J"), " [2J");
        assert_eq!(harmless(&"x".repeat(5000)).len(), LONGEST);
    }
}
