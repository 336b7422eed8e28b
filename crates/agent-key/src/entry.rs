//! What `LiteLLM` knows of one agent: the hashes of its keys, and what they are good for.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use clap::Args;
use records::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::key::KeyDigest;

/// The content of an agent's file, as `agent_keys.py` of the chart reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The newest last.
    keys: Vec<HashedKey>,
    /// None is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpm: Option<NonZeroU32>,
    /// Tokens per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm: Option<NonZeroU32>,
    /// Requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parallel: Option<NonZeroU32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedKey {
    sha256: KeyDigest,
    #[serde(default, serialize_with = "to_the_second", skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// What the command line says of an agent's limits; what it leaves out stays as it is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Limits {
    /// The models it may use, with commas; all lifts the limit
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Option<Vec<String>>,

    /// How many requests it may send in a minute; none lifts the limit
    #[arg(long, value_name = "N")]
    rpm: Option<Limit>,

    /// How many tokens it may use in a minute; none lifts the limit
    #[arg(long, value_name = "N")]
    tpm: Option<Limit>,

    /// How many of its requests may run at once; none lifts the limit
    #[arg(long, value_name = "N")]
    parallel: Option<Limit>,
}

/// A number above 0, or `none`.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<NonZeroU32>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            number => number
                .parse()
                .map(|number| Self(Some(number)))
                .map_err(|_| "expected a number above 0, or none"),
        }
    }
}

impl Entry {
    /// The same agent, limited as the command line says.
    pub(crate) fn limited(mut self, limits: &Limits) -> Self {
        if let Some(models) = &limits.models {
            self.models = if models == &["all"] { Vec::new() } else { models.clone() };
        }
        self.rpm = limits.rpm.map_or(self.rpm, |limit| limit.0);
        self.tpm = limits.tpm.map_or(self.tpm, |limit| limit.0);
        self.parallel = limits.parallel.map_or(self.parallel, |limit| limit.0);
        self
    }

    /// With another key. The old ones end at `keep_old_until` at the latest, so that the agent has time to change over.
    pub(crate) fn with_key(
        mut self,
        sha256: KeyDigest,
        expires: Option<Timestamp>,
        keep_old_until: Timestamp,
        now: Timestamp,
    ) -> Self {
        for key in &mut self.keys {
            key.expires = Some(key.expires.map_or(keep_old_until, |end| end.min(keep_old_until)));
        }
        self.keys.retain(|key| key.expires.is_none_or(|end| end > now));
        self.keys.push(HashedKey { sha256, expires });
        self
    }

    /// Until when the last of the old keys is good.
    pub(crate) fn old_until(&self) -> Option<Timestamp> {
        self.keys.split_last()?.1.iter().filter_map(|key| key.expires).max()
    }
}

/// What the newest key is good for.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models = if self.models.is_empty() { "all models".to_owned() } else { self.models.join(", ") };
        f.write_str(&models)?;
        let limits = [
            (self.rpm, "requests a minute"),
            (self.tpm, "tokens a minute"),
            (self.parallel, "requests at once"),
        ];
        for (limit, what) in limits {
            if let Some(number) = limit {
                write!(f, ", {number} {what}")?;
            }
        }
        match self.keys.last().and_then(|key| key.expires) {
            Some(end) => write!(f, ", until {end}"),
            None => Ok(()),
        }
    }
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn to_the_second<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.expect("left out if there is none"))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, from_value, json, to_value};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_777_200 + seconds)
    }

    fn digest(digit: char) -> KeyDigest {
        from_value(json!(digit.to_string().repeat(64))).unwrap()
    }

    #[test]
    fn the_old_key_stays_good_for_a_while() {
        let entry = Entry::default().with_key(digest('a'), None, at(60), at(0));
        assert_eq!((entry.old_until(), entry.to_string()), (None, "all models".to_owned()));
        let entry = entry.with_key(digest('b'), Some(at(9000)), at(3600), at(10));
        assert_eq!(entry.old_until(), Some(at(3600)));
        assert_eq!(
            to_value(&entry).unwrap(),
            json!({"keys": [
                {"sha256": "a".repeat(64), "expires": "2026-11-27T12:00:00Z"},
                {"sha256": "b".repeat(64), "expires": "2026-11-27T13:30:00Z"},
            ]})
        );
        let entry = entry.with_key(digest('c'), None, at(9999), at(5000));
        assert_eq!(entry.keys.len(), 2, "the first has ended");
        assert_eq!(entry.old_until(), Some(at(9000)), "no key lives longer because another is made");
    }

    #[test]
    fn nothing_is_kept_of_old_keys_that_shall_end_now() {
        let entry = Entry::default().with_key(digest('a'), None, at(0), at(0)).with_key(
            digest('b'),
            None,
            at(9),
            at(9),
        );
        assert_eq!((entry.keys.len(), entry.old_until()), (1, None));
    }

    #[test]
    fn limits_stay_unless_the_command_line_says_otherwise() {
        let limited = Limits {
            models: Some(vec!["gpt-5.6-sol".to_owned()]),
            rpm: Some("60".parse().unwrap()),
            tpm: Some("200000".parse().unwrap()),
            parallel: Some("4".parse().unwrap()),
        };
        let entry = Entry::default().limited(&limited);
        let words = "gpt-5.6-sol, 60 requests a minute, 200000 tokens a minute, 4 requests at once";
        assert_eq!(entry.to_string(), words);
        assert_eq!(entry.clone().limited(&Limits::default()), entry);
        let lifted = Limits {
            models: Some(vec!["all".to_owned()]),
            rpm: Some("none".parse().unwrap()),
            ..Limits::default()
        };
        assert_eq!(
            entry.limited(&lifted).to_string(),
            "all models, 200000 tokens a minute, 4 requests at once"
        );
    }

    #[test]
    fn a_limit_is_a_number_above_0_or_none() {
        for text in ["0", "-1", "1.5", "", "None", "9999999999"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_with_something_unknown_is_none() {
        assert!(from_str::<Entry>(r#"{"keys": [], "rpn": 3}"#).is_err());
        assert!(from_str::<Entry>(r#"{"rpm": 3}"#).is_err());
        assert!(from_str::<Entry>(r#"{"keys": [], "rpm": 0}"#).is_err());
    }
}
