//! What is known of one account, beside its login.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::grant::Grant;
use crate::text::printable;
use crate::usage::Usage;
use crate::{AccountId, Login, Timestamp};

use super::cooldown::Cooldown;

/// The longest name of a plan, in characters.
const LONGEST_PLAN: usize = 32;

/// What is known of an account, beside its login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountState {
    /// The provider has refused it, and it is left alone for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Cooldown>,
    /// An operator has parked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Its grant has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_login: Option<NeedsLogin>,
    /// A grant that was sent to the issuer without an answer. It is read from states that were written before grants had
    /// markers, and never written.
    #[serde(skip_serializing)]
    pub unanswered: Option<Grant>,
    /// When a refresh last failed for a reason that says nothing of the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_failed: Option<Timestamp>,
    /// The issuer refuses to refresh it, by a code that is not known to end a grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_refused: Option<RefreshRefusal>,
    /// Why its file cannot be replaced. Without a place for the new tokens no refresh is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_storable: Option<String>,
    /// The grant that a refresh brought whose access token is due for a refresh again at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_prolonged: Option<Grant>,
    /// The account whose refresh brought this one: a person must say whether it may serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came_from: Option<AccountId>,
    /// The grant whose access token the provider has refused, and that is being refreshed because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshing_after_401: Option<Grant>,
    /// The provider has refused its access token, also after a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusals: Option<Refusals>,
    /// When the next of its usage windows resets, as far as signals have said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_reset: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Its usage of limits that are those of a family of models alone, by the family's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub families: BTreeMap<String, Usage>,
    /// The models that the provider refuses for this account, and that others may serve.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Cooldown>,
    /// The models that it was refused for since its cooldown began. If it serves another one, the limit was theirs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refused_models: BTreeSet<String>,
    /// When the usage endpoint may be asked about it again, after it refused to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_poll: Option<PollPause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<ReportedPlan>,
    /// The grant that a refresh brought after a 401: another 401 is not worth another refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_after_401: Option<Grant>,
    /// What a later release of the same version has added: kept.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An account that an operator has parked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parked {
    /// Without it, until an operator ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// In the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An account whose grant will never work again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeedsLogin {
    /// The grant that has ended: a new login has another one.
    pub grant: Grant,
    pub since: Timestamp,
    /// The issuer's code, such as `refresh_token_reused`.
    pub code: String,
    /// The provider refuses the access token, too, which would otherwise serve until it ends.
    #[serde(default, skip_serializing_if = "is_false")]
    pub token_refused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(it: &bool) -> bool {
    !*it
}

/// How often in a row the provider has refused an account's access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    pub times: u32,
    /// When the last of them was.
    pub at: Timestamp,
}

/// How long the usage endpoint is left alone for an account, because it has refused to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PollPause {
    /// How often in a row it has refused.
    pub times: u32,
    pub until: Timestamp,
}

/// The issuer's refusal to refresh a grant, by a code that does not say that the grant has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefreshRefusal {
    /// The same code each time.
    pub code: String,
    pub since: Timestamp,
}

/// An account's subscription as the provider reported it, which knows of an upgrade before a token does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedPlan {
    plan: String,
    pub(super) at: Timestamp,
}

impl ReportedPlan {
    /// A plan by this name, as it was reported at that time; `None` for a name that is empty or too long to be one.
    #[must_use]
    pub fn new(plan: &str, at: Timestamp) -> Option<Self> {
        let plan = printable(plan).trim().to_owned();
        let fits = !plan.is_empty() && plan.chars().count() <= LONGEST_PLAN;
        fits.then_some(Self { plan, at })
    }

    /// Its name, printable.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan
    }

    /// When it was reported.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether it was reported after the login's token was made, which names the plan of that time.
    #[must_use]
    pub fn is_newer_than(&self, login: &Login) -> bool {
        login.issued.or(login.last_refresh).is_none_or(|issued| self.at > issued)
    }
}
