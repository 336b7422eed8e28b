//! Judges what codex wrote: whether it is a login, and whether it may go into this slot. Pure.

use auth_volume::masters::Master;
use cli::exit::{Exit, Failure};
use records::login::NotALogin;
use records::{AccountId, Expiry, Login, Slot, Timestamp, remedy};
use thiserror::Error;

/// A login that may be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) login: Login,
    /// Slots with an older login of the same account. They are emptied, because an account has one slot.
    pub(crate) superseded: Vec<Slot>,
}

/// Why a login is not stored.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    #[error(
        "codex said it logged in, but what it wrote is {0}: try again, or use another codex with --codex-bin"
    )]
    NotALogin(#[from] NotALogin),
    #[error("codex said it logged in, but its login has no {0}: try again with the plain command")]
    Lacks(&'static str),
    #[error("codex said it logged in, but its access token expired {0}: check this machine's clock, now {1}")]
    Expired(Expiry, Timestamp),
    #[error(
        "{slot} belongs to {owner}, and {who} signed in: sign in as the owner, choose another slot, or run {}",
        remedy::login_replacing(*slot)
    )]
    OtherOwner { slot: Slot, owner: AccountId, who: AccountId },
    #[error(
        "{who} is already signed in as {other}: run {} to sign in again there, or {} to move it here",
        remedy::login(*other), remedy::login_replacing(*slot)
    )]
    HeldBy { slot: Slot, other: Slot, who: AccountId },
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        // The names in it come from tokens.
        Self::new(Exit::Failed, records::text::line(&refused.to_string()))
    }
}

/// Judges what codex wrote, against what the volume holds.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn accept(
    written: &[u8],
    slot: Slot,
    masters: &[Master],
    replace: bool,
    now: Timestamp,
) -> Result<Accepted, Refused> {
    let login = Login::parse(written)?;
    if login.refresh_token.is_none() {
        return Err(Refused::Lacks("refresh token"));
    }
    // An opaque access token has no `exp`, and without it the rotator would not know when to refresh the login.
    let expiry = login.expiry.ok_or(Refused::Lacks("expiry"))?;
    if expiry.has_passed(now) {
        return Err(Refused::Expired(expiry, now));
    }
    let holds = |master: &&Master| master.login.as_ref().is_ok_and(|held| held.account == login.account);
    let superseded: Vec<_> =
        masters.iter().filter(|master| master.slot != slot).filter(holds).map(|master| master.slot).collect();
    if !replace {
        let who = login.account.clone();
        if let Some(&other) = superseded.first() {
            return Err(Refused::HeldBy { slot, other, who });
        }
        let held =
            masters.iter().find(|master| master.slot == slot).and_then(|master| master.login.as_ref().ok());
        if let Some(owner) = held.map(|held| held.account.clone()).filter(|owner| *owner != who) {
            return Err(Refused::OtherOwner { slot, owner, who });
        }
    }
    Ok(Accepted { login, superseded })
}

#[cfg(test)]
mod tests {
    use fixture::jwt;
    use records::Secret;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    /// What codex has written.
    fn written(account: &str, exp: i64, refresh_token: &str) -> Vec<u8> {
        let claims = json!({"exp": exp, "https://api.openai.com/auth": {"chatgpt_account_id": account}});
        let tokens = json!({"access_token": jwt(&claims), "refresh_token": refresh_token});
        json!({"tokens": tokens}).to_string().into_bytes()
    }

    fn slot(number: u32) -> Slot {
        number.to_string().parse().unwrap()
    }

    fn master(number: u32, account: &str) -> Master {
        let login = Login::from_tokens(Secret::new("at"), None, None, Some(account)).unwrap();
        Master { slot: slot(number), login: Ok(login), too_open: false }
    }

    fn judge(written: &[u8], masters: &[Master], replace: bool) -> Result<Vec<u32>, String> {
        accept(written, slot(1), masters, replace, Timestamp::from_seconds(NOW))
            .map(|accepted| accepted.superseded.into_iter().map(Slot::number).collect())
            .map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_first_login_and_another_one_by_the_owner_are_accepted() {
        let login = written("acct-A", NOW + 60, "rt");
        assert_eq!(judge(&login, &[master(2, "acct-B")], false), Ok(vec![]));
        assert_eq!(judge(&login, &[master(1, "acct-A")], false), Ok(vec![]));
    }

    #[test]
    fn a_slot_keeps_its_owner_unless_it_is_replaced() {
        let login = written("acct-B", NOW + 60, "rt");
        let masters = [master(1, "acct-A")];
        assert_eq!(
            judge(&login, &masters, false).unwrap_err(),
            "account-1 belongs to acct-A, and acct-B signed in: sign in as the owner, choose another slot, or run auth-login --replace 1"
        );
        assert_eq!(judge(&login, &masters, true), Ok(vec![]));
    }

    #[test]
    fn an_account_has_one_slot() {
        let login = written("acct-A", NOW + 60, "rt");
        let masters = [master(2, "acct-A")];
        assert_eq!(
            judge(&login, &masters, false).unwrap_err(),
            "acct-A is already signed in as account-2: run auth-login 2 to sign in again there, or auth-login --replace 1 to move it here"
        );
        assert_eq!(judge(&login, &masters, true), Ok(vec![2]));
    }

    #[test]
    fn a_broken_file_in_the_slot_has_no_owner() {
        let broken = Master { slot: slot(1), login: Err(NotALogin::Empty.into()), too_open: false };
        assert_eq!(judge(&written("acct-A", NOW + 60, "rt"), &[broken], false), Ok(vec![]));
    }

    #[test]
    fn an_incomplete_login_is_refused_whatever_codex_says() {
        let refused = |written: &[u8]| judge(written, &[], true).unwrap_err();
        assert!(refused(b"").contains("what it wrote is empty"));
        assert!(refused(br#"{"OPENAI_API_KEY":"sk-x"}"#).contains("no access_token in it"));
        assert!(
            refused(br#"{"access_token":"opaque","refresh_token":"r","account_id":"a"}"#)
                .contains("no expiry")
        );
        assert!(refused(&written("acct-A", NOW + 60, "")).contains("no refresh token"));
        assert!(refused(&written("acct-A", NOW, "rt")).contains("expired 2023-11-14T22:13:20Z"));
    }
}
