//! How much each agent has used of each account, by the slots of today.

use std::collections::BTreeMap;

use judgement::pool::Pool;
use records::Slot;
use records::agents::{Totals, Used};
use serde::{Deserialize, Serialize};

/// How much one agent has used of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// The alias of its key; empty for the master key.
    pub agent: String,
    /// The account's slot; none where no account was asked, or it is in no slot any more.
    pub slot: Option<Slot>,
    #[serde(flatten)]
    pub used: Used,
}

/// A row for each agent and account, by name.
#[must_use]
pub fn rows(pool: &Pool, totals: &Totals) -> Vec<AgentRow> {
    let mut rows: BTreeMap<(&str, Option<Slot>), Used> = BTreeMap::new();
    for (who, used) in totals {
        let holder = who.account.as_ref().and_then(|account| pool.named(pool.active(), account));
        *rows.entry((&who.agent, holder.map(|candidate| candidate.slot))).or_default() += *used;
    }
    rows.into_iter().map(|((agent, slot), used)| AgentRow { agent: agent.to_owned(), slot, used }).collect()
}
