//! What is wrong, and what to type for it. Pure, and with the bounds of `accounts doctor`.

use std::time::Duration;

use overview::words::{notes, span};
use overview::{Serving, SlotState};

use crate::snapshot::Snapshot;

/// How late a pass may be beside the interval itself.
const A_PASS: Duration = Duration::from_mins(2);

/// How old the callback's sign of life may be, which it gives each minute.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_mins(3);

/// Something that needs a hand, or that one should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) said: String,
    /// What to type, where that mends it.
    pub(crate) command: Option<String>,
}

/// The worst first.
pub(crate) fn problems(snapshot: &Snapshot) -> Vec<Problem> {
    let pool = pool(snapshot).into_iter();
    let of_slots = notes(&snapshot.overview).into_iter().map(|note| problem(note.line(), note.command));
    let of_files = snapshot.notes.iter().map(|note| problem(note.clone(), None));
    pool.chain(rotator(snapshot)).chain(callback(snapshot)).chain(of_slots).chain(of_files).collect()
}

fn problem(said: impl Into<String>, command: Option<String>) -> Problem {
    Problem { said: said.into(), command }
}

/// Whether anybody can serve.
fn pool(snapshot: &Snapshot) -> Option<Problem> {
    let rows = &snapshot.overview.rows;
    if rows.is_empty() || snapshot.overview.usable() > 0 {
        return None;
    }
    let login = format!("auth-login {}", snapshot.first_free().number());
    let is_capped = |state: &SlotState| matches!(state, SlotState::Capped(_));
    Some(if rows.iter().any(|row| is_capped(&row.state)) {
        let said =
            format!("every account that could serve is capped: wait, or sign one more account in: {login}");
        problem(said, Some(login))
    } else {
        problem("no account can serve: agents are refused until one can", Some("accounts why".to_owned()))
    })
}

fn rotator(snapshot: &Snapshot) -> Option<Problem> {
    let age = snapshot.last_pass_age()?;
    if age <= snapshot.interval * 2 + A_PASS {
        return None;
    }
    let every = humantime::format_duration(snapshot.interval);
    let said =
        format!("the rotator is silent: its last pass was {} ago, and one is due every {every}", span(age));
    Some(problem(said, Some("rotate-once".to_owned())))
}

fn callback(snapshot: &Snapshot) -> Option<Problem> {
    let doctor = Some("accounts doctor".to_owned());
    let said = match &snapshot.callback {
        // Before there is a record, LiteLLM has not started either.
        None if matches!(snapshot.overview.serving, Serving::Nothing) => return None,
        None => "no LiteLLM has loaded the callback: refusals are not heard of".to_owned(),
        Some(sign) if snapshot.now().since(sign.at) > SIGN_OF_LIFE => {
            format!("LiteLLM's callback is silent since {}: it is gone, or runs without it", sign.at)
        }
        Some(sign) if !sign.held => "LiteLLM has imported the callback, and does not call it".to_owned(),
        Some(_) => return None,
    };
    Some(problem(said, doctor))
}
