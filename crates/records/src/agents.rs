//! How much each agent has used of each account, as LiteLLM's callback counts it. Nothing is decided by these figures, and
//! nothing in them is trusted to be more than figures.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::AccountId;
use crate::text::printable;

/// How many pairs of an agent and an account are known apart; the callback of each process keeps half as many.
const MOST: usize = 1000;

/// Who has used what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsedBy {
    /// The alias of the agent's key; empty for the master key.
    pub agent: String,
    /// None, where no account was asked.
    pub account: Option<AccountId>,
}

/// How much was used, since the callback began to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Requests that were answered.
    pub requests: u64,
    pub input_tokens: u64,
    /// Tokens of the input that the provider had in its cache.
    pub cached_tokens: u64,
    pub output_tokens: u64,
    /// Requests that the account refused. Another account may have answered them.
    pub refused: u64,
    /// Requests beyond the agent's own limits, for which no account was asked.
    pub limited: u64,
}

/// How much is used by whom.
pub type Totals = BTreeMap<UsedBy, Used>;

/// Adds what is in a file's bytes to the totals.
pub fn add(totals: &mut Totals, bytes: &[u8]) {
    add_document(totals, &serde_json::from_slice(bytes).unwrap_or(Value::Null));
}

/// The totals in a document.
pub(crate) fn totals(document: &Value) -> Totals {
    let mut totals = Totals::new();
    add_document(&mut totals, document);
    totals
}

fn add_document(totals: &mut Totals, document: &Value) {
    for total in document["totals"].as_array().into_iter().flatten().take(MOST) {
        let text = |key: &str| total[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let number = |key: &str| total[key].as_u64().unwrap_or_default();
        let account = text("account_id").map(|account_id| AccountId { account_id, user_id: text("user_id") });
        let who = UsedBy { agent: text("agent").map(|agent| printable(&agent)).unwrap_or_default(), account };
        if totals.len() < MOST || totals.contains_key(&who) {
            *totals.entry(who).or_default() += Used {
                requests: number("requests"),
                input_tokens: number("input_tokens"),
                cached_tokens: number("cached_tokens"),
                output_tokens: number("output_tokens"),
                refused: number("refused"),
                limited: number("limited"),
            };
        }
    }
}

impl AddAssign for Used {
    fn add_assign(&mut self, more: Self) {
        let Self { requests, input_tokens, cached_tokens, output_tokens, refused, limited } = more;
        for (total, number) in [
            (&mut self.requests, requests),
            (&mut self.input_tokens, input_tokens),
            (&mut self.cached_tokens, cached_tokens),
            (&mut self.output_tokens, output_tokens),
            (&mut self.refused, refused),
            (&mut self.limited, limited),
        ] {
            *total = total.saturating_add(number);
        }
    }
}

impl Sum for Used {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        for used in all {
            sum += used;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn who(agent: &str, account: Option<&str>) -> UsedBy {
        let account = account.map(|id| AccountId { account_id: id.to_owned(), user_id: None });
        UsedBy { agent: agent.to_owned(), account }
    }

    fn of(files: &[Value]) -> Totals {
        let mut totals = Totals::new();
        for file in files {
            add(&mut totals, file.to_string().as_bytes());
        }
        totals
    }

    #[test]
    fn what_several_processes_have_counted_is_one_total() {
        let one = json!({"version": 1, "totals": [
            {"agent": "ann", "account_id": "acct-1", "user_id": null, "requests": 2, "input_tokens": 40},
            {"agent": "ann", "account_id": null, "user_id": null, "limited": 3},
            {"agent": null, "account_id": "acct-1", "user_id": null, "requests": 1, "refused": 1},
        ]});
        let other = json!({"version": 1, "totals": [
            {"agent": "ann", "account_id": "acct-1", "requests": 1, "output_tokens": 5, "cached_tokens": 1},
        ]});
        let totals = of(&[one, other]);
        assert_eq!(totals.len(), 3);
        assert_eq!(
            totals[&who("ann", Some("acct-1"))],
            Used { requests: 3, input_tokens: 40, cached_tokens: 1, output_tokens: 5, ..Used::default() }
        );
        assert_eq!(totals[&who("ann", None)].limited, 3);
        assert_eq!(totals[&who("", Some("acct-1"))].refused, 1);
    }

    #[test]
    fn nonsense_counts_nothing_and_a_flood_is_cut() {
        for file in [json!(null), json!([]), json!({"totals": {"a": 1}}), json!("x")] {
            assert_eq!(of(&[file]), Totals::new());
        }
        let odd = json!({"totals": [7, {"agent": "a\u{1b}[31m\nb", "account_id": "", "requests": -1, "refused": 1.5}]});
        let totals = of(&[odd]);
        assert_eq!(totals.values().copied().sum::<Used>(), Used::default());
        assert!(totals.keys().all(|who| !who.agent.contains(['\u{1b}', '\n'])), "{totals:?}");
        let flood = |from: usize| {
            let totals: Vec<_> =
                (from..from + 900).map(|n| json!({"agent": n.to_string(), "requests": u64::MAX})).collect();
            json!({"totals": totals})
        };
        let totals = of(&[flood(0), flood(0), flood(900)]);
        assert_eq!(totals.len(), MOST);
        assert_eq!(totals[&who("1", None)].requests, u64::MAX);
    }
}
