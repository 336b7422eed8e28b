//! What keeps a login from being refreshed while it may still serve. Pure.

use judgement::candidate::Candidate;
use judgement::plan::Reason;
use judgement::pool::Pool;
use records::grant::GrantStatus;
use records::state::RefreshRefusal;
use records::{Expiry, Login, Timestamp};
use serde::{Deserialize, Serialize};

use crate::bounds::REFUSED_FOR;
use crate::finding::Id;

/// What keeps a login from being refreshed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Its grant has ended. Its access token serves until it ends, too.
    NeedsLogin { code: String, until: Option<Expiry> },
    /// Its grant has been sent, and the issuer's answer is not known: it may be used up. It is sent once more when its
    /// access token ends.
    Unanswered { since: Timestamp, until: Option<Expiry> },
    /// The issuer has refused it for a day, by a code that is not known to end a grant.
    Refused { code: String, since: Timestamp },
    /// A new login could not be stored, for this reason, so its grant is not sent.
    NotStorable(String),
}

/// What keeps a candidate's login from being refreshed.
pub(crate) fn troubles(pool: &Pool, candidate: &Candidate, login: &Login, now: Timestamp) -> Vec<Trouble> {
    let account_state = pool.state.account_state(&login.account);
    let until = login.expiry;
    // The state of the slot says it then.
    let is_state = matches!(pool.judge(candidate, now), Err(Reason::NeedsLogin(..)));
    let ended = pool.ended_by(candidate).filter(|_| !is_state);
    let has_ended = pool.ended_by(candidate).is_some();
    let unanswered = match &candidate.grant {
        GrantStatus::Unanswered(marker) if !has_ended => {
            Some(Trouble::Unanswered { since: marker.since, until })
        }
        _ => None,
    };
    let refused =
        account_state.refresh_refused.filter(|refused| !has_ended && now.since(refused.since) >= REFUSED_FOR);
    let all = [
        ended.map(|code| Trouble::NeedsLogin { code, until }),
        unanswered,
        refused.map(|RefreshRefusal { code, since }| Trouble::Refused { code, since }),
        account_state.not_storable.filter(|_| !has_ended).map(Trouble::NotStorable),
    ];
    all.into_iter().flatten().collect()
}

impl Trouble {
    /// A word or two for a table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NeedsLogin { .. } => "needs login",
            Self::Unanswered { .. } => "refresh unanswered",
            Self::Refused { .. } => "refresh refused",
            Self::NotStorable(_) => "not refreshable",
        }
    }

    /// The kind of finding that it is.
    #[must_use]
    pub fn id(&self) -> Id {
        match self {
            Self::NeedsLogin { .. } => Id::NeedsLogin,
            Self::Unanswered { .. } => Id::RefreshUnanswered,
            Self::Refused { .. } => Id::RefreshRefused,
            Self::NotStorable(_) => Id::NotStorable,
        }
    }

    /// Since when it has been so, if the volume says so.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unanswered { since, .. } | Self::Refused { since, .. } => Some(*since),
            Self::NeedsLogin { .. } | Self::NotStorable(_) => None,
        }
    }

    /// How long the access token serves: `it serves until 2026-11-28T03:00:00Z`.
    pub(crate) fn serves(&self) -> String {
        let until = match self {
            Self::NeedsLogin { until, .. } | Self::Unanswered { until, .. } => *until,
            Self::Refused { .. } | Self::NotStorable(_) => None,
        };
        let until = until.map_or_else(|| "its access token ends".to_owned(), |until| until.to_string());
        format!("it serves until {until}")
    }
}
