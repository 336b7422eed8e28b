//! What keeps a login from being refreshed while it may still serve, and what to type. Pure.

use judgement::candidate::Candidate;
use judgement::plan::Reason;
use judgement::pool::Pool;
use records::grant::GrantStatus;
use records::state::RefreshRefusal;
use records::{Expiry, Login, Timestamp};

use crate::bounds::REFUSED_FOR;
use crate::finding::Id;

/// What keeps a login from being refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its grant has ended; its access token serves until it ends, too.
    NeedsLogin {
        /// The issuer's code.
        code: String,
        /// When the access token ends.
        until: Option<Expiry>,
    },
    /// It was sent to the issuer, and the answer is not known: it may be used up.
    Unanswered {
        /// When it was sent.
        since: Timestamp,
        /// When its access token ends, and it is sent once more.
        until: Option<Expiry>,
    },
    /// The issuer has refused it for a day, by a code that is not known to end a grant.
    Refused {
        /// The code.
        code: String,
        /// Since when.
        since: Timestamp,
    },
    /// A new login could not be stored, so none is asked for: why.
    NotStorable(String),
}

/// What keeps a candidate's login from being refreshed.
pub(crate) fn troubles(pool: &Pool, candidate: &Candidate, login: &Login, now: Timestamp) -> Vec<Trouble> {
    let account_state = pool.state.account_state(&login.account);
    let until = login.expiry;
    let is_all = matches!(pool.judge(candidate, now), Err(Reason::NeedsLogin(..)));
    let ended = pool.ended_by(candidate).filter(|_| !is_all);
    let is_over = pool.ended_by(candidate).is_some();
    let unanswered = match &candidate.grant {
        GrantStatus::Unanswered(marker) if !is_over => {
            Some(Trouble::Unanswered { since: marker.since, until })
        }
        _ => None,
    };
    let refused =
        account_state.refresh_refused.filter(|refused| !is_over && now.since(refused.since) >= REFUSED_FOR);
    let all = [
        ended.map(|code| Trouble::NeedsLogin { code, until }),
        unanswered,
        refused.map(|RefreshRefusal { code, since }| Trouble::Refused { code, since }),
        account_state.not_storable.filter(|_| !is_over).map(Trouble::NotStorable),
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

    /// Which finding it is.
    #[must_use]
    pub fn id(&self) -> Id {
        match self {
            Self::NeedsLogin { .. } => Id::NeedsLogin,
            Self::Unanswered { .. } => Id::RefreshUnanswered,
            Self::Refused { .. } => Id::RefreshRefused,
            Self::NotStorable(_) => Id::NotStorable,
        }
    }

    /// Since when, where the volume says so.
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
