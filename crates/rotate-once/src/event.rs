//! An event, in words and as the document that receivers get: version 1, to which fields are added and in which none
//! is changed. Pure, and without a token, a whole address or the operator's own words.

use overview::trouble::Trouble;
use overview::words::{self, Note};
use overview::{Overview, Row, SlotState, json};
use records::text::printable;
use records::{Slot, Timestamp};
use serde_json::{Value, json};

use crate::condition::{About, failing, first_back, needs_login as needs_login_now};
use crate::ledger::{Entry, Say};

/// The longest text that is taken over from a login or a file: an event must fit a pipe of one page.
const LONGEST: usize = 120;

/// The longest text of an event.
const LONGEST_TEXT: usize = 480;

/// One.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) document: Value,
}

impl Event {
    /// What is to be said of an entry, by what there is to see now.
    pub(crate) fn new(say: Say, entry: &Entry, overview: &Overview) -> Self {
        let row = row(entry, overview);
        let condition = match entry.about {
            About::Pool => "pool-exhausted",
            About::Account(_) | About::File(_) => "needs-login",
            About::Refresh(_) => "refresh-failing",
        };
        let slot = row.map(|row| row.slot).or(entry.slot);
        let told = match (say, &entry.about) {
            (Say::Condition, About::Pool) => pool_exhausted(overview),
            (Say::Condition, About::Refresh(_)) => refresh_failing(slot, name(entry).as_deref(), row),
            (Say::Condition, _) => needs_login(slot, name(entry).as_deref(), row),
            (Say::Recovered, About::Pool) => pool_recovered(overview),
            (Say::Recovered, About::Refresh(_)) => refreshed(slot, name(entry).as_deref(), row),
            (Say::Recovered, _) => recovered(slot, name(entry).as_deref(), row),
        };
        let kind = match say {
            Say::Condition => condition,
            Say::Recovered => "recovered",
        };
        let place = entry.slot.map_or_else(String::new, |slot| format!("-{}", slot.number()));
        let document = json!({
            "version": 1,
            "event": kind,
            "recovered_from": (say == Say::Recovered).then_some(condition),
            // The same at each try, and when it is over.
            "id": format!("{condition}{place}-{}", entry.since.seconds()),
            "at": overview.at,
            "since": entry.since,
            "text": told.text,
            "command": told.command,
            "slot": slot,
            "identity": name(entry),
            "state": told.state,
            "why": told.why,
            "back_at": told.back_at,
            "usable": overview.usable(),
            "slots": overview.rows.len(),
        });
        Self { kind, text: told.text, document }
    }
}

/// What differs from event to event.
#[derive(Default)]
struct Told {
    text: String,
    command: Option<String>,
    state: Option<&'static str>,
    why: Option<String>,
    back_at: Option<Timestamp>,
}

fn row<'a>(entry: &Entry, overview: &'a Overview) -> Option<&'a Row> {
    let mut rows = overview.rows.iter();
    match &entry.about {
        About::Pool => None,
        About::File(slot) => rows.find(|row| row.slot == *slot),
        About::Account(account) | About::Refresh(account) => rows.find(|row| {
            row.who.as_ref().is_some_and(|who| who.account == *account)
                && !matches!(row.state, SlotState::Duplicate(_))
        }),
    }
}

fn name(entry: &Entry) -> Option<String> {
    entry.identity.as_deref().map(harmless)
}

fn needs_login(slot: Option<Slot>, name: Option<&str>, row: Option<&Row>) -> Told {
    let Some(slot) = slot else { return Told::default() };
    let note = row.into_iter().flat_map(words::of_row).find(|note| note.command.is_some());
    let note = note.unwrap_or_else(|| {
        Note::with(format!("{slot} needs login"), format!("auth-login {}", slot.number()))
    });
    let why = row.and_then(|row| match (&row.state, row.troubles.first()) {
        (SlotState::NeedsLogin(why), _) => Some(harmless(why)),
        (SlotState::Unusable(broken), _) => Some(harmless(&broken.why)),
        (_, Some(Trouble::NeedsLogin { code, .. })) => Some(harmless(code)),
        _ => None,
    });
    Told { why, ..told(slot, name, row, note) }
}

