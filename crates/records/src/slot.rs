//! Slots: the numbered places for logins on the volume.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The place of one login on the volume: a number from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(NonZeroU32);

/// A text that is not the number of a slot.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a slot is a whole number from 1 on, such as 1 for auth-1.json")]
pub struct NotASlot;

impl Slot {
    /// The slot of `auth-1.json`.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The slot whose master has this file name: `auth-N.json`, N without leading zeros.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let slot: Self = name.strip_prefix("auth-")?.strip_suffix(".json")?.parse().ok()?;
        (slot.file_name() == name).then_some(slot)
    }

    /// The first slot that is not among these.
    #[must_use]
    pub fn first_free(taken: &[Self]) -> Self {
        let mut slot = Self::FIRST;
        while taken.contains(&slot) {
            slot = Self(slot.0.saturating_add(1));
        }
        slot
    }

    /// The file name of this slot's master.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("auth-{}.json", self.0)
    }

    /// The bare number, as it is typed.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

/// `account-N`, the name that log lines and tables use.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account-{}", self.0)
    }
}

impl FromStr for Slot {
    type Err = NotASlot;

    fn from_str(text: &str) -> Result<Self, NotASlot> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self).map_err(|_| NotASlot)
        } else {
            Err(NotASlot)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_whole_number_from_one_on_is_a_slot() {
        for (text, number) in [("1", 1), ("2", 2), ("3000", 3000)] {
            assert_eq!(text.parse::<Slot>().unwrap().number(), number);
        }
        for text in ["0", "", "x", "-1", "+1", "1.5", " 1", "99999999999"] {
            assert_eq!(text.parse::<Slot>(), Err(NotASlot), "{text:?}");
        }
    }

    #[test]
    fn only_the_exact_file_name_belongs_to_a_slot() {
        assert_eq!(Slot::from_file_name("auth-12.json").unwrap().number(), 12);
        for name in
            ["auth.json", "auth-.json", "auth-01.json", "auth-0.json", "auth-1.json.bak", ".auth-1.json.new"]
        {
            assert_eq!(Slot::from_file_name(name), None, "{name}");
        }
    }
}
