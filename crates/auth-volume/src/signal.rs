//! The wake-up signal: what LiteLLM's callback, an operator or a login tells the rotator.

use serde_json::{Value, json};

use crate::{AccountId, Timestamp};

/// The `type` of the signal that a login leaves.
const SIGNED_IN: &str = "signed_in";

/// What a signal file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Rotate now, whoever is active: an empty file, or one that says no account.
    RotateNow,
    /// The provider turned an account away.
    Refused {
        /// The account as the callback names it; the user is missing when its token did not say.
        account: AccountId,
    },
    /// An account was signed in.
    SignedIn,
    /// Not JSON; treated as [`Signal::RotateNow`] and reported.
    Unreadable,
}

impl Signal {
    /// Reads a signal from a file's bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        if bytes.trim_ascii().is_empty() {
            return Self::RotateNow;
        }
        let Ok(document @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) else {
            return Self::Unreadable;
        };
        let text = |key: &str| document[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if document["type"] == SIGNED_IN {
            return Self::SignedIn;
        }
        match text("account_id") {
            Some(account_id) => Self::Refused { account: AccountId { account_id, user_id: text("user_id") } },
            None => Self::RotateNow,
        }
    }

    /// The bytes of the signal that a login leaves.
    #[must_use]
    pub fn signed_in(account: &AccountId, now: Timestamp) -> Vec<u8> {
        let signal = json!({"at": now.seconds(), "type": SIGNED_IN, "account_id": account.account_id});
        signal.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn understands_our_callback_the_predecessor_and_touch() {
        let parse = |text: &str| Signal::parse(text.as_bytes());
        assert_eq!(parse(""), Signal::RotateNow);
        assert_eq!(parse(r#"{"timestamp": 1, "model": "m", "exception": "e"}"#), Signal::RotateNow);
        let account = AccountId { account_id: "acct-A".into(), user_id: Some("user-A".into()) };
        assert_eq!(
            parse(r#"{"at": 1795439506.2, "status": 429, "account_id": "acct-A", "user_id": "user-A"}"#),
            Signal::Refused { account: account.clone() }
        );
        assert_eq!(Signal::parse(&Signal::signed_in(&account, Timestamp::now())), Signal::SignedIn);
        assert_eq!(parse("{half"), Signal::Unreadable);
        assert_eq!(parse("7"), Signal::Unreadable);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Signal::parse(&bytes);
        }
    }
}
