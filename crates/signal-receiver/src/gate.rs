//! Which documents of LiteLLM's replicas are let in. Pure.
//!
//! A replica signs what it sends with the access token of a published record. So only one that has been given the record
//! of an account can say anything of that account, and no further secret has to be kept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use records::published::Exported;
use records::replicas::Report;
use serde_json::Value;
use sha2::Sha256;

/// How often a replica may speak of one account.
const APART: Duration = Duration::from_secs(1);

/// How many replicas and accounts are remembered.
const MOST: usize = 4096;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A signal for the rotator.
    Signal,
    /// What a callback reports of itself, of the usage of an account, or of agents.
    Report(Report),
}

impl Kind {
    /// Whether it is about one account, whose record has to sign it.
    fn is_of_an_account(self) -> bool {
        matches!(self, Self::Signal | Self::Report(Report::Reading))
    }
}

/// Why a document is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    /// It is no JSON object.
    Unreadable,
    /// No record that is published signs it: it is old, or of a stranger.
    Unsigned,
    /// It is about another account than that of the record that signs it.
    AboutAnother,
    /// The same replica spoke of the same account less than a second ago.
    TooSoon,
}

impl Dropped {
    /// As a part of a line of the log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unsigned => "not signed by a published record",
            Self::AboutAnother => "about another account than the one that signs",
            Self::TooSoon => "too many",
        }
    }
}

/// Who spoke of what, and when.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    last: BTreeMap<(IpAddr, Kind, String), Instant>,
}

impl Gate {
    /// Lets a document in, or says why not.
    pub(crate) fn admit(
        &mut self,
        kind: Kind,
        from: IpAddr,
        body: &[u8],
        signature: &[u8],
        records: &[Exported],
        now: Instant,
    ) -> Result<(), Dropped> {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        if !document.is_object() {
            return Err(Dropped::Unreadable);
        }
        let signer = records.iter().find(|record| signs(record, body, signature)).ok_or(Dropped::Unsigned)?;
        if kind.is_of_an_account() && !is_about(&document, signer) {
            return Err(Dropped::AboutAnother);
        }
        self.last.retain(|_, last| now.saturating_duration_since(*last) < APART);
        let about = (from, kind, signer.account_id.clone());
        if self.last.len() >= MOST || self.last.contains_key(&about) {
            return Err(Dropped::TooSoon);
        }
        self.last.insert(about, now);
        Ok(())
    }
}

/// Whether a record's access token has made the signature. The comparison takes as long for any wrong one.
fn signs(record: &Exported, body: &[u8], signature: &[u8]) -> bool {
    let key = record.access_token.expose().as_bytes();
    Hmac::<Sha256>::new_from_slice(key)
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
}

/// It names its account, and may name the token.
fn is_about(document: &Value, record: &Exported) -> bool {
    let token = document["token"].as_str();
    document["account_id"] == record.account_id.as_str()
        && token.is_none_or(|token| token == record.access_token.fingerprint())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;

    fn record(account: &str) -> Exported {
        let record = json!({"access_token": format!("at-{account}"), "account_id": account, "expires_at": 4_102_444_800_i64});
        Exported::of(record.to_string().as_bytes()).unwrap()
    }

    fn signature(token: &str, body: &str) -> Vec<u8> {
        let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
        mac.chain_update(body).finalize().into_bytes().to_vec()
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    /// What a replica's signal about Ann or Ben comes to, if Ann and Ben are published.
    fn admitted(body: &str, token: &str) -> Result<(), Dropped> {
        let records = [record("ann"), record("ben")];
        let signature = signature(token, body);
        Gate::default().admit(Kind::Signal, address(1), body.as_bytes(), &signature, &records, Instant::now())
    }

    #[test]
    fn who_has_a_record_may_say_something_of_its_account_and_of_no_other() {
        let about = |account: &str| format!(r#"{{"status": 429, "account_id": "{account}"}}"#);
        assert_eq!(admitted(&about("ann"), "at-ann"), Ok(()));
        assert_eq!(admitted(&about("ben"), "at-ben"), Ok(()));
        assert_eq!(admitted(&about("ben"), "at-ann"), Err(Dropped::AboutAnother));
        assert_eq!(admitted(&about("cem"), "at-cem"), Err(Dropped::Unsigned));
        assert_eq!(admitted(r#"{"status": 429}"#, "at-ann"), Err(Dropped::AboutAnother));
        assert_eq!(admitted(&about("ann"), ""), Err(Dropped::Unsigned));
        assert_eq!(admitted("{half", "at-ann"), Err(Dropped::Unreadable));
    }

    #[test]
    fn a_signal_about_the_token_before_is_not_about_this_one() {
        let fingerprint = record("ann").access_token.fingerprint();
        let about = |token: &str| format!(r#"{{"account_id": "ann", "token": "{token}"}}"#);
        assert_eq!(admitted(&about(&fingerprint), "at-ann"), Ok(()));
        assert_eq!(admitted(&about("0000000000000000"), "at-ann"), Err(Dropped::AboutAnother));
    }

    #[test]
    fn a_replica_speaks_of_an_account_once_in_a_second_and_holds_up_no_other() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let mut say = |account: &str, from, kind, after| {
            let body = format!(r#"{{"account_id": "{account}"}}"#);
            let signature = signature(&format!("at-{account}"), &body);
            let records = [record("ann"), record("ben")];
            gate.admit(
                kind,
                address(from),
                body.as_bytes(),
                &signature,
                &records,
                now + Duration::from_millis(after),
            )
        };
        assert_eq!(say("ann", 1, Kind::Signal, 0), Ok(()));
        assert_eq!(say("ann", 1, Kind::Signal, 999), Err(Dropped::TooSoon));
        assert_eq!(say("ann", 2, Kind::Signal, 999), Ok(()));
        assert_eq!(say("ben", 1, Kind::Signal, 999), Ok(()));
        assert_eq!(say("ann", 1, Kind::Report(Report::Heartbeat), 999), Ok(()));
        assert_eq!(say("ann", 1, Kind::Signal, 1000), Ok(()));
    }
}
