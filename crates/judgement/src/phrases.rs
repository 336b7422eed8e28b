//! Phrases that operators search the log for, and that other texts share.

use records::state::Cooldown;
use records::{Slot, remedy};

/// `account-1 capped until 2026-11-23T15:00:00Z (usage cap, resets_at)`
#[must_use]
pub fn capped(slot: Slot, cooldown: &Cooldown) -> String {
    format!("{slot} capped until {cooldown}")
}

/// `account-1 capped for gpt-5.6-sol until 2026-11-23T15:00:00Z (usage cap, resets_at)`
#[must_use]
pub fn capped_for(slot: Slot, model: &str, cooldown: &Cooldown) -> String {
    format!("{slot} capped for {model} until {cooldown}")
}

/// `account-1 needs login: run auth-login 1 (refresh_token_reused)`
#[must_use]
pub fn needs_login(slot: Slot, code: &str) -> String {
    with_remedy(&format!("{slot} needs login"), Some(&remedy::login(slot)), Some(code))
}

/// What is wrong, the command that resolves it, and why: `account-3 needs login: run auth-login 3 (refresh_token_reused)`.
#[must_use]
pub fn with_remedy(what: &str, command: Option<&str>, why: Option<&str>) -> String {
    // Some texts end with the command already.
    let command = command.filter(|command| !what.ends_with(*command));
    let command = command.map_or_else(String::new, |command| format!(": run {command}"));
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("{what}{command}{why}")
}
