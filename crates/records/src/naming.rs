//! How people are named.

use serde::{Deserialize, Serialize};

use crate::text::printable;
use crate::{AccountId, Login};

/// How people are named where others may see it: on a screen, in a scrape, on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `a…@example.test`: enough for those who know the person.
    Masked,
    /// `ann@example.test`.
    InFull,
}

impl Naming {
    /// Whose login it is: the person's email address, or the account's id where no token has an address. Printable.
    #[must_use]
    pub fn of(self, login: &Login) -> String {
        let email = login.email.as_deref().map(printable).filter(|email| !email.trim().is_empty());
        let name = email.unwrap_or_else(|| printable(&login.account.account_id));
        match self {
            Self::InFull => name,
            Self::Masked => masked(&name),
        }
    }

    /// Which account it is, where no login of it is at hand. Its user may be known by an email address. Printable.
    #[must_use]
    pub fn of_account(self, account: &AccountId) -> String {
        match self {
            Self::InFull => account.to_string(),
            Self::Masked => masked(&printable(&account.account_id)),
        }
    }
}

fn masked(name: &str) -> String {
    let (shown, rest) = match name.rsplit_once('@') {
        Some((local, domain)) => (local.chars().take(1), format!("@{domain}")),
        None => (name.chars().take(name.chars().count().min(8) / 2), String::new()),
    };
    shown.chain(['…']).collect::<String>() + &rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn a_name_from_a_token_is_shown_printable() {
        let mut login =
            Login::from_tokens(Secret::new("opaque"), None, None, Some("a\x1b[2J\u{202e}b")).unwrap();
        assert_eq!(login.account.to_string(), "a [2Jb");
        assert_eq!(login.account.account_id, "a\x1b[2J\u{202e}b", "a header and a key stay as they are");
        assert_eq!(Naming::InFull.of(&login), "a [2Jb");
        login.email = Some("\u{202e}\nann@example.test".to_owned());
        assert_eq!(Naming::InFull.of(&login), " ann@example.test");
        assert_eq!(Naming::Masked.of(&login), " …@example.test");
        login.email = Some("\u{202e}".to_owned());
        assert_eq!(Naming::InFull.of(&login), "a [2Jb", "nothing is no name");
    }

    #[test]
    fn an_account_without_a_login_is_named_by_its_id_and_its_user_only_in_full() {
        let user_id = Some("ann@example.test".to_owned());
        let account = AccountId { account_id: "0b9d3a52-77aa".to_owned(), user_id };
        assert_eq!(Naming::InFull.of_account(&account), "0b9d3a52-77aa/ann@example.test");
        assert_eq!(Naming::Masked.of_account(&account), "0b9d…");
    }

    #[test]
    fn a_masked_name_is_known_to_those_who_know_it() {
        for (name, expected) in [
            ("ann@example.test", "a…@example.test"),
            ("@example.test", "…@example.test"),
            ("élodie@example.test", "é…@example.test"),
            ("0b9d3a52-77aa", "0b9d…"),
            ("ab", "a…"),
            ("", "…"),
        ] {
            assert_eq!(masked(name), expected);
        }
    }
}
