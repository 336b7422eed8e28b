//! Phrases that operators look for in the log, and that other texts share.

use records::Slot;
use records::state::Cooldown;

/// `account-1 capped until 2026-11-23T15:00:00Z (usage cap, resets_at)`
#[must_use]
pub fn capped(slot: Slot, cooldown: &Cooldown) -> String {
    format!("{slot} capped until {cooldown}")
}

/// `account-1 needs login: run auth-login 1 (refresh_token_reused)`
#[must_use]
pub fn needs_login(slot: Slot, code: &str) -> String {
    format!("{slot} {}", needs_login_itself(slot, code))
}

/// `needs login: run auth-login 1 (refresh_token_reused)`
#[must_use]
pub(crate) fn needs_login_itself(slot: Slot, code: &str) -> String {
    format!("needs login: run auth-login {} ({code})", slot.number())
}
