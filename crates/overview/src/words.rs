//! The words for states and times, the same wherever they are read.

use std::time::Duration;

use records::state::{Cooldown, CooldownSource, Parked};
use records::{Lane, Timestamp};

use crate::{Row, SlotState};

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
        SlotState::Reserved(until) => Some(format!("reserved until {}", clock(*until, now))),
        SlotState::RefreshDue => None,
        SlotState::NeedsLogin(_) => Some("needs login".to_owned()),
        SlotState::OtherAccount(_) => Some("another account".to_owned()),
        SlotState::Duplicate(other) => Some(format!("same account as {}", other.number())),
        SlotState::Unusable(_) => Some("broken".to_owned()),
    };
    let word = |is: bool, word: &str| is.then(|| word.to_owned());
    let words = [
        row.is_active.then(|| active(&row.lanes)),
        state,
        word(row.is_pinned, "pinned"),
        word(row.is_due, "refresh due"),
    ];
    let troubles = row.troubles.iter().map(|trouble| trouble.word().to_owned());
    words.into_iter().flatten().chain(troubles).collect()
}

/// `active`, or with several lanes `active in lanes 1 and 3`; many are only counted, or they would not fit a column.
fn active(lanes: &[Lane]) -> String {
    let numbers: Vec<_> = lanes.iter().map(|lane| lane.number().to_string()).collect();
    match &numbers[..] {
        [] => "active".to_owned(),
        [lane] => format!("active in lane {lane}"),
        many if many.len() > 6 => format!("active in {} lanes", many.len()),
        [first @ .., last] => format!("active in lanes {} and {last}", first.join(", ")),
    }
}

/// `capped until 11-23 21:40 (resets_at)`
fn capped(Cooldown { until, source, .. }: &Cooldown, now: Timestamp) -> String {
    let source = match source {
        CooldownSource::ResetsAt => "resets_at",
        CooldownSource::Headers => "headers",
        CooldownSource::Floor => "floor",
        CooldownSource::Predecessor => "predecessor",
    };
    format!("capped until {} ({source})", clock(*until, now))
}

/// `11-23 21:40`, with the year if it is another than this one.
fn clock(time: Timestamp, now: Timestamp) -> String {
    let (time, now) = (time.to_string(), now.to_string());
    let from = if time[..4] == now[..4] { 5 } else { 0 };
    time[from..16].replace('T', " ")
}

/// `in 9d`, or that it has ended.
#[must_use]
pub fn ends(expiry: Timestamp, now: Timestamp) -> String {
    if expiry > now { format!("in {}", span(expiry.since(now))) } else { "ended".to_owned() }
}

/// `9d`, `13h`, `45m` or `30s`, rounded down.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, 's'));
    format!("{}{unit}", seconds / size)
}