fn told(slot: Slot, name: Option<&str>, row: Option<&Row>, note: Note) -> Told {
    let text = note.line().replacen(&slot.to_string(), &who(slot, name), 1);
    let text = text.chars().map(|c| if "<>&".contains(c) { '?' } else { c }).take(LONGEST_TEXT).collect();
    Told { text, command: note.command, state: row.map(json::state), why: None, back_at: None }
}

fn refresh_failing(slot: Option<Slot>, name: Option<&str>, row: Option<&Row>) -> Told {
    let (Some(slot), Some(trouble)) = (slot, row.and_then(failing)) else { return Told::default() };
    Told { why: Some(trouble.word().to_owned()), ..told(slot, name, row, trouble.note(slot)) }
}

fn refreshed(slot: Option<Slot>, name: Option<&str>, row: Option<&Row>) -> Told {
    let Some(slot) = slot else { return Told::default() };
    let who = who(slot, name);
    let text = match row {
        None => format!("{who} needs no refresh any more: it is in no slot"),
        Some(row) if needs_login_now(row) => format!("{who} waits for no refresh any more: it needs a login"),
        Some(_) => format!("{who} is refreshed as usual again"),
    };
    Told { text, state: row.map(json::state), ..Told::default() }
}

fn recovered(slot: Option<Slot>, name: Option<&str>, row: Option<&Row>) -> Told {
    let Some(slot) = slot else { return Told::default() };
    let who = who(slot, name);
    let text = match row.map(json::state) {
        Some(state) => format!("{who} needs no login any more: it is {}", state.replace('_', " ")),
        None => format!("{who} needs no login any more: it is in no slot"),
    };
    Told { text, state: row.map(json::state), ..Told::default() }
}

fn pool_exhausted(overview: &Overview) -> Told {
    if let Some((row, back_at)) = first_back(&overview.rows) {
        let login = format!("auth-login {}", first_free(overview).number());
        let name = row.who.as_ref().map(|who| harmless(&who.name));
        let text = format!(
            "no account can serve: {} comes back first, {back_at}; wait, or sign one more in: {login}",
            who(row.slot, name.as_deref())
        );
        return Told { text, command: Some(login), state: Some("capped"), why: None, back_at: Some(back_at) };
    }
    let why = "accounts why";
    let text = format!("no account can serve: agents are refused until one can; run {why}");
    Told { text, command: Some(why.to_owned()), state: Some("unusable"), ..Told::default() }
}

fn pool_recovered(overview: &Overview) -> Told {
    let text = format!("{} of {} accounts can serve again", overview.usable(), overview.rows.len());
    Told { text, state: Some("ready"), ..Told::default() }
}

fn first_free(overview: &Overview) -> Slot {
    Slot::first_free(&overview.rows.iter().map(|row| row.slot).collect::<Vec<_>>())
}

/// `account-2 (b…@example.test)`
fn who(slot: Slot, name: Option<&str>) -> String {
    name.map_or_else(|| slot.to_string(), |name| format!("{slot} ({name})"))
}

/// What comes from a login goes to programs that may read `<!channel>` into it: printable, short, and without those
/// characters.
fn harmless(text: &str) -> String {
    printable(text).chars().take(LONGEST).map(|c| if "<>&".contains(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_says_of_itself_can_neither_call_a_channel_nor_begin_a_line() {
        assert_eq!(harmless("é…@exämple.test"), "é…@exämple.test");
        assert_eq!(harmless("a…@<!channel>\n&x"), "a…@?!channel? ?x");
        assert_eq!(harmless("\u{202e}\u{1b}[2J"), " [2J");
        assert_eq!(harmless(&"x".repeat(5000)).len(), LONGEST);
    }
}
