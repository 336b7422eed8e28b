//! The overview for people: a table of 100 columns at the most, and below it what to type.

use std::time::Duration;

use auth_volume::Timestamp;
use auth_volume::state::{Cooldown, Kind, Parked, Source};
use auth_volume::usage::Minutes;
use rotation::absorb::needs_login;

use crate::overview::{Condition, Overview, Row, Serving, Who};
use crate::paint::{Colour, Paint};

/// What fits a terminal beside a chat window.
const WIDTH: usize = 100;

/// Where the words of a state go on in another line.
const STATE_WIDTH: usize = 36;

/// The longest name of a plan that is shown whole.
const PLAN_WIDTH: usize = 8;

/// Columns that stand between others.
const GAP: &str = "  ";

/// The table, and a line for each thing that needs a hand.
pub(crate) fn table(overview: &Overview, paint: Paint) -> String {
    if overview.rows.is_empty() {
        return notes(overview);
    }
    let windows = windows(overview);
    let lines: Vec<_> = overview.rows.iter().flat_map(|row| lines(row, &windows, overview.at)).collect();
    let head = head(&windows);
    let mut widths: Vec<_> = (0..head.len())
        .map(|at| {
            lines.iter().map(|line| chars(&line.cells[at])).chain([chars(&head[at])]).max().unwrap_or(0)
        })
        .collect();
    // A name gives way: it is known by its start.
    let total: usize = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    widths[NAME] -= total.saturating_sub(WIDTH).min(widths[NAME].saturating_sub(4));
    let mut text = row_text(&head, &widths, None, paint);
    for line in lines {
        text += &row_text(&line.cells, &widths, Some(line.colour), paint);
    }
    let notes = notes(overview);
    if notes.is_empty() { text } else { format!("{text}\n{notes}") }
}

/// Where the name and the state stand in a line.
const NAME: usize = 1;
const STATE: usize = 3;

struct Line {
    cells: Vec<String>,
    colour: Colour,
}

fn head(windows: &[Minutes]) -> Vec<String> {
    let fixed = ["SLOT", "ACCOUNT", "PLAN", "STATE (UTC)", "EXPIRES", "RENEWED"].map(str::to_owned);
    fixed.into_iter().chain(windows.iter().map(|window| window.to_string().to_uppercase())).collect()
}

/// The two windows that most plans have, and whichever others somebody has.
fn windows(overview: &Overview) -> Vec<Minutes> {
    let told = overview.rows.iter().filter_map(|row| row.who.as_ref()?.usage.as_ref());
    let told = told.flat_map(|usage| &usage.windows).map(|window| window.minutes);
    let mut windows: Vec<_> = told.chain([Minutes::FIVE_HOURS, Minutes::WEEK]).collect();
    windows.sort_unstable();
    windows.dedup();
    // More would not fit, and no plan has them.
    windows.truncate(4);
    windows
}

fn lines(row: &Row, windows: &[Minutes], now: Timestamp) -> Vec<Line> {
    let mut states = wrapped(&states(row, now)).into_iter();
    let who = row.who.as_ref();
    let known = |get: &dyn Fn(&Who) -> Option<String>| who.and_then(get).unwrap_or_else(|| "-".to_owned());
    let used = |window: &Minutes| {
        known(&|who| {
            let windows = &who.usage.as_ref()?.windows;
            Some(windows.iter().find(|used| used.minutes == *window)?.used_percent.to_string())
        })
    };
    let first = [
        row.slot.number().to_string(),
        known(&|who| Some(printable(&who.name))),
        known(&|who| who.plan.as_deref().map(|plan| cut(&printable(plan), PLAN_WIDTH))),
        states.next().unwrap_or_default(),
        known(&|who| Some(ends(who.expiry?.0, now))),
        known(&|who| Some(format!("{} ago", span(now.since(who.last_refresh?))))),
    ];
    let colour = colour(row);
    let first = Line { cells: first.into_iter().chain(windows.iter().map(used)).collect(), colour };
    let further = states.map(|state| {
        let mut cells = vec![String::new(); first.cells.len()];
        cells[STATE] = state;
        Line { cells, colour }
    });
    let further: Vec<_> = further.collect();
    [first].into_iter().chain(further).collect()
}

/// The words that say how an account stands.
fn states(row: &Row, now: Timestamp) -> Vec<String> {
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

fn ends(expiry: Timestamp, now: Timestamp) -> String {
    if expiry > now { format!("in {}", span(expiry.since(now))) } else { "expired".to_owned() }
}

/// `9d`, `13h`, `45m` or `30s`, rounded down.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, 's'));
    format!("{}{unit}", seconds / size)
}

fn colour(row: &Row) -> Colour {
    match row.condition {
        Condition::Ready if row.is_active => Colour::Green,
        Condition::Ready => Colour::Plain,
        Condition::Capped(_) | Condition::RefreshDue => Colour::Yellow,
        Condition::Parked(_) => Colour::Blue,
        Condition::NeedsLogin(_) | Condition::Duplicate(_) | Condition::Unusable(_) => Colour::Red,
    }
}

fn row_text(cells: &[String], widths: &[usize], colour: Option<Colour>, paint: Paint) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        let padding = " ".repeat(width - chars(&cell));
        // Percentages are compared from the right.
        let is_number = at > STATE + 2;
        let painted = match colour {
            Some(colour) if at == STATE => paint.with(colour, &cell),
            _ => cell,
        };
        text += &if is_number { padding + &painted } else { painted + &padding };
        text += GAP;
    }
    text.trim_end().to_owned() + "\n"
}

/// What to type, for each slot that needs a hand.
fn notes(overview: &Overview) -> String {
    let of_slots = overview.rows.iter().filter_map(|Row { slot, condition, .. }| {
        let number = slot.number();
        Some(match condition {
            Condition::NeedsLogin(why) => needs_login(*slot, why),
            Condition::Unusable(why) => format!("{slot} is broken: {why}: run auth-login {number}"),
            Condition::Duplicate(other) => {
                format!("{slot} is the same account as {other}, whose login is newer: run accounts remove {number}")
            }
            Condition::Parked(Parked { reason: Some(reason), .. }) => format!("{slot} parked: {reason}"),
            _ => return None,
        })
    });
    let of_record = match overview.serving {
        _ if overview.rows.is_empty() => Some("nobody has signed in: run auth-login 1"),
        Serving::Account(_) => None,
        Serving::Stranger => Some("auth.json is of an account that no slot holds: run rotate-once"),
        Serving::Placeholder => Some("no account serves: auth.json is the placeholder, see accounts why"),
        Serving::Nothing => Some("no account serves: there is no auth.json, run rotate-once"),
        Serving::Foreign(_) => {
            Some("auth.json was not written by us: run rotate-once, and see accounts doctor")
        }
    };
    let of_pin = overview.pin_is_lost.then_some("the pinned account is in no slot: run accounts unpin");
    let general = of_record.into_iter().chain(of_pin).map(str::to_owned);
    of_slots.chain(general).map(|note| cut(&printable(&note), WIDTH) + "\n").collect()
}

/// Joins words as far as they fit a line.
fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if chars(line) + 2 + chars(word) <= STATE_WIDTH => {
                line.push_str(", ");
                line.push_str(word);
            }
            Some(line) => {
                line.push(',');
                lines.push(word.clone());
            }
            None => lines.push(word.clone()),
        }
    }
    lines
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    if chars(text) <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Nothing from a token may steer the terminal.
fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
